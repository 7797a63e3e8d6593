"""Tar files: read in place whatever packs them, and believed in nothing."""

import gzip
import io
import os
import pickle
import subprocess
import tarfile

import numpy as np
import pytest
from pictures import (
    damaged,
    decoded,
    fill,
    noise,
    read_or_refused,
    reasons,
    red,
    sentence,
    takes_less_than,
)

from dcgan.cli.recorded import run_name
from dcgan.datasets import catalog, tar_archive
from dcgan.datasets.download import BoundedReader
from dcgan.datasets.folder import TarSource, find
from dcgan.datasets.picture_formats import UnusableFile

FILES = {
    f"{part}/{kind}/{i}.png": noise("PNG", 8 + i)
    for i, (part, kind) in enumerate([("train", "b"), ("train", "a"), ("test", "a"), ("test", "b")])
}


def tar(path, files: dict[str, bytes], mode: str = "w", form=tarfile.PAX_FORMAT):
    with tarfile.open(path, mode, format=form) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        *(("w", tarfile.USTAR_FORMAT), ("w", tarfile.GNU_FORMAT), ("w:gz", tarfile.PAX_FORMAT)),
        *(("w:bz2", tarfile.GNU_FORMAT), ("w:xz", tarfile.PAX_FORMAT)),
    ],
)
def test_a_tar_gives_what_its_folder_gives(tmp_path, mode, form):
    """Whatever its name, in whatever order, from a worker too."""
    long = {f"all/{'long' * 50}{i}.png": noise("PNG", 8 + i) for i in range(4)}
    long = FILES if form == tarfile.USTAR_FORMAT else long  # which has no such names
    for files in (FILES, long, {f"././x/{name}": data for name, data in FILES.items()}):
        folder = catalog.find(str(fill(tmp_path / str(len(next(iter(files)))), files)), "none")
        source = catalog.find(str(tar(tmp_path / "a.data", files, mode, form)), "none")
        assert sorted(source.names) == folder.names and source.parts == folder.parts
        order = [source.names.index(name) for name in folder.names]
        for again in (source, pickle.loads(pickle.dumps(source))):
            np.testing.assert_array_equal(decoded(again).images[order], decoded(folder).images)
        assert source.summary() == folder.summary()
        if folder.labels:
            expected = folder.labels["label"]
            np.testing.assert_array_equal(source.labels["label"].values[order], expected.values)


def test_a_packed_one_is_read_once_from_start_to_end(tmp_path, monkeypatch):
    """Names in another order than in the archive must not send the reader back and forth."""
    files = {f"{i * 7 % 100:03}.png": red() for i in range(100)}
    assert find(tar(tmp_path / "a.tar", files)).names == sorted(files)
    source = find(tar(tmp_path / "a.tar.gz", files, "w:gz"))
    assert source.names == list(files)
    places = []
    seek = gzip.GzipFile.seek
    monkeypatch.setattr(
        gzip.GzipFile, "seek", lambda self, to, *more: places.append(to) or seek(self, to, *more)
    )
    assert len(decoded(source).indices) == 100 and not source.parallel
    assert places == sorted(places) and len(places) == 100


def test_what_tar_itself_writes(tmp_path):
    fill(tmp_path / "in", FILES | {".hidden.png": red(), "__MACOSX/._a.png": b"x"})
    (tmp_path / "in" / "train" / "link.png").symlink_to("a/1.png")
    subprocess.run(["tar", "-czf", tmp_path / "a.tgz", "-C", tmp_path / "in", "."], check=True)
    source = find(tmp_path / "a.tgz")
    assert set(source.names) == {*FILES, "train/link.png"}
    assert reasons(source) == {"train/link.png": "a link in the archive"}


def test_its_fingerprint_changes_with_the_file_and_with_an_entry(tmp_path):
    """Also where a copy keeps the file's size and time."""
    path, prints = tmp_path / "a.tar", []
    for entry_time, file_time in ((0, 10), (0, 10), (0, 11), (7, 10)):
        with tarfile.open(path, "w") as archive:
            archive.addfile(entry("a.png", size=len(red()), mtime=entry_time), io.BytesIO(red()))
        os.utime(path, (file_time, file_time))
        prints.append(find(path).fingerprint)
    assert prints[0] == prints[1] and len(set(prints)) == 3


def test_found_by_name_and_alone_in_a_folder(tmp_path):
    tar(tmp_path / "faces.tar.gz", FILES, "w:gz")
    assert len(catalog.find("faces", str(tmp_path))) == 2
    assert isinstance(find(tmp_path), TarSource)
    config = type("C", (), {"dataset": "x/Faces.tar.gz", "output_height": 8, "output_width": 8})
    config.channels = 3
    assert run_name(config) == "faces-8x8x3"


# ---- hostile ones ----


def entry(name: str, kind: bytes = tarfile.REGTYPE, **facts) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info


def test_links_devices_and_unsafe_names_are_skipped(tmp_path):
    secret = fill(tmp_path, {"secret.png": red()}) / "secret.png"
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(entry("up.png", tarfile.SYMTYPE, linkname=str(secret)))
        archive.addfile(entry("hard.png", tarfile.LNKTYPE, linkname=str(secret)))
        archive.addfile(entry("pipe.png", tarfile.FIFOTYPE))
        archive.addfile(entry("zero.png", tarfile.CHRTYPE, devmajor=1, devminor=5))
        for name in ("good.png", "../out.png", "/root.png"):
            archive.addfile(entry(name, size=len(red())), io.BytesIO(red()))
    source = find(tmp_path / "a.tar")
    assert [source.names[i] for i in decoded(source).indices] == ["good.png"]
    assert reasons(source) == {
        "up.png": "a link in the archive",
        "hard.png": "a link in the archive",
        "pipe.png": "no plain file",
        "zero.png": "no plain file",
        "../out.png": "unsafe name",
        "/root.png": "unsafe name",
    }
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.tar", "secret.png"]


@pytest.mark.parametrize("form", ["gnu", "posix"])
def test_a_file_with_holes_is_no_plain_one(tmp_path, form):
    """Its bytes in the archive are pieces; read as they stand, they would be another picture."""
    version = subprocess.run(["tar", "--version"], capture_output=True, text=True, check=True)
    if "GNU" not in version.stdout:
        pytest.skip("only GNU tar writes them")
    fill(tmp_path / "in", {"good.png": red(), "holes.png": red()})
    os.truncate(tmp_path / "in" / "holes.png", 1 << 20)
    archive = ["tar", f"--format={form}", "-cSf", tmp_path / "a.tar", "-C", tmp_path / "in", "."]
    subprocess.run(archive, check=True)
    assert (tmp_path / "a.tar").stat().st_size < 1 << 16
    source = find(tmp_path / "a.tar")
    assert reasons(source) == {"holes.png": "no plain file"}
    assert [source.names[i] for i in decoded(source).indices] == ["good.png"]


def test_a_format_that_is_not_read_is_no_picture_and_no_refusal(tmp_path):
    source = find(tar(tmp_path / "a.tar", {"good.png": red(), "page.svg": b"<?xml ?><svg></svg>"}))
    assert [source.is_picture(source.names.index(n)) for n in ("good.png", "page.svg")] == [1, 0]


@pytest.mark.parametrize("mark", [b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b""])
def test_what_only_begins_as_a_tar_is_none(tmp_path, mark):
    (tmp_path / "a").write_bytes(mark + b"words" * 200)
    assert not tar_archive.is_tar(tmp_path / "a")


@pytest.mark.parametrize(("encoding", "name"), [("utf-8", "\xe9.png"), ("latin-1", "\udce9.png")])
def test_names_are_utf_8_and_other_bytes_are_kept(tmp_path, encoding, name):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT, encoding=encoding) as archive:
        archive.addfile(entry("\xe9.png", size=len(red())), io.BytesIO(red()))
    source = find(path)
    assert [source.names[i] for i in decoded(source).indices] == [name]


def test_more_bytes_than_a_picture_has_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(tar_archive, "MAX_FILE_BYTES", len(red()))
    path = tar(tmp_path / "a.tar", {"a.png": red(), "b.png": red() + b"x"})
    source = find(path)
    assert [source.names[i] for i in decoded(source).indices] == ["a.png"]
    assert reasons(source) == {"b.png": f"{len(red()) + 1} bytes, too large for a picture"}


def assert_refused_in_little_memory(path) -> None:
    with takes_less_than(20_000_000):
        assert "is not a complete tar file" in sentence(path)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_cut_short(tmp_path, mode):
    whole = tar(tmp_path / "whole", {"a.png": noise("PNG"), "b.png": noise("PNG")}, mode)
    data = whole.read_bytes()
    for size in (len(data) // 2, 300):
        (tmp_path / "cut.tar").write_bytes(data[:size])
        assert "is not a complete tar file" in sentence(tmp_path / "cut.tar")
    (tmp_path / "words.tar").write_bytes(b"words")
    assert "is not a complete tar file" in sentence(tmp_path / "words.tar")


def size_of(info: tarfile.TarInfo, field: bytes) -> bytes:
    """The entry's header with another size than numbers allow."""
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_negative_and_gigantic_sizes(tmp_path, kind):
    """The first sends tarfile round in circles, the second fills its memory."""
    good = tar(tmp_path / "good.tar", {"good.png": red()}).read_bytes()
    negative = b"\xff" * 10 + b"\xfc\0"  # -1024
    for field in (negative, b"\x80" + b"\0" * 5 + b"\x10" + b"\0" * 5, b"77777777777\0"):
        (tmp_path / "a.tar").write_bytes(size_of(entry("a.png", kind), field) + good)
        assert_refused_in_little_memory(tmp_path / "a.tar")


def test_a_size_that_leads_back_to_its_own_header(tmp_path, monkeypatch):
    """As often as tarfile is asked, so often it comes."""
    monkeypatch.setattr(tar_archive, "MAX_FILES", 1000)
    good = tar(tmp_path / "good.tar", {"good.png": red()}).read_bytes()
    back = size_of(entry("a.png"), b"\xff" * 10 + b"\xfe\0")  # -512
    (tmp_path / "a.tar").write_bytes(good[:1024] + back + good)
    assert "is not a complete tar file (a header states a negative size)" in sentence(
        tmp_path / "a.tar"
    )
    many = {f"{i}.png": b"" for i in range(1001)} | {"a.png": red()}
    assert "more than 1,000 files" in sentence(tar(tmp_path / "a.tar", many))
    with pytest.raises(tarfile.ReadError):  # which would read all that there is
        BoundedReader(io.BytesIO(bytes(99)), 10).read(-512)


def test_headers_without_end(tmp_path):
    """Notes about notes, and lists of a sparse file's pieces that go on and on or end at once."""
    good = tar(tmp_path / "good.tar", {"good.png": red()}).read_bytes()
    note = entry("x", tarfile.GNUTYPE_LONGNAME, size=2).tobuf(tarfile.GNU_FORMAT)
    note += b"a\0" + bytes(510)
    sparse = bytearray(entry("a.png", tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
    sparse[482], sparse[148:156] = 1, b" " * 8  # a list follows
    sparse[148:156] = b"%06o\0 " % sum(sparse)
    pieces = (b"00000000001\0" * 42)[:504] + b"\1" + bytes(7)
    for headers in (note * 400, sparse, bytes(sparse) + pieces * 20_000):
        (tmp_path / "a.tar").write_bytes(good[:1024] + headers)
        assert_refused_in_little_memory(tmp_path / "a.tar")
    (tmp_path / "a.tar").write_bytes(note * 40 + good)
    assert len(find(tmp_path / "a.tar")) == 1
    many = {f"{i}/{'long' * 30}.png": red() for i in range(1200)}  # together more than one may have
    assert len(find(tar(tmp_path / "b.tar", many, form=tarfile.GNU_FORMAT))) == 1200


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(tar_archive, "ALWAYS_ALLOWED", 1 << 20)
    files = {"a.png": red(), "zeros.bmp": bytes(5 << 20)}
    places = []
    seek = gzip.GzipFile.seek
    with monkeypatch.context() as patch:
        patch.setattr(
            gzip.GzipFile, "seek", lambda self, to, *how: places.append(to) or seek(self, to, *how)
        )
        assert "200 times its size" in sentence(tar(tmp_path / "a.tar.gz", files, "w:gz"))
    assert 0 < max(places) < 1 << 20
    plain = find(tar(tmp_path / "a.tar", files))
    assert reasons(plain) == {"zeros.bmp": "not an image"}
    with pytest.raises(UnusableFile, match="not an image"):  # not even read
        plain.open(1)


def test_what_is_cut_off_later_is_damaged(tmp_path):
    large = noise("PNG", 128)  # more than is read ahead
    source = find(path := tar(tmp_path / "a.tar", {"a.png": large, "b.png": large}))
    os.truncate(path, path.read_bytes().rindex(large) + len(large) - 10)
    assert source.open(0).read() == large
    with pytest.raises(UnusableFile, match="damaged in the tar file"):
        source.open(1)


def test_no_damage_whatsoever_raises(tmp_path):
    whole = tar(tmp_path / "w", FILES, "w").read_bytes()
    for data in damaged(whole, 100, slice(130, 4096, 512)):  # sizes in headers
        (tmp_path / "a.tar").write_bytes(data)
        read_or_refused(lambda: TarSource(tmp_path / "a.tar"))
