"""checkpoints/classes.json: written, read, and believed in nothing."""

import json
import re

import numpy as np
import pytest

from dcgan import UserError
from dcgan.latent.labels import ClassTable
from dcgan.models import Generator
from dcgan.run import classes_file

NAMES = {"hair": ("black", "blue", "red"), "eyes": ("grün", "grey")}
LABELS = np.array([[0, 0], [0, 0], [2, 1], [1, 0]], np.int32)
TABLE = ClassTable.of(NAMES, LABELS, z_dim=5, z_dist="uniform_signed")


def generator(*classes: int) -> Generator:
    return Generator((8, 8, 1), z_dim=5, z_dist="uniform_signed", classes=classes)


def test_a_table_is_read_as_it_was_written(tmp_path):
    classes_file.write(tmp_path, TABLE)
    found = classes_file.read(tmp_path, generator(3, 2))
    assert found.names == NAMES and found.digest == TABLE.digest
    assert found.rows.dtype == np.int32 and (found.z_dim, found.z_dist) == (5, "uniform_signed")
    assert classes_file.read(tmp_path, generator()) is None  # whatever lies there


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"classes\.json is missing"):
        classes_file.read(tmp_path, generator(3, 2))


@pytest.mark.parametrize(
    "change",
    [
        {"names": ["hair"]},
        {"names": {"hair": "abc", "eyes": ["a", "b"]}},
        {"names": {"hair": ["a", "b", "c"], "eyes": ["a", 2]}},
        {"names": {"hair": ["a", "b"], "eyes": ["a", "b"]}},
        {"rows": [[0, 0], [1, 0], [2, 7]]},
        {"rows": [[0, 0], [1, 0], [2, -1]]},
        {"rows": [[0, 0], [1, 0], [2]]},
        {"rows": [[0, 0], [1, 0], 2]},
        {"rows": [[0, 0], [1, 0], [2, 0.5]]},
        {"rows": [], "counts": []},
        {"counts": [1, 2]},
        {"counts": [1, 2, 0]},
        {"counts": [1, 2, True]},
        {"counts": None},
    ],
)
def test_another_file_is_refused(tmp_path, change):
    classes_file.write(tmp_path, TABLE)
    path = tmp_path / classes_file.NAME
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(UserError, match="does not describe the classes"):
        classes_file.read(tmp_path, generator(3, 2))


def test_a_run_goes_on_with_its_own_classes_only(tmp_path):
    classes_file.refuse_other(tmp_path, NAMES)  # there is no file yet
    classes_file.write(tmp_path, TABLE)
    classes_file.refuse_other(tmp_path, NAMES)
    for now, told in (
        (
            {**NAMES, "eyes": ("green", "grey")},
            "are grün, grey, those of the data now green",
        ),
        ({"hair": NAMES["hair"]}, "its 'eyes' are grün, grey, those of the data now none"),
        ({**NAMES, "skin": ("a", "b")}, "its 'skin' are none, those of the data now a, b"),
        (dict(reversed(NAMES.items())), "other classes"),
    ):
        with pytest.raises(UserError, match=re.escape(told)):
            classes_file.refuse_other(tmp_path, now)
