"""Exports the generator as a .keras file, for further work in Keras with this project's classes.

Unlike the other formats it holds layers, not a graph: `import dcgan.models` must come before
`keras.saving.load_model`.
"""

from pathlib import Path

from dcgan.export.format import Format, Subject
from dcgan.plain_path import plain


def _write(subject: Subject, path: Path, weights: str) -> None:
    with plain(path) as place:
        subject.generator.save(place)


FORMAT = Format(
    name="keras", target="generator.keras", write=_write, runtime="keras", labels="numbers"
)
