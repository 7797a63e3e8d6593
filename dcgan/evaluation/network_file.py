"""Uses any network in a file as an extractor, such as DINOv2, CLIP or the user's own.

The format of its input is read from the file or given by options, which are in its fingerprint.
Images are resized as everywhere in evaluation. `network_formats` says which files are refused.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dcgan import UserError
from dcgan.evaluation import resizing
from dcgan.evaluation.cache import digest
from dcgan.evaluation.extractor import Extracted
from dcgan.evaluation.network_formats import OpenedNetwork, checksum, open_network
from dcgan.images import to_float
from dcgan.latent.sampling import in_batches

VERSION = 1  # increase it when the same file and images give other features
BATCH = 32  # images, if the file does not fix the batch size
MOST_FEATURES = 8192  # one covariance matrix of so many takes half a gigabyte
LAYOUTS = ("nhwc", "nchw")  # in fingerprints, as are `RANGES`
# Mean and deviation of red, green and blue in [0, 1]: those of ImageNet from torchvision, and those
# of CLIP (Radford et al. 2021) from OpenAI's preprocessing.
NORMALIZATIONS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}
RANGES = ("-1,1", "0,1", "0,255", *NORMALIZATIONS)


@dataclass(frozen=True)
class InputOptions:
    """The user's options for the input of a network file; None leaves it to the file."""

    size: tuple[int, int] | None = None  # (height, width) in pixels
    range: str | None = None  # one of `RANGES`, to which levels from 0 to 255 are scaled
    layout: str | None = None  # one of `LAYOUTS`


class NetworkFile:
    """The network in a file as an `Extractor`; grey images are repeated in three channels.

    Features are the output itself if it is [N, D]; the first token, which stands for the image, if
    it is [N, tokens, D], as for transformers; the means over all places if it is feature maps.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int],
        *,
        output: str | None = None,
        looks: InputOptions | None = None,
    ):
        """Opens an .onnx or .keras file or a SavedModel's folder.

        `shape` is (height, width, channels) of the data set's images; `output` may be None if the
        file has only one. Raises UserError if the file cannot be read, does not fit, or needs an
        option.
        """
        looks = looks or InputOptions()
        self._path, self._network = path, open_network(path, output)
        self.name = path.stem
        self.classes: dict[str, tuple[str, ...]] = {}
        self.layout = _layout(path, self._network, looks.layout)
        _, *axes = self._network.shape
        height, width, self._channels = axes if self.layout == "nhwc" else (*axes[1:], axes[0])
        self.size = _size(path, (height, width), looks.size, shape[:2])
        self.range = _range(path, self._network, looks.range)
        if self._channels == 1 and self.range in NORMALIZATIONS:
            raise UserError(
                f"--extractor_range {self.range} is of colour images, and --extractor {path} looks "
                "at grey ones: use -1,1 or 0,1 or 0,255."
            )
        if self._channels == 1 and shape[2] == 3:
            raise UserError(
                f"--extractor {path} looks at grey images, and the data set's are in colour: "
                "expected a network for colour images."
            )
        words = resizing.in_words(tuple(shape[:2]), self.size)
        self.resize = f"{words}; range {self.range}, {self.layout.upper()}"
        told = (output, self.size, self.range, self.layout)
        self.fingerprint = digest("file", VERSION, checksum(path), *told, tuple(shape))
        self._batch = self._network.shape[0] or BATCH

    def __call__(self, images: np.ndarray) -> Extracted:
        """uint8 images [N, height, width, 1 or 3] -> features [N, D], no probabilities."""
        (features,) = in_batches(self._of_batch, images, size=self._batch)
        return Extracted(features)

    def _of_batch(self, images: np.ndarray) -> list[np.ndarray]:
        levels = resizing.resize(images, *self.size)
        if self._channels != 1 and levels.shape[-1] == 1:
            levels = np.repeat(levels, 3, axis=-1)
        levels = _in_range(levels, self.range)
        if self._network.dtype == "uint8":
            levels = np.rint(levels)
        if self.layout == "nchw":
            levels = levels.transpose(0, 3, 1, 2)
        try:
            found = self._network.run(np.ascontiguousarray(levels, self._network.dtype))
        except Exception as error:  # three runtimes raise errors of their own
            said = " ".join(str(error).split())[:300]
            raise UserError(
                f"--extractor {self._path} fails on images of {self.size[0]}x{self.size[1]} in "
                f"{self.layout.upper()}: set --extractor_size to the size it was made for; it "
                f"says: {said}"
            ) from error
        return [self._flat(np.asarray(found), len(images))]

    def _flat(self, found: np.ndarray, count: int) -> np.ndarray:
        if found.ndim == 3:
            found = found[:, 0]
        elif found.ndim == 4:
            found = found.mean((1, 2) if self.layout == "nhwc" else (2, 3), dtype=np.float64)
        if found.ndim != 2 or len(found) != count or not 0 < found.shape[1] <= MOST_FEATURES:
            raise UserError(
                f"The output of --extractor {self._path} gives no features: expected [{count}, D] "
                f"with D up to {MOST_FEATURES:,}, received {list(found.shape)}; name another "
                "output, as in FILE:OUTPUT."
            )
        return found.astype(np.float32)


def split_name(text: str) -> tuple[Path, str | None]:
    """Splits FILE or FILE:OUTPUT into the path and the output's name; paths may contain colons."""
    file, colon, output = text.rpartition(":")
    if colon and output and not Path(text).exists() and Path(file).exists():
        return Path(file), output
    return Path(text), None


def _layout(path: Path, network: OpenedNetwork, told: str | None) -> str:
    channels = {"nhwc": network.shape[3], "nchw": network.shape[1]}
    certain = [layout for layout in LAYOUTS if channels[layout] in (1, 3)]
    if told:
        if channels[told] in (1, 3, None):
            return told
        raise UserError(
            f"--extractor_layout {told} does not fit --extractor {path}, whose input is "
            f"{list(network.shape)}: expected 1 or 3 channels, received {channels[told]}."
        )
    if len(certain) == 1:
        return certain[0]
    raise UserError(
        f"The input {list(network.shape)} of --extractor {path} does not say where the channels "
        "are: use --extractor_layout nhwc or nchw."
    )


def _size(
    path: Path,
    fixed: tuple[int | None, int | None],
    told: tuple[int, int] | None,
    own: tuple[int, int],
) -> tuple[int, int]:
    """Returns the file's size, else the option's, else that of the images.

    Raises UserError if file and option disagree.
    """
    wanted = told or tuple(own)
    if told and any(side not in (None, other) for side, other in zip(fixed, told, strict=True)):
        raise UserError(
            f"--extractor_size {told[0]}x{told[1]} does not fit --extractor {path}: its input is "
            f"{fixed[0] or 'any'}x{fixed[1] or 'any'}; leave the option out."
        )
    return fixed[0] or wanted[0], fixed[1] or wanted[1]


def _range(path: Path, network: OpenedNetwork, told: str | None) -> str:
    whole = network.dtype == "uint8"
    if told:
        if whole and told != "0,255":
            raise UserError(
                f"--extractor_range {told} does not fit --extractor {path}, which takes integer "
                "levels: expected 0,255; leave the option out."
            )
        return told
    if whole or network.rescales:
        return "0,255"
    raise UserError(
        f"--extractor {path} does not say what range its input has: use --extractor_range, one of "
        f"{' '.join(RANGES)} (levels 0 to 255 are scaled to it)."
    )


def _in_range(levels: np.ndarray, name: str) -> np.ndarray:
    """Scales levels [N, H, W, C] in [0, 255] to one of `RANGES`, float32."""
    if name == "0,255":
        return levels
    if name == "-1,1":
        return to_float(levels)
    levels = levels / np.float32(255)
    if name == "0,1":
        return levels
    mean, deviation = np.float32(NORMALIZATIONS[name])
    return (levels - mean) / deviation
