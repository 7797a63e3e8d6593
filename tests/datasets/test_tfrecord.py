"""TFRecord shards: what pack writes, what `--dataset` reads, what is refused."""

import gzip
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from pictures import decoded, fill, grains, png, red
from running import content, kill_when, python, run, write_pictures
from tfrecords import example, write

import main
from dcgan import UserError
from dcgan.datasets import catalog, tfrecord
from dcgan.datasets.folder import find
from dcgan.datasets.picture_formats import UnusableFile
from dcgan.datasets.source import ImageSpec
from dcgan.datasets.tfrecord import TFRecordSource
from dcgan.preparation.pack import PackOptions, pack

SPEC = ImageSpec(10, 12, 3)
# The names that tensorflow/models and the image data sets of TensorFlow use.
FEATURES = {
    "image/encoded": tf.io.FixedLenFeature([], tf.string),
    "image/format": tf.io.FixedLenFeature([], tf.string),
    "image/height": tf.io.FixedLenFeature([], tf.int64),
    "image/width": tf.io.FixedLenFeature([], tf.int64),
    "image/class/label": tf.io.FixedLenFeature([], tf.int64, -1),
    "image/class/text": tf.io.FixedLenFeature([], tf.string, ""),
    "image/filename": tf.io.FixedLenFeature([], tf.string),
}


def noises(folder: Path, count: int, labels: str = ".") -> Path:
    """Pictures, each in a folder for a letter of `labels`; all of 12x10 pixels, so 450 bytes."""
    return fill(folder, {f"{labels[i % len(labels)]}/{i:03d}.png": png(i) for i in range(count)})


def packed(folder: Path, to, *, shard_bytes: int = 1 << 20, **recipe) -> TFRecordSource:
    pack(find(folder), str(to), PackOptions(**recipe), shard_bytes=shard_bytes, workers=1)
    return catalog.find(str(to), "data")


GOOD, GOOD_3 = example(image_encoded=red()), example(image_encoded=red(), image_class_label=3)


def test_tensorflow_reads_the_shards_by_their_usual_names(tmp_path):
    folder = noises(tmp_path / "in", 12, labels="ab")
    packed(folder, tmp_path / "out", shard_bytes=3000)
    shards = sorted(str(path) for path in (tmp_path / "out").glob("*.tfrecord"))
    assert [Path(shard).name for shard in shards] == [f"train-{i:05d}.tfrecord" for i in range(4)]
    records = tf.data.TFRecordDataset(shards).map(lambda r: tf.io.parse_single_example(r, FEATURES))
    found = list(records.as_numpy_iterator())
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))
    assert [record["image/filename"].decode() for record in found] == names
    for name, record in zip(names, found, strict=True):
        pixels = tf.io.decode_image(record["image/encoded"]).numpy()
        assert np.array_equal(pixels, grains(int(Path(name).stem)))
        assert (record["image/height"], record["image/width"]) == (10, 12)
        assert record["image/format"] == b"png"
        assert record["image/class/text"].decode() == name[0]
        assert record["image/class/label"] == "ab".index(name[0])


def test_a_shard_is_full_at_its_size(tmp_path):
    packed(noises(tmp_path / "in", 30), tmp_path / "out", shard_bytes=4000)
    sizes = [path.stat().st_size for path in sorted((tmp_path / "out").glob("*.tfrecord"))]
    # A record has about 700 bytes and 16 more in the file: a shard ends when a further one would
    # not fit.
    assert len(sizes) > 4 and max(sizes) < 4200 and min(sizes[:-1]) > 3000


def test_the_shards_are_read_as_the_folder_is(tmp_path):
    folder = noises(tmp_path / "in", 12, labels="abc")
    source = packed(folder, tmp_path / "out", shard_bytes=3000)
    plain = find(folder)
    assert len(source) == len(plain) == 12
    assert np.array_equal(decoded(source, SPEC).images, decoded(plain, SPEC).images)
    backwards = source.decode([11, 0, 5], SPEC)
    assert np.array_equal(backwards.images, plain.decode([11, 0, 5], SPEC).images)
    assert source.labels["label"].names == plain.labels["label"].names
    assert np.array_equal(source.labels["label"].values, plain.labels["label"].values)
    assert source.summary().sizes == plain.summary().sizes
    sent = pickle.loads(pickle.dumps(source))
    assert np.array_equal(sent.decode([3], SPEC).images, plain.decode([3], SPEC).images)


def test_shards_are_packed_again_with_their_labels(tmp_path):
    source = packed(noises(tmp_path / "in", 8, labels="ab"), tmp_path / "out")
    pack(source, str(tmp_path / "again.zip"), PackOptions(), workers=1)
    again = catalog.find(str(tmp_path / "again.zip"), "data")
    assert np.array_equal(decoded(again, SPEC).images, decoded(source, SPEC).images)
    assert again.labels["label"].names == ("a", "b")
    assert np.array_equal(again.labels["label"].values, source.labels["label"].values)


def test_splits_are_shards_of_their_own(tmp_path):
    train = packed(noises(tmp_path / "in", 60), tmp_path / "out", split=0.3, size=8)
    out = str(tmp_path / "out")
    test, both = (catalog.find(out, "data", splits=s) for s in (("test",), ("train", "test")))
    assert len(train) + len(test) == len(both) == 60 and len(test) > 0
    assert len({train.fingerprint, test.fingerprint, both.fingerprint}) == 3
    pack(find(tmp_path / "in"), str(tmp_path / "o.zip"), PackOptions(split=0.3, size=8), workers=1)
    zipped = catalog.find(str(tmp_path / "o.zip"), "data", splits=("test",))
    small = ImageSpec(8, 8, 3)
    assert np.array_equal(decoded(test, small).images, decoded(zipped, small).images)
    with pytest.raises(UserError, match="its splits are train, test"):
        catalog.find(out, "data", splits=("extra",))


def test_an_address_is_read_and_written(tmp_path):
    """ram:// is a file system of TensorFlow's own in memory: it stands for gs://."""
    place = "ram://bucket/anime"
    folder = noises(tmp_path / "in", 5)
    for _ in range(2):  # its own folder is replaced
        source = packed(folder, place, shard_bytes=2000)
    assert np.array_equal(decoded(source, SPEC).images, decoded(find(folder), SPEC).images)
    one = catalog.find(f"{place}/train-00001.tfrecord", "data")
    assert 0 < len(one) < len(source) == 5
    with pytest.raises(UserError, match="ram://bucket/none does not exist"):
        catalog.find("ram://bucket/none", "data")
    with tf.io.gfile.GFile("ram://bucket/mine/x.txt", "w") as file:
        file.write("x")
    with pytest.raises(UserError, match="not written by pack"):
        packed(folder, "ram://bucket/mine")
    with pytest.raises(UserError, match="nowhere://bucket/x cannot be read"):
        catalog.find("nowhere://bucket/x", "data")
    with pytest.raises(UserError, match="nowhere://bucket/x could not be written"):
        packed(folder, "nowhere://bucket/x")


def test_shards_of_others(tmp_path):
    jpeg, cat = red("JPEG", quality=95), {"image_class_label": 7, "image_class_text": b"cat"}
    shards = (
        [example(image_encoded=data, **cat) for data in (jpeg, jpeg[:200])],
        [GOOD_3, b"\xff\xff no example", example(image_class_label=3)],
    )
    for i, records in enumerate(shards):
        write(tmp_path / "set" / f"cats.tfrecord-0000{i}-of-00002", records)
    source = catalog.find("set", str(tmp_path))
    result = decoded(source)
    assert (len(source), result.indices) == (5, [0, 2])
    assert [(item.name, item.reason) for item in result.skipped] == [
        ("cats-00000-of-00002-000001", "truncated"),
        ("cats-00001-of-00002-000001", "a damaged record"),
        ("cats-00001-of-00002-000002", "a record without image/encoded"),
    ]
    assert source.labels["label"].names == ("3", "cat")
    assert source.labels["label"].values[[0, 2]].tolist() == [1, 0]
    second = catalog.find("set", str(tmp_path), pattern="*-00001-*")
    assert len(second) == 3


def test_the_manifest_of_an_unpacked_zip_says_nothing_of_shards(tmp_path):
    pack(find(noises(tmp_path / "in", 2)), str(tmp_path / "a.zip"), PackOptions(), workers=1)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(tmp_path / "set")
    write(tmp_path / "set" / "a.tfrecord", [GOOD])
    assert len(catalog.find(str(tmp_path / "set"), "data")) == 1


def test_without_a_label_in_every_record_there_are_none_and_none_is_read_unasked(tmp_path):
    source = TFRecordSource(write(tmp_path / "a.tfrecord", [GOOD_3, GOOD]))
    assert source.fingerprint and not {"_records", "names", "labels"} & source.__dict__.keys()
    assert source.labels == {}


UNREADABLE = {
    "compressed": (lambda data: gzip.compress(data), "holds no complete record at byte 0"),
    "text": (lambda data: b"hello\n" * 9, "holds no complete record at byte 0"),
    "empty": (lambda data: b"", "are empty"),
    "another kind": (lambda data: record(example(text=b"x")), "received the features text"),
    "no example": (lambda data: record(b"\xff\xff\xff"), "received something else"),
    "cut short": (
        lambda data: (data * 2)[:-3],
        f"a.tfrecord holds no complete record at byte {len(GOOD) + 16}",
    ),
    "an absurd length": (lambda data: head(1 << 62) + data, "holds no complete record at byte 0"),
    "the most": (lambda data: head((1 << 64) - 1) + data, "holds no complete record at byte 0"),
}


def masked_crc(data: bytes) -> bytes:
    """Bit by bit: CRC-32C (polynomial 0x1EDC6F41, reflected), masked as TFRecords have it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def head(length: int) -> bytes:
    number = struct.pack("<Q", length)
    return number + masked_crc(number)


def record(data: bytes) -> bytes:
    return head(len(data)) + data + masked_crc(data)


def test_one_flipped_bit_is_seen_wherever_it_is(tmp_path):
    """In the data and its checksum the record is skipped; in its length nothing after it is found,
    so the shard is refused; in the length's checksum the record is skipped."""
    # Uncompressed pixels: most flips decode without complaint, into another picture.
    bitmap = example(image_encoded=png(0, "BMP"))
    path = write(tmp_path / "a.tfrecord", [bitmap])
    assert (one := path.read_bytes()) == record(bitmap)
    random = np.random.default_rng(0)
    places = [*range(12), *random.integers(12, len(one), 40).tolist(), len(one) - 1]
    for place in places:
        changed = bytearray(one)
        changed[place] ^= 1 << int(random.integers(8))
        path.write_bytes(one + bytes(changed) + one)
        if place < 8:
            with pytest.raises(UserError, match="holds no complete record at byte"):
                len(TFRecordSource(path))
            continue
        result = decoded(TFRecordSource(path), SPEC)
        assert result.indices == [0, 2], place
        assert [(s.name, s.reason) for s in result.skipped] == [("a-000001", "a damaged record")]


def test_a_damaged_first_record_is_skipped_as_any_other(tmp_path):
    one = record(GOOD)
    (tmp_path / "a.tfrecord").write_bytes(one[:-1] + bytes([one[-1] ^ 1]) + one)
    source = catalog.find(str(tmp_path / "a.tfrecord"), "data")
    assert decoded(source).indices == [1]


@pytest.mark.parametrize(
    ("text", "name"),
    [(b"x" * 1_000_000, "x" * 1000), (b"caf\xe9", "caf\N{REPLACEMENT CHARACTER}")],
)
def test_a_text_of_any_length_in_any_encoding_is_a_name(tmp_path, text, name):
    records = [example(image_encoded=red(), image_class_label=1, image_class_text=text)]
    source = TFRecordSource(write(tmp_path / "a.tfrecord", records))
    assert source.labels["label"].names == (name,)


def test_other_checks_are_another_source_and_a_shard_that_shrinks_is_damaged(tmp_path, monkeypatch):
    path = write(tmp_path / "a.tfrecord", [GOOD] * 3)
    source = TFRecordSource(path)
    assert len(source) == 3 and TFRecordSource(path).fingerprint == source.fingerprint
    monkeypatch.setattr(tfrecord, "CHECKS", tfrecord.CHECKS + 1)
    assert TFRecordSource(path).fingerprint != source.fingerprint
    path.write_bytes(b"")
    with pytest.raises(UnusableFile, match="a damaged record"):
        source._record(0, 0)


def with_manifest(folder: Path, shards) -> str:
    write(folder / "outside.tfrecord", [GOOD])
    write(folder / "set" / "train-00000.tfrecord", [GOOD])
    about = {"format": "dcgan pack 1", "split": 0.0, "shards": shards}
    text = "[" * 1_000_000 if shards == "nested" else json.dumps(about)
    (folder / "set" / "manifest.jsonl").write_text(text)
    return str(folder / "set")


@pytest.mark.parametrize(
    ("shards", "words"),
    [
        (["../outside.tfrecord"], "names the shard '../outside.tfrecord', which is not"),
        (["/etc/passwd"], "names the shard '/etc/passwd', which is not"),
        ([7], "names the shard 7, which is not"),
        ([], "There are no files in"),
    ],
)
def test_a_manifest_that_names_files_elsewhere_is_refused(tmp_path, shards, words):
    with pytest.raises(UserError, match=words):
        catalog.find(with_manifest(tmp_path, {"train": shards}), "data")


@pytest.mark.parametrize("shards", [{"train": "train-00000.tfrecord"}, None, ["a"], "nested"])
def test_a_manifest_of_another_shape_is_not_ours(tmp_path, shards):
    assert len(catalog.find(with_manifest(tmp_path, shards), "data")) == 1


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_holds_no_pictures_is_refused(tmp_path, case):
    change, words = UNREADABLE[case]
    path = write(tmp_path / "a.tfrecord", [GOOD])
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError, match=words):
        len(catalog.find(str(path), "data"))


def test_what_pack_did_not_write_is_not_touched(tmp_path):
    folder = noises(tmp_path / "in", 2)
    write(tmp_path / "theirs" / "train-00000.tfrecord", [GOOD])
    (tmp_path / "file").write_bytes(b"x")
    before = content(tmp_path)
    for to in (tmp_path / "theirs", tmp_path / "file"):
        with pytest.raises(UserError, match="not written by pack"):
            packed(folder, to)
    with pytest.raises(UserError, match="could not be written"):
        packed(folder, tmp_path / "file" / "out")
    assert content(tmp_path) == before
    source = find(folder)
    for name in source.names:
        (folder / name).write_bytes(b"no picture any more")
    with pytest.raises(UserError, match="no usable picture"):
        pack(source, str(tmp_path / "out"), PackOptions())
    assert not (tmp_path / "out").exists()


def test_packing_again_replaces_shards_and_nothing_else(tmp_path):
    packed(noises(tmp_path / "in", 20), tmp_path / "out", shard_bytes=2000)
    (tmp_path / "out" / "notes.txt").write_text("mine")
    for path in list((tmp_path / "in").iterdir())[1:]:
        path.unlink()
    assert len(packed(tmp_path / "in", tmp_path / "out")) == 1
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {"train-00000.tfrecord", "manifest.jsonl", "notes.txt"}


@pytest.mark.slow
def test_killed_and_run_again_the_shards_are_the_same(tmp_path, capsys):
    """A shard has at least a megabyte: 250 pictures of 64x64 are three of them."""
    folder = write_pictures(tmp_path / "in", 250, (64, 64))
    line = ("pack", "--from", folder, "--shard_size", "1", "--to")
    to = tmp_path / "cut"
    assert main.main([*map(str, line), str(tmp_path / "whole")]) == 0
    unfinished = to / "pack-unfinished"
    kill_when((*line, to), lambda: (to / "train-00001.tfrecord").exists(), unfinished.exists)
    assert main.main(["--dataset", str(to), "--dry_run"]) == 2
    assert "run the same pack command again" in capsys.readouterr().err
    assert run(*line, to).returncode == 0
    assert content(to) == content(tmp_path / "whole")
    assert len(content(to)) > 2


def test_workers_of_other_sources_need_no_tensorflow(tmp_path):
    fill(tmp_path, {"a.png": red()})
    code = (
        "import sys; from dcgan.datasets import catalog; catalog.find(sys.argv[1], 'data');"
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert python("-c", code, tmp_path).returncode == 0
