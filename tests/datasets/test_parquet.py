"""Parquet files of pictures, written by pyarrow as Hugging Face's datasets write them."""

import json
import pickle
import sys
import types

import numpy as np
import pytest
from pictures import bomb, damaged, decoded, fill, noise, read_or_refused, reasons, red, sentence

from dcgan import UserError
from dcgan.datasets import catalog, parquet
from dcgan.datasets.picture_formats import UnusableFile

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pq = pytest.importorskip("pyarrow.parquet")

PICTURES = [noise("PNG", 8 + i) for i in range(12)]
CLASSES = ["cat", "dog", "emu"]


def write(path, pictures, labels=None, *, names=CLASSES, column="image", group=5, **more):
    """A shard; groups of a few rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [{"bytes": data, "path": f"{i}.png"} for i, data in enumerate(pictures)]
    columns = {column: pa.array(cells, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))}
    features = {column: {"_type": "Image"}}
    if labels is not None:
        columns["label"] = pa.array(labels, pa.int64())
        features["label"] = {"names": names, "_type": "ClassLabel"}
    notes = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table(columns | more).replace_schema_metadata(notes)
    pq.write_table(table, path, row_group_size=group)
    return path


def find(path, **options):
    return catalog.find(str(path), "none", **options)


def test_one_file(tmp_path):
    labels = [i % 3 for i in range(12)]
    source = find(write(tmp_path / "faces.parquet", PICTURES, labels))
    folder = find(fill(tmp_path / "in", {f"{i:02}.png": d for i, d in enumerate(PICTURES)}))
    for again in (source, pickle.loads(pickle.dumps(source))):
        np.testing.assert_array_equal(decoded(again).images, decoded(folder).images)
        assert [again.open(i).read() for i in (11, 0, 7)] == [PICTURES[i] for i in (11, 0, 7)]
    assert source.labels["label"].names == tuple(CLASSES)
    assert source.labels["label"].values.tolist() == labels
    assert source.summary() == folder.summary() and len(find(tmp_path / "faces.parquet")) == 12
    assert len(catalog.find("faces", str(tmp_path))) == 12


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("data/train-{}-of-00002.parquet", "data/test-{}-of-00002.parquet"),
        ("train-{}-of-2-ab12.parquet", "validation-{}-of-2.parquet"),
        ("default/train/{}.parquet", "default/test/{}.parquet"),
    ],
)
def test_shards_in_a_folder(tmp_path, train, test):
    for i in range(2):
        write(tmp_path / "a" / train.format(f"{i:05}"), PICTURES[5 * i : 5 * i + 5], [i] * 5)
        write(tmp_path / "a" / test.format(f"{i:05}"), PICTURES[10 + i : 11 + i], [2 - i])
    fill(tmp_path / "a", {"README.md": b"words", ".gitattributes": b"x"})
    source = find(tmp_path / "a")
    assert [source.open(i).read() for i in range(len(source))] == PICTURES[:10]
    assert source.labels["label"].values.tolist() == [0] * 5 + [1] * 5
    other = "val" if "validation" in test else "test"
    assert source.parts == {"train": 10, other: 2} and "using train" in source.notes[0]
    test_part = find(tmp_path / "a", splits=[other])
    assert [test_part.open(i).read() for i in range(2)] == PICTURES[10:]
    assert test_part.labels["label"].values.tolist() == [2, 1]
    assert len(find(tmp_path / "a", splits=["train", other])) == 12
    with pytest.raises(UserError, match="has no --splits extra: its splits are train, "):
        find(tmp_path / "a", splits=["extra"])


def test_other_columns(tmp_path):
    img = find(write(tmp_path / "cifar.parquet", PICTURES, column="img"))
    assert len(decoded(img).indices) == 12 and img.labels == {}
    for kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())):
        bare = {
            "jpg": pa.array(PICTURES),
            "label": pa.array(["b", "a"] * 6, pa.string()).cast(kind),
        }
        pq.write_table(pa.table(bare), tmp_path / "bare.parquet", row_group_size=5)
        source = find(tmp_path / "bare.parquet")
        assert len(decoded(source).indices) == 12 and source.labels["label"].names == ("a", "b")
        assert source.labels["label"].values.tolist() == [1, 0] * 6
    secret = find(write(tmp_path / "secret.parquet", PICTURES, [-1] * 12))
    assert secret.labels == {}
    half = find(write(tmp_path / "half.parquet", PICTURES, [1, None] * 6))
    assert half.labels == {}


def test_pictures_beside_a_table_of_notes(tmp_path):
    """Such as metadata.parquet of an image folder."""
    fill(tmp_path / "a", {"a.png": red(), "b.png": red()})
    pq.write_table(pa.table({"file_name": ["a.png", "b.png"]}), tmp_path / "a" / "metadata.parquet")
    assert find(tmp_path / "a").names[:2] == ["a.png", "b.png"]


def test_rows_that_cannot_be_used(tmp_path):
    rows = [red(), None, b"words", bomb(), b"", noise("PNG")[:500]]
    got = reasons(find(write(tmp_path / "a.parquet", rows)))
    assert list(got.values()) == [
        "a row without the bytes of a picture",
        "not an image",
        "more than the limit of 100,000,000 pixels",
        "empty file",
        "truncated",
    ]


def test_what_is_said_of_other_files(tmp_path, monkeypatch):
    pq.write_table(pa.table({"text": ["a"], "n": [1]}), tmp_path / "text.parquet")
    assert "has no column of encoded pictures" in sentence(tmp_path / "text.parquet")
    data = write(tmp_path / "a.parquet", PICTURES).read_bytes()
    for cut in (data[:-30], data[: len(data) // 2], b"PAR1", b"PAR1" + bytes(100) + b"PAR1"):
        (tmp_path / "cut.parquet").write_bytes(cut)
        assert "is not a complete Parquet file" in sentence(tmp_path / "cut.parquet")
    assert "no rows" in sentence(write(tmp_path / "none.parquet", []))
    table = pq.read_table(tmp_path / "a.parquet")
    twice = pa.table([*table.columns, *[pa.array(range(12))] * 2], ["image", "n", "n"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    assert "several columns of the same name (n)" in sentence(tmp_path / "twice.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "run pip install" in sentence(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    "notes", [b"words", b"[]", b'{"info": 3}', b'{"info": {"features": [1]}}', b"[" * 100_000]
)
def test_notes_are_not_believed(tmp_path, notes):
    table = pq.read_table(write(tmp_path / "a.parquet", PICTURES, [0] * 12))
    pq.write_table(table.replace_schema_metadata({"huggingface": notes}), tmp_path / "b.parquet")
    assert len(decoded(find(tmp_path / "b.parquet")).indices) == 12
    names = write(tmp_path / "c.parquet", PICTURES, [7] * 12, names=[1, 2])
    assert find(names).labels["label"].names == ("7",)


def test_a_group_of_rows_larger_than_memory_is_not_read(tmp_path, monkeypatch):
    source = find(write(tmp_path / "a.parquet", PICTURES))
    monkeypatch.setattr(parquet, "free_memory", lambda: 100)
    assert set(reasons(source).values()) == {"not enough memory for its group of rows"}


def test_a_row_that_stands_for_many_is_not_read_as_many(tmp_path, monkeypatch):
    """Of a picture that comes 2000 times the file holds one, and says so; together 200 MB."""
    rows = pa.table({"jpg": pa.array([red() + bytes(100_000)] * 2000, pa.binary())})
    pq.write_table(rows, tmp_path / "a.parquet", dictionary_pagesize_limit=1 << 26)
    assert (tmp_path / "a.parquet").stat().st_size < 20_000
    source = find(tmp_path / "a.parquet")
    with monkeypatch.context() as patch:
        patch.setattr(parquet, "free_memory", lambda: 40_000_000)
        before, pool = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
        pa.set_memory_pool(pool)
        try:
            with pytest.raises(UnusableFile, match="not enough memory for its group of rows"):
                source.open(0)
        finally:
            pa.set_memory_pool(before)
        assert pool.max_memory() < 40_000_000
        patch.setattr(parquet, "free_memory", lambda: 390_000_000)
        with pytest.raises(UnusableFile, match="not enough memory for its group of rows"):
            source.open(0)
    assert source.open(1999).read(len(red())) == red()


def test_rows_that_take_no_room_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "MOST_ROWS", 9000)
    for name, count in (("a", 10_000), ("b/1", 5000), ("b/2", 5000)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pq.write_table(
            pa.table({"jpg": pa.nulls(count, pa.binary())}), tmp_path / f"{name}.parquet"
        )
    for place in ("a.parquet", "b"):
        assert "states 10,000 rows, more than pictures have room" in sentence(tmp_path / place)
    monkeypatch.setattr(parquet, "MOST_ROWS", 10_000)  # a file may be smaller than its rows
    assert len(find(tmp_path / "a.parquet")) == len(find(tmp_path / "b")) == 10_000
    facts = types.SimpleNamespace(num_row_groups=1, row_group=lambda i: facts, num_rows=-5)
    monkeypatch.setattr(parquet, "_open", lambda shard: types.SimpleNamespace(metadata=facts))
    assert "a negative number of rows" in sentence(tmp_path / "a.parquet")


def test_no_damage_whatsoever_raises(tmp_path):
    whole = write(tmp_path / "a.parquet", PICTURES, [0, 1] * 6).read_bytes()
    for data in damaged(whole, 120, slice(-1200, None)):  # the footer
        (tmp_path / "b.parquet").write_bytes(data)
        read_or_refused(lambda: find(tmp_path / "b.parquet"))
