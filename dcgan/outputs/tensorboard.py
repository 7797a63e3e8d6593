"""Scalars and pictures for TensorBoard, if it is installed; a run without it loses nothing.

The same numbers and grids are always in metrics.jsonl and samples/.
"""

import errno
import logging
import os
import re
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from dcgan import extras

logger = logging.getLogger("dcgan")


def open_writer(folder: str | os.PathLike) -> "TensorBoardWriter | None":
    """Opens a writer into `folder`; logs a sentence and returns None without tensorboard.

    A resumed run opens the same folder again: TensorBoard joins its files into one curve.
    """
    # `tf.summary` raises at its first use without the package, which TensorFlow does not require.
    if extras.not_installed("tensorboard"):
        logger.info(
            "No curves for TensorBoard: it is not installed; %s",
            extras.install_command("tensorboard"),
        )
        return None
    return TensorBoardWriter(folder)


class TensorBoardWriter:
    def __init__(self, folder: str | os.PathLike):
        """Opens a new event file in `folder`, which is created if it does not exist.

        Raises:
            OSError: it cannot be written. TensorFlow calls a full disk a lack of memory.
        """
        try:
            # Bytes, as a name may not be UTF-8.
            self._writer = tf.summary.create_file_writer(os.fsencode(folder))
        except tf.errors.OpError as error:
            # It is "{{node}} PLACE; REASON" or "{{node}} SENTENCE [Op:...", and more lines.
            words = re.sub(r"^{{.*?}} | \[Op:.*", "", error.message.partition("\n")[0])
            raise OSError(errno.EIO, words.rpartition("; ")[2], os.fspath(folder)) from error

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        with self._writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=step)

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """Writes a picture, uint8 [height, width, 1 or 3]."""
        with self._writer.as_default():
            tf.summary.image(name, image[np.newaxis], step=step)
        self._writer.flush()  # pictures are rare, so a crash must not lose them

    def close(self) -> None:
        self._writer.close()
