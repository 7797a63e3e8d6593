"""The server of a model by class: classes by name in addresses, by number in TensorFlow Serving's
API."""

import json
import re
import shlex

import numpy as np
import pytest
from fastapi.testclient import TestClient
from running import ROOT
from serving_models import INFO, SIDE, Z_DIM, FakeModel, service_of, tensors

from dcgan.latent import class_words
from dcgan.serving import classes
from dcgan.serving.app import make_app
from dcgan.serving.tfserving_json import Signature

HAIR, EYES = ("black", "blue"), ("green", "light grey", "red")
KNOWN = [
    {"column": "hair", "input": "hair", "names": list(HAIR)},
    {"column": "eye color", "input": "eye_color", "names": list(EYES)},
]
PICTURE = (SIDE, SIDE, 3)


def by_class(known=KNOWN) -> FakeModel:
    """Notes what it is asked for; seed s has the classes s modulo their numbers."""
    names = [one["input"] for one in known]
    sizes = [len(one["names"]) for one in known]
    model = None

    def noted(signature, key, **inputs):
        asked = {name: inputs[name].tolist() for name in names if name in inputs}
        model.asked.append((signature, asked))
        return {key: np.zeros((len(next(iter(inputs.values()))), *PICTURE), np.uint8)}

    def png(**inputs):
        noted("png", "images", **inputs)
        return {"png_bytes": np.array([b"\x89PNG"] * len(inputs["seed"]), object)}

    def own(seed):
        return {n: (seed % size).astype(np.int32) for n, size in zip(names, sizes, strict=True)}

    labels = {name: ("int32",) for name in names}
    seed, pictures = {"seed": ("int64",)}, tensors(images=("uint8", *PICTURE))
    z = {"z": ("float32", Z_DIM)}
    signatures = {
        name: (Signature(tensors(**inputs), outputs), function)
        for first, outputs, function, plain in (
            (z, pictures, lambda **i: noted("z", "images", **i), "serving_default"),
            (seed, pictures, lambda **i: noted("generate", "images", **i), "generate"),
            (seed, tensors(png_bytes=("string",)), png, "png"),
        )
        for name, inputs in ((plain, first), (class_words.by_class(plain), first | labels))
    }
    signatures |= {
        "classes": (Signature(tensors(seed=("int64",)), tensors(**labels)), own),
    }
    model = FakeModel(1, signatures, {**INFO, "classes": known})
    model.asked = []
    return model


@pytest.fixture
def model():
    return by_class()


@pytest.fixture
def client(model, tmp_path):
    service = service_of(model, tmp_path, row_limit=8)
    with TestClient(make_app(service), raise_server_exceptions=False) as client:
        yield client


def documented_requests() -> list[str]:
    texts = (path.read_text("utf-8") for path in sorted(ROOT.glob("docs/*.md")))
    return re.findall(r"^curl .*", "\n".join(texts).replace("\\\n", " "), re.MULTILINE)


@pytest.mark.parametrize("line", documented_requests())
def test_the_requests_of_the_documents_are_answered(line, tmp_path):
    names = ["black", "blue", "green", "red"]
    model = by_class([{"column": c, "input": c, "names": names} for c in ("hair", "eyes")])
    words = shlex.split(line)
    address = next(word for word in words if word.startswith("http://127.0.0.1:8501/"))
    body = words[words.index("-d") + 1] if "-d" in words else None
    with TestClient(make_app(service_of(model, tmp_path))) as client:
        way = "POST" if body else "GET"
        answer = client.request(way, address.partition(":8501")[2], content=body)
    assert answer.status_code == 200, answer.text


def test_there_are_requests_in_the_documents():
    assert len(documented_requests()) >= 5


@pytest.mark.parametrize(
    ("query", "hair", "eyes"),
    [
        ("", -1, -1),
        ("?hair=blue", 1, -1),
        ("?hair=black&eye%20color=light%20grey", 0, 1),
        ("?other=blue", -1, -1),
    ],
)
@pytest.mark.parametrize("seed", [7, -7])  # by both routes
def test_a_picture_has_the_classes_of_its_address(client, model, query, hair, eyes, seed):
    assert client.get(f"/image/{seed}.png{query}").status_code == 200
    assert model.asked == [("png", {"hair": [hair], "eye_color": [eyes]})]


def test_each_class_is_another_picture_to_a_browser(client):
    tags = {
        client.get(f"/image/7.png{query}").headers["etag"]
        for query in ("", "?hair=blue", "?hair=black", "?eye%20color=green")
    }
    assert len(tags) == 4
    tag = client.get("/image/7.png?hair=blue").headers["etag"]
    again = client.get("/image/7.png?hair=blue", headers={"if-none-match": tag})
    assert again.status_code == 304
    assert client.get("/image/7.png", headers={"if-none-match": tag}).status_code == 200


@pytest.mark.parametrize("path", ["/image/7.png", "/image/-7.png", "/grid.png", "/interpolate.gif"])
def test_a_class_that_there_is_not_is_refused(client, model, path):
    params = {"hair": "bleu", "seeds": "1", "from": 1, "to": 2, "frames": 4}
    answer = client.get(path, params=params)
    assert answer.status_code == 400
    assert answer.json()["error"] == (
        "There is no class 'bleu' of hair (did you mean blue?): expected black, blue."
    )
    assert model.asked == []


@pytest.mark.parametrize("path", ["/image/7.png", "/image/-7.png", "/grid.png", "/interpolate.gif"])
def test_a_label_of_several_columns_is_refused(client, model, path):
    params = {"label": "blue", "seeds": "1", "from": 1, "to": 2, "frames": 4}
    answer = client.get(path, params=params)
    assert answer.status_code == 400
    assert "one of the columns hair, eye color." in answer.json()["error"]
    assert model.asked == []


def test_grids_have_one_class(client, model):
    assert client.get("/grid.png", params={"seeds": "1-3", "hair": "blue"}).status_code == 200
    ((signature, asked),) = model.asked  # of four rows, as batches have
    assert (signature, set(asked["hair"]), set(asked["eye_color"])) == ("generate", {1}, {-1})


def test_a_way_keeps_the_first_seeds_classes_or_those_asked_for(client, model):
    params = {"from": 5, "to": 6, "frames": 4, "hair": "black"}
    assert client.get("/interpolate.gif", params=params).status_code == 200
    assert model.asked == [("z", {"hair": [0] * 4, "eye_color": [5 % 3] * 4})]


def test_latent_vectors_are_drawn_of_the_classes_sent_with_them(client, model):
    z = [[0.0] * Z_DIM] * 2
    body = {"z": z, "labels": {"hair": "blue", "eye color": "red"}}
    assert client.post("/render", json=body).status_code == 200
    assert model.asked == [("z", {"hair": [1] * 2, "eye_color": [2] * 2})]
    for labels, hair in ((None, -1), ({}, -1), ({"hair": "blue"}, 1)):
        assert client.post("/render", json={"z": z, "labels": labels}).status_code == 200
        assert model.asked[-1] == ("z", {"hair": [hair] * 2, "eye_color": [-1] * 2})
    for labels in ({"hair": 1, "eye color": 2}, "blue", ["blue"], {"hare": "blue"}):
        answer = client.post("/render", json={"z": z, "labels": labels})
        assert answer.status_code == 400 and "hair, eye color" in answer.json()["error"]


@pytest.mark.parametrize(
    ("signature", "hair", "told"),
    [
        ("generate_by_class", [0, -1], None),
        ("generate_by_class", [0, 2], "from 0 to 1, or -1 for none in particular; received 2"),
        ("generate_by_class", [0, -2], "from 0 to 1, or -1 for none in particular; received -2"),
        ("by_class", [1, -1], None),
        ("by_class", [0, 2], "received 2"),
    ],
)
def test_tensorflow_servings_api_takes_numbers(client, model, signature, hair, told):
    first = {"seed": [1, 2]} if "generate" in signature else {"z": [[0.0] * Z_DIM] * 2}
    body = {"signature_name": signature, "inputs": {**first, "hair": hair, "eye_color": [2, 0]}}
    answer = client.post("/v1/models/dcgan:predict", content=json.dumps(body))
    if told is None:
        assert answer.status_code == 200 and model.asked[-1][1]["hair"] == hair
    else:
        assert answer.status_code == 400 and told in answer.json()["error"]
        assert model.asked == []


def test_one_column_is_asked_for_as_label(tmp_path):
    model = by_class([{"column": "digit", "input": "digit", "names": list("0123456789")}])
    with TestClient(make_app(service_of(model, tmp_path, row_limit=8))) as client:
        assert client.get("/image/7.png?label=3").status_code == 200
        assert client.get("/image/7.png?digit=4").status_code == 200
    assert [asked["digit"] for _, asked in model.asked] == [[3], [4]]


def test_the_explorers_first_wall_has_the_own_classes(model, tmp_path):
    with TestClient(make_app(service_of(model, tmp_path))) as client:
        own = ("generate", {"hair": [-1] * 64, "eye_color": [-1] * 64})
        assert model.asked == [own]  # when it was loaded
        assert client.get("/grid.png?seeds=0-47&columns=8").status_code == 200
        assert model.asked == [own]
        assert client.get("/grid.png?seeds=0-47&columns=8&hair=blue").status_code == 200
        assert model.asked[1:] == [("generate", {"hair": [1] * 64, "eye_color": [-1] * 64})]


@pytest.mark.parametrize(
    "known", [[{"column": "a", "input": "a", "names": "xyz"}], [{"column": "a"}], [7]]
)
def test_a_description_of_something_else_is_no_model(known):
    with pytest.raises((ValueError, TypeError, KeyError)):
        classes.columns_of({"classes": known})
