"""Which labels can be learnt, and what is said where they cannot."""

import re

import numpy as np
import pytest

from dcgan import UserError
from dcgan.datasets.label_columns import MOST_CLASSES, choose, hint, matrix, problem, usable
from dcgan.datasets.source import Labels, Skipped, Summary


class Pictures:
    """A source of so many pictures with such labels."""

    name = "faces"

    def __init__(self, count=6, **labels):
        self.names = [f"{i}.png" for i in range(count)]
        self.labels = labels

    def __len__(self):
        return len(self.names)


def labels(*values, names=("a", "b")):
    return Labels(np.array(values, np.int32), tuple(names))


HAIR, EYES = labels(0, 1, 0, 1, 0, 1), labels(0, 0, 1, 1, 2, 2, names="xyz")


def test_all_columns_or_those_asked_for_in_their_order():
    source = Pictures(hair=HAIR, eyes=EYES)
    assert list(choose(source, None)) == ["hair", "eyes"]
    assert list(choose(source, "eyes, hair")) == ["eyes", "hair"]
    assert list(choose(source, "eyes")) == ["eyes"]
    assert matrix(source.labels, ["eyes", "hair"]).tolist()[4] == [2, 0]
    assert matrix(source.labels, ["eyes"]).dtype == np.int32


def test_a_hint_is_of_one_column_of_classes():
    assert "labels of 2 classes" in hint(Pictures(hair=HAIR))
    one, many = labels(0, 0, names="a"), labels(names=map(str, range(MOST_CLASSES + 1)))
    for others in ({}, {"hair": HAIR, "eyes": EYES}, {"one": one}, {"id": many}):
        assert hint(Pictures(**others)) == ""


@pytest.mark.parametrize(
    ("source", "wanted", "told"),
    [
        (Pictures(), None, "needs labels, and faces has none: put the pictures into one folder"),
        (Pictures(hair=HAIR), "hare", "names 'hare' (did you mean hair?), and the labels"),
        (Pictures(hair=HAIR, one=labels(0, 0, names="a")), None, "'one' of faces have 1 class:"),
        (
            Pictures(id=labels(names=[str(i) for i in range(MOST_CLASSES + 1)]), hair=HAIR),
            None,
            "'id' of faces have 1,001 classes: expected 2 to 1,000; name other columns with "
            "--label_columns, such as --label_columns hair.",
        ),
        (Pictures(**{f"n{i}": HAIR for i in range(65)}), None, "at most 64 can be learnt"),
    ],
)
def test_columns_that_cannot_be_learnt_are_refused(source, wanted, told):
    with pytest.raises(UserError, match=re.escape(told)):
        choose(source, wanted)


@pytest.mark.parametrize(
    ("values", "rows", "names", "told"),
    [
        (
            (0, -1, 0, -1, 0, 1),
            range(6),
            True,
            "2 of 6 .* no label 'hair' .such as 1.*, 3",
        ),
        ((0, -1, 0, -1, 0, 1), range(6), False, "2 of 6 pictures have no label 'hair': give"),
        ((0, -1, 0, -1, 0, 1), [0, 2, 4, 5], False, r"than 2 pictures: b \(1\); give them more"),
        ((1, 3, 3), range(3), False, r"2 pictures: a \(0\), b \(1\), c \(0\), \.\.\."),
    ],
)
def test_pictures_without_labels_and_classes_of_one_picture_are_problems(values, rows, names, told):
    known = "abcde" if max(values) > 1 else "ab"
    found = {"hair": labels(*values, names=known)}
    said = problem(found, np.array(rows), names=Pictures().names if names else ())
    assert re.search(told, said)
    assert problem({"hair": HAIR, "eyes": EYES}, np.arange(6)) == ""


def test_what_is_skipped_or_beyond_the_limit_needs_no_label():
    source = Pictures(hair=labels(0, -1, 0, 1, 1, -1))
    summary = Summary(6, (Skipped("1.png", "no picture"),), (), 3)
    assert usable(source, summary, None).tolist() == [0, 2, 3, 4, 5]
    assert usable(source, summary, 4).tolist() == [0, 2, 3, 4]
    assert problem(source.labels, usable(source, summary, 4), names=source.names) == ""
    assert usable(source, Summary(6, (), (), 3), 2).tolist() == [0, 1]
