"""The Inception network of 2015, from whose features published Frechet distances are computed.

Szegedy et al. 2015, "Rethinking the Inception architecture" (arXiv 1512.00567), as TensorFlow
published it on 2015-12-05; Heusel et al. 2017 (arXiv 1706.08500) use its `pool_3`. Other weights,
or another port of the same network, give other distances. The file is a protocol buffer of plain
operations and constants, without pickled objects. Files whose content differs from the published
one are refused.
"""

import hashlib
import tarfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
import tensorflow as tf

from dcgan import UserError, disk
from dcgan.datasets.download import RemoteFile, fetch, open_tar
from dcgan.evaluation import resizing
from dcgan.evaluation.cache import digest
from dcgan.evaluation.extractor import Extracted
from dcgan.files import name_errors
from dcgan.latent.sampling import in_batches

VERSION = 1  # increase it when the same network and images give other features
SIDE = 299  # pixels
FEATURES = 2048
CLASSES = 1008  # outputs of the softmax: the 1,000 of ImageNet and 8 without a meaning
BATCH = 32  # images; their activations stay below a gigabyte

# The published archive, and the one file in it that is needed. No checksum of the archive is
# published, so the file itself is downloaded, first from the address that OpenAI's evaluator
# (guided-diffusion) uses. The two other copies are in accounts of strangers, which need not be
# trusted, as a download is used only if its SHA-256 is that of the published file.
ARCHIVE = "inception-2015-12-05.tgz"
ARCHIVE_URL = f"http://download.tensorflow.org/models/image/imagenet/{ARCHIVE}"
FILE = RemoteFile(
    "classify_image_graph_def.pb",
    (
        "https://openaipublic.blob.core.windows.net/diffusion/jul-2021/ref_batches/"
        "classify_image_graph_def.pb",
        "https://huggingface.co/molinamarc/syntheva/resolve/main/classify_image_graph_def.pb",
        "https://huggingface.co/Martinser/eval_model/resolve/main/classify_image_graph_def.pb",
    ),
    "009d6814d1bc560d4e7b236e170e9b2d5ca6f4b57bd8037f6db05776204415c6",
    95_673_916,
)


class Inception:
    """The Inception network as an `Extractor`; grey images are repeated in three channels.

    Its labelling is named "imagenet". Probabilities are computed without the last layer's bias, as
    in improved-gan, the code of the first inception scores (Salimans et al. 2016, arXiv
    1606.03498), and later in TTUR, StyleGAN and guided-diffusion.
    """

    name = "inception"
    resize = f"to {SIDE}x{SIDE}, {resizing.METHOD}, as clean-fid"

    def __init__(self, graph: bytes):
        """Parses the content of the published file."""
        self.fingerprint = digest(self.name, VERSION, hashlib.sha256(graph).hexdigest())
        self.classes = {"imagenet": tuple(f"output {i}" for i in range(CLASSES))}
        self._session, self._images, self._outputs = _session(graph)

    def __call__(self, images: np.ndarray) -> Extracted:
        """uint8 images [N, height, width, 1 or 3] -> features [N, 2048], probabilities."""
        features, probabilities = in_batches(self._run, images, size=BATCH)
        return Extracted(features, {"imagenet": probabilities})

    def _run(self, images: np.ndarray) -> list[np.ndarray]:
        levels = resizing.resize(images, SIDE, SIDE)
        if levels.shape[-1] == 1:
            levels = np.repeat(levels, 3, axis=-1)
        return self._session.run(self._outputs, {self._images: levels})


def _session(content: bytes) -> tuple[tf.compat.v1.Session, tf.Tensor, list[tf.Tensor]]:
    """Returns a session, its input for levels [N, 299, 299, 3], and [features, probabilities].

    The graph was made for one JPEG file at a time. It is adapted to batches as in TTUR and
    guided-diffusion: images are fed at "ExpandDims", after the operations that decode a file into a
    batch of one; recorded shapes with a batch of one are removed; and the last matrix product is
    computed from "pool_3" itself, as the graph reshapes it to [1, 2048]. The operations in between
    stay: a resize, which does not change 299x299, and (x - 128) / 128. It is a session, not a
    tf.function, as only sessions still run the graph's old operations.
    """
    definition = tf.compat.v1.GraphDef.FromString(content)
    for node in definition.node:
        node.attr.pop("_output_shapes", None)
    graph = tf.Graph()
    with graph.as_default():
        images = tf.compat.v1.placeholder(tf.float32, [None, SIDE, SIDE, 3])
        pool, product = tf.import_graph_def(
            definition,
            input_map={"ExpandDims:0": images},
            return_elements=["pool_3:0", "softmax/logits/MatMul"],
            name="",
        )
        features = tf.reshape(pool, [-1, FEATURES])
        probabilities = tf.nn.softmax(tf.matmul(features, product.inputs[1])[:, :CLASSES])
    config = tf.compat.v1.ConfigProto()
    config.gpu_options.allow_growth = True
    return tf.compat.v1.Session(graph=graph, config=config), images, [features, probabilities]


def load(folder: Path, *, file: RemoteFile = FILE) -> Inception:
    """Loads the network from a folder, after downloading it if it is missing.

    The published archive is accepted in the folder too, packed or unpacked. Raises UserError if the
    network cannot be downloaded, or if the file in the folder is not the published one.
    """
    unpacked = folder / Path(ARCHIVE).stem / file.name
    if not (folder / file.name).exists():
        if unpacked.exists():
            return Inception(_check(unpacked.read_bytes(), unpacked, file))
        if (folder / ARCHIVE).exists():
            return Inception(_from_archive(folder / ARCHIVE, file))
    path = _download(folder, file)
    return Inception(_check(path.read_bytes(), path, file))


def _download(folder: Path, file: RemoteFile) -> Path:
    try:
        return fetch(file, folder)
    except UserError as error:
        refused = isinstance(error.__cause__, OSError)
        reason = f"{folder} cannot be written" if refused else "no mirror gave it, as said above"
        raise UserError(
            f"The Inception network could not be downloaded ({reason}): put {file.name} from "
            f"{file.urls[0]}, or {ARCHIVE} from {ARCHIVE_URL}, into the folder {folder}, or choose "
            "--extractor classifier, self_supervised or pixels, which need no download."
        ) from error


def _from_archive(path: Path, file: RemoteFile) -> bytes:
    """Reads the graph from the archive without unpacking it, so that no path in it can do harm."""
    try:
        with name_errors(path), open_tar(path, file.size) as archive:
            for member in archive:
                if PurePosixPath(member.name).name == file.name and member.size == file.size:
                    return _check(archive.extractfile(member).read(), path, file)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        if failure := disk.find_disk_error(error):
            raise failure from None
        raise _refusal(path, f"a damaged one ({error})", file) from error
    raise _refusal(path, f"none with {file.name} of {file.size:,} bytes in it", file)


def _check(content: bytes, path: Path, file: RemoteFile) -> bytes:
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise _refusal(path, f"a file of {len(content):,} bytes with SHA-256 {found}", file)
    return content


def _refusal(path: Path, received: str, file: RemoteFile) -> UserError:
    return UserError(
        f"{path} is not the published Inception network: expected {file.name} with SHA-256 "
        f"{file.sha256}, received {received}; put a complete copy in its place, or delete it to "
        "have it downloaded."
    )
