"""Recognizes what `--dataset` may name but cannot read, to tell users what it is and what to do."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from dcgan import UserError
from dcgan.cli.data_names import SUFFIXES
from dcgan.datasets.picture import open_picture
from dcgan.datasets.picture_formats import UnusableFile

HEAD_BYTES = 512
# Addresses with these schemes must be downloaded first; tf.io.gfile reads shards from others.
_WEB = ("http", "https", "ftp", "ftps", "hf", "kaggle")
_HUGGING_FACE = re.compile(r"(https?://huggingface\.co/datasets/|hf://(datasets/)?)([^/]+/[^/?#]+)")
# Files known by their first bytes (a pattern): what people call them, and how to make them usable.
_KNOWN = (
    (rb"Rar!\x1a\x07", "a RAR archive", "unpack it (unrar x {name}) and name the folder"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it (7z x {name}) and name the folder"),
    (
        rb"\x28\xb5\x2f\xfd",
        "a file packed by zstd",
        "unpack it (unzstd {name}) and name the result",
    ),
    (rb"\x89HDF", "an HDF5 file", "save its images by numpy.savez as images and labels"),
    (
        rb"\x80[\x02-\x05]",
        "a pickle, which can run any program",
        "where you trust it, save its images by numpy.savez as images and labels",
    ),
    (
        rb"ARROW1|\xff\xff\xff\xff",
        "an Arrow file",
        "write it again: datasets.Dataset.from_file({name!r}).to_parquet('images.parquet')",
    ),
    (rb"SQLite format 3", "a database", "save its pictures as files and name the folder"),
    (rb"(\x1f\x8b|BZh|\xfd7zXZ)", "one packed file and no archive", "unpack it"),
)


def local(name: str) -> str:
    """Returns a data set's name as it is, or as a path if it is one such as file:///data/anime.

    Raises UserError if it is a web address, since nothing is downloaded from these.
    """
    scheme, mark, _ = name.partition("://")
    if not mark:
        return name
    if scheme.lower() == "file":
        return url2pathname(unquote(urlsplit(name).path))
    if scheme.lower() in _WEB:
        raise UserError(
            f"{name} is a web address, and nothing is downloaded from it: {_explain_loading(name)}"
        )
    return name


def _explain_loading(address: str) -> str:
    known = _HUGGING_FACE.match(address)
    if known:
        to = f"data/{known[3].split('/')[1]}"
        return f"run hf download {known[3]} --repo-type dataset --local-dir {to}, and name {to}."
    # Of other addresses, such as those of Kaggle's data sets, curl would get a web page.
    get = f"run curl -LO {address}" if address.lower().endswith(SUFFIXES) else "download it there"
    return f"{get}, and name the file, or the folder that it is unpacked to."


def refuse(path: Path) -> None:
    """Raises UserError if a file is known to be something else than a data set, e.g. a picture."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
            file.seek(0)
            open_picture(file, path.name)
    except OSError:
        return  # whoever reads it next reports why
    except UnusableFile:
        for mark, words, advice in _KNOWN:
            if re.match(mark, head):
                raise UserError(
                    f"{path} is {words}, which is not read: {advice.format(name=path.name)}."
                ) from None
        return
    raise UserError(
        f"{path} is one picture, and a network learns from many: name the folder of pictures, "
        f"such as {path.absolute().parent}."
    )
