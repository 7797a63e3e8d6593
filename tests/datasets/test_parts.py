"""Folders train, test and val are parts of a data set, whose classes lie below them."""

import pytest
from learnt import learnt_run
from pictures import decoded, fill, pack, png, red
from running import small_flags

import main
from dcgan import UserError
from dcgan.datasets import catalog
from dcgan.files import read_json_lines


def files(*names: str) -> dict[str, bytes]:
    return {name: red() for name in names}


def parts(path) -> dict[str, list[str]]:
    """What each part holds."""
    there = catalog.find(str(path), "none").parts
    return {part: catalog.find(str(path), "none", splits=[part]).names for part in there}


KAGGLE = files(
    *("train/cats/1.png", "train/cats/2.png", "train/dogs/3.png"),
    *("test/cats/4.png", "test/dogs/5.png", "val/dogs/6.png", "val/cats/7.png"),
)
EXPECTED = {
    "train": ["cats/1.png", "cats/2.png", "dogs/3.png"],
    "test": ["cats/4.png", "dogs/5.png"],
    "val": ["cats/7.png", "dogs/6.png"],
}


def renamed(**folders: str) -> dict[str, bytes]:
    """KAGGLE with other names for its folders."""
    return {folders[(p := n.partition("/"))[0]] + p[1] + p[2]: KAGGLE[n] for n in KAGGLE}


LAYOUTS = {
    "kaggle": KAGGLE,
    "long": renamed(train="Training", test="TESTING", val="Validation"),
    "short": renamed(train="train", test="Test", val="valid"),
    "wrapped": {f"archive/data/{name}": data for name, data in KAGGLE.items()},
    "numbered": renamed(train="train2017", test="test2014", val="val2017"),
    "sets": renamed(train="training_set", test="test_set", val="val_set"),
    "twice": renamed(train="seg_train/seg_train", test="seg_test/seg_test", val="seg_val"),
    "middle": renamed(train="DIV2K_train_HR", test="DIV2K_test_HR", val="DIV2K_valid_HR"),
    "lists": KAGGLE | {"readme.md": b"words", "labels/a.txt": b"1", "labels/b.txt": b"2"},
    "beside": KAGGLE | files("sample/8.png", "loose.png"),
    "again": {f"x/{name}": data for name, data in (KAGGLE | files("x/train/cats/1.png")).items()},
    "unsafe": KAGGLE | files("../train/cats/0.png", "test/../../x.png"),  # in a zip
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_parts_are_told_by_their_folders(tmp_path, layout):
    made = LAYOUTS[layout]
    zipped = layout in ("kaggle", "wrapped", "unsafe")
    path = pack(tmp_path / "a.zip", made) if zipped else fill(tmp_path / "a", made)
    found = {
        part: [name.replace("seg_train/", "").replace("seg_test/", "") for name in names]
        for part, names in parts(path).items()
    }
    prefix = next(iter(found["train"])).partition("cats")[0]
    assert found == {part: [prefix + name for name in names] for part, names in EXPECTED.items()}
    for part in EXPECTED:
        source = catalog.find(str(path), "none", splits=[part])
        labels = source.labels["label"]
        assert labels.names == ("cats", "dogs")
        assert all(labels.names[v] in n for v, n in zip(labels.values, source.names, strict=True))
        assert len(decoded(source).indices) == len(source)


def test_train_is_what_is_learnt_from(tmp_path):
    path = fill(tmp_path / "a", KAGGLE)
    default = catalog.find(str(path), "none")
    assert default.names == EXPECTED["train"]
    for word in ("train", "Training", "TRAIN", " train"):
        assert catalog.find(str(path), "none", splits=[word]).names == default.names
    assert default.parts == {"train": 3, "test": 2, "val": 2}
    assert "train (3 files), test (2 files), val (2 files): using train" in default.notes[0]
    assert "--splits train,test,val" in default.notes[0]


def test_several_parts_together(tmp_path):
    path = fill(tmp_path / "a", KAGGLE)
    source = catalog.find(str(path), "none", splits=["train", "Validation"])
    assert source.names == sorted(EXPECTED["train"] + EXPECTED["val"])
    labels = source.labels["label"]
    assert [labels.names[v] for v in labels.values] == [n.partition("/")[0] for n in source.names]
    prints = {catalog.find(str(path), "none", splits=[s]).fingerprint for s in EXPECTED}
    assert len(prints | {source.fingerprint}) == 4


def test_a_class_has_the_same_number_in_every_part(tmp_path):
    made = files("train/b/1.png", "train/c/2.png", "test/a/3.png", "test/c/4.png", "test/b/5.png")
    path = str(fill(tmp_path / "a", made))
    train, test = (
        catalog.find(path, "none", splits=[s]).labels["label"] for s in ("train", "test")
    )
    assert train.names == ("b", "c") and test.names == ("b", "c", "a")
    assert test.values.tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("made", "has_labels"),
    [
        (files("train/1.png", "train/2.png", "test/3.png"), False),
        (files("train/a/1.png", "train/b/2.png", "test/3.png"), True),  # test has no classes
        (files("train/images/1.png", "test/images/2.png"), False),
        (files("train/images/1.png", "test/images/2.png") | {"train/labels/1.txt": b"x"}, False),
    ],
)
def test_parts_need_no_classes(tmp_path, made, has_labels):
    path = str(fill(tmp_path / "a", made))
    assert bool(catalog.find(path, "none").labels) == has_labels
    assert catalog.find(path, "none", splits=["train", "test"]).labels == {}


def test_parts_below_each_class(tmp_path):
    made = files("cats/train/1.png", "cats/test/2.png", "dogs/train/3.png", "dogs/test/4.png")
    path = fill(tmp_path / "a", made)
    assert parts(path) == {
        "train": ["cats/1.png", "dogs/3.png"],
        "test": ["cats/2.png", "dogs/4.png"],
    }
    assert catalog.find(str(path), "none").labels["label"].names == ("cats", "dogs")


@pytest.mark.parametrize(
    "made",
    [
        files("train/1.png", "car/2.png", "plane/3.png"),  # vehicles
        files("test_tube/1.png", "train_track/2.png"),
        files("bullet_train/1.png", "steam_train/2.png"),
        files("train/1.png", "train2/2.png"),
        files("contest/1.png", "valid8/2.png"),
        files("cats/train/1.png", "cats/test/2.png", "dogs/more/3.png"),
    ],
)
def test_what_stays_a_class(tmp_path, made):
    source = catalog.find(str(fill(tmp_path / "a", made)), "none")
    assert source.names == sorted(made) and source.parts == {}
    tops = {name.partition("/")[0] for name in made}
    assert set(source.labels["label"].names) == tops
    with pytest.raises(UserError, match="has no splits"):
        catalog.find(str(tmp_path / "a"), "none", splits=["test"])


def test_what_is_said_of_other_parts(tmp_path):
    path = str(fill(tmp_path / "a", files("test/1.png", "val/2.png")))
    with pytest.raises(
        UserError, match="has no --splits train: its splits are test, val; .*--splits test"
    ):
        catalog.find(path, "none")
    with pytest.raises(UserError, match="has no --splits test,extra"):
        catalog.find(path, "none", splits=["test", "extra"])
    beside = catalog.find(str(fill(tmp_path / "b", LAYOUTS["beside"])), "none")
    assert beside.notes[0].endswith("Anything beside them is left out: sample.")


# ---- training and evaluation ----


def kaggle(folder, train: int, test: int):
    names = [f"{'train' if i < train else 'test'}/{i % 2}/{i}.png" for i in range(train + test)]
    return fill(folder, {name: png(i, width=16, height=16) for i, name in enumerate(names)})


def test_training_says_what_it_leaves_out(tmp_path, capsys):
    path = kaggle(tmp_path / "faces", 16, 12)
    assert main.main([*small_flags(path, tmp_path), "--dry_run"]) == 0
    said = capsys.readouterr().out
    assert "faces: 16 found, 16 used" in said
    assert "using train; --splits train,test takes them all" in said


def test_evaluation_takes_the_test_part(tmp_path):
    path = kaggle(tmp_path / "faces", 130, 110)
    run_root = learnt_run(tmp_path, {}, shape=(16, 16, 3), dataset=str(path))
    flags = ["evaluate", "--run_dir", run_root, "--metrics", "precision", "--num_images", 100]
    flags = [*map(str, flags), "--extractor", "pixels"]
    for more in ([], ["--split", "Training"]):
        assert main.main([*flags, *more]) == 0
    test, train = read_json_lines(run_root / "evaluation" / "precision-100-pixels.jsonl")
    assert (test["split"], train["split"]) == ("test", "Training")
    assert test["real_count"] == train["real_count"] == 100
    assert test["data"] != train["data"]
