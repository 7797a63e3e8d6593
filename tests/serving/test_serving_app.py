"""The endpoints, with models in NumPy: answers as documented, and every refusal a sentence."""

import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image, ImageSequence
from serving_models import SIDE, FakeModel, echo, faces, service_of, tensors

from dcgan.serving import pictures
from dcgan.serving.app import EXPLORER, make_app
from dcgan.serving.batching import ModelFailure
from dcgan.serving.tfserving_json import Signature

PAIRS = json.loads((Path(__file__).parents[1] / "data" / "tensorflow_serving.json").read_text())[
    "pairs"
]

SEEDS = np.arange(pictures.FIRST_GRID_IMAGES).reshape(-1, pictures.FIRST_GRID_COLUMNS)
FIRST_WALL = "/grid.png?seeds=0-47&columns=8"  # as renderer.js asks for it

HALF_PLUS_THREE = Signature(tensors(x=("float32",)), tensors(y=("float32",)))
DOCUMENTED = {
    "half_plus_three": lambda: FakeModel(
        123, {"serving_default": (HALF_PLUS_THREE, lambda x: {"y": x / 2 + 3})}
    ),
    "words": lambda: echo(word=("string",)),
    "nested": lambda: echo(x=("int32", 1, 2)),
    "named": lambda: echo(tag=("string",), signal=("int32", 5), sensor=("int32", 2, 2)),
    "captions": lambda: echo(image_bytes=("string",), caption=("string",)),
}


@pytest.mark.parametrize("pair", PAIRS, ids=[pair["about"] for pair in PAIRS])
def test_answers_as_tensorflow_serving_documents_them(pair, tmp_path):
    service = service_of(DOCUMENTED[pair["model"]](), tmp_path, pair["model"], row_limit=8)
    with TestClient(make_app(service)) as client:
        if "get" in pair:
            answer = client.get(pair["get"])
        else:  # as curl sends it: not called JSON
            answer = client.post(pair["post"], content=json.dumps(pair["body"]))
    assert (answer.status_code, answer.json()) == (pair["status"], pair["answer"])
    assert answer.headers["content-type"] == "application/json"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    service = service_of(faces(), tmp_path_factory.mktemp("models"), row_limit=8, body_limit=4096)
    with TestClient(make_app(service), raise_server_exceptions=False) as client:
        yield client


PREDICT = "/v1/models/dcgan:predict"


def predict(client, content, path=PREDICT):
    content = content if isinstance(content, (str, bytes)) else json.dumps(content)
    answer = client.post(path, content=content)
    return answer.status_code, answer.json()


def seeds(*values) -> dict:
    return {"signature_name": "generate", "instances": list(values)}


def z_rows(*values) -> str:
    """Rows of z as JSON; NaN and Infinity as TensorFlow Serving spells them."""
    return json.dumps({"instances": [[value, 0.0, 0.0, 0.0] for value in values]})


REFUSALS = {
    "nothing": ("", 400, "empty"),
    "no JSON": ("{", 400, "JSON Parse error"),
    "no UTF-8": (b'{"inputs": "\xff"}', 400, "JSON Parse error"),
    "deep": ("[" * 4000, 400, "too deeply"),
    "deep z": ('{"inputs": ' + "[" * 500 + "1" + "]" * 500 + "}", 400, r"shape \[N,4\]"),
    "long number": ('{"inputs": ' + "9" * 3900 + "}", 400, ""),
    "neither key": ({}, 400, "Missing 'inputs' or 'instances' key"),
    "both keys": ({"inputs": 1, "instances": 1}, 400, "only one of"),
    "signature is a number": ({"signature_name": 7, "instances": [1]}, 400, "must be a string"),
    "unknown signature": (
        {"signature_name": "\ud800", "instances": [1]},
        400,
        'Serving signature name: ".*" not found in signature def',
    ),
    "no list": ({"instances": 7}, 400, "to be a list"),
    "empty": ({"instances": []}, 400, "No values"),
    "empty rows": ({"inputs": [[]]}, 400, r"received \[1,0\]"),
    "short z": ({"instances": [[1.0, 2.0]]}, 400, r"shape \[N,4\]; received \[1,2\]"),
    "flat z": ({"instances": [1.0, 2.0]}, 400, r"received \[2\]"),
    "ragged": ({"instances": [[1.0] * 4, [1.0] * 3]}, 400, "one length"),
    "mixed": ({"instances": [[1.0] * 4, 7]}, 400, "one length"),
    "NaN": (z_rows(math.nan), 400, "finite numbers of float32 in z; received nan"),
    "beyond float32": (z_rows(1e39), 400, "received 1e.39"),
    "string": (z_rows("1.0"), 400, '"1.0" Type: String is not of expected type: float32'),
    "null": (z_rows(None), 400, "Type: Null"),
    "boolean": (z_rows(True), 400, "Type: Boolean"),
    "object": (z_rows({"b64": "AA=="}), 400, "Type: Object"),
    "wrong name": ({"instances": [{"zz": [1.0] * 4}]}, 400, "keys must be equal to: z"),
    "missing name": ({"inputs": {"zz": [[1.0] * 4]}}, 400, "Missing named input: z"),
    "named and not": ({"instances": [{"z": [1.0] * 4}, 7]}, 400, "process element: 1"),
    "seed beyond int64": (seeds(1 << 63), 400, "9223372036854775808 .* int64"),
    "seed below int64": (seeds(-(1 << 63) - 1), 400, "int64"),
    "seed with a fraction": (seeds(7.0), 400, "int64"),
    "level beyond uint8": (
        {"signature_name": "discriminate", "instances": [[[[256, 0, 0]] * SIDE] * SIDE]},
        400,
        "256 .* uint8",
    ),
    "too many rows": (seeds(*range(9)), 413, "9 rows; the limit is 8"),
    "too large": (b" " * 4097, 413, "limit of 4,096 bytes"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_bad_requests_get_a_sentence(client, name):
    content, status, message = REFUSALS[name]
    answer = predict(client, content)
    assert answer[0] == status, answer
    assert answer[1].keys() == {"error"}
    assert re.search(message, answer[1]["error"]), answer
    assert len(answer[1]["error"]) < 400
    assert predict(client, seeds(7))[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/v1/models/other:predict", 404, "Latest(other)"),
        ("POST", "/v1/models/dcgan/versions/2:predict", 404, "Specific(dcgan, 2)"),
        ("POST", f"/v1/models/dcgan/versions/{1 << 63}:predict", 400, "to numeric"),
        ("POST", f"/v1/models/dcgan/versions/{'9' * 5000}:predict", 400, "to numeric"),
        ("POST", "/v1/models/dcgan:classify", 400, "Malformed request: POST"),
        ("GET", "/v1/models/dcgan:predict", 400, "Malformed request: GET"),
        ("GET", "/v1/models/other", 404, "any versions of model other"),
        ("GET", "/v1/models/dcgan/versions/2", 404, "Could not find version 2 of model dcgan"),
        ("GET", "/v1/models/dcgan/versions/2/metadata", 404, "Specific(dcgan, 2)"),
        ("GET", "/nowhere", 404, "Not Found: GET /nowhere"),
        ("DELETE", "/healthz", 405, "Method Not Allowed"),
        ("GET", f"/image/{1 << 63}.png", 400, "seed: "),
        ("GET", "/image/x.png", 400, "received 'x'"),
        ("GET", "/grid.png", 400, "seeds: Field required"),
        ("GET", "/grid.png?seeds=1,x", 400, "seeds such as 1,5,9-20"),
        ("GET", f"/grid.png?seeds={1 << 63}", 400, "2^63 - 1"),
        ("GET", "/grid.png?seeds=1-9", 413, "1 to 8 seeds; received 9"),
        ("GET", "/grid.png?seeds=-9223372036854775808-9223372036854775807", 413, "1 to 8 seeds"),
        ("GET", "/grid.png?seeds=1&columns=0", 400, "columns: "),
        ("GET", "/image/7.png?size=4", 400, "size: Input should be greater than or equal to 8"),
        ("GET", "/image/7.png?size=99999", 400, "size: "),
        ("GET", "/image/7.png?size=64&filter=box", 400, "filter: Input should be 'nearest' or"),
        ("GET", "/image/7.png?size=big", 400, "size: "),
        ("GET", "/interpolate.gif?from=1&to=2&frames=9", 413, "limit is 8"),
        ("GET", "/explorer/..%2f..%2f..%2foptions.py", 404, "Not Found"),
        ("GET", "/explorer/%2e%2e/app.py", 404, "Not Found"),
    ],
)
def test_bad_addresses_get_a_sentence(client, method, path, status, message):
    answer = client.request(method, path, content="{}" if method == "POST" else None)
    assert answer.status_code == status
    assert message in answer.json()["error"]


def test_predict_takes_rows_columns_and_versions(client):
    level = [[[7] * 3] * SIDE] * SIDE
    assert predict(client, seeds(7, -249)) == (200, {"predictions": [level, level]})
    in_columns = {"signature_name": "generate", "inputs": {"seed": [7], "other": "ignored"}}
    assert predict(client, in_columns) == (200, {"outputs": [level]})
    path = "/v1/models/dcgan/versions/1:predict"
    assert predict(client, seeds(7), path) == (200, {"predictions": [level]})
    black = {"signature_name": "discriminate", "instances": [[[[0] * 3] * SIDE] * SIDE]}
    assert predict(client, black) == (200, {"predictions": [0.0]})
    status, answer = predict(client, {**seeds(7), "signature_name": "png"})
    assert answer == {"predictions": [{"b64": "iVBORzc="}]}  # no text, so not as text


def test_floats_are_as_short_as_float32_allows(client):
    body = {"instances": [[0.2, 0, 0, 0]]}
    assert b"[0.2,0.2,0.2]" in client.post(PREDICT, content=json.dumps(body)).content


def test_metadata_and_status(client):
    document = client.get("/v1/models/dcgan/metadata").json()
    assert document == client.get("/v1/models/dcgan/versions/1/metadata").json()
    assert document["model_spec"] == {"name": "dcgan", "signature_name": "", "version": "1"}
    assert "generate" in document["metadata"]["signature_def"]["signature_def"]
    assert client.get("/healthz").json() == {"status": "ok", "version": 1, "refused": []}
    info = client.get("/model.json").json()
    assert info["z_dim"] == 4 and info["metrics"] == {"d_loss": None}


def picture(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_a_face_has_an_address_that_browsers_may_keep(client):
    answer = client.get("/image/7.png")
    assert answer.content == b"\x89PNG7" and answer.headers["cache-control"] == "no-cache"
    tag = answer.headers["etag"]
    assert client.get("/image/8.png").headers["etag"] != tag
    again = client.get("/image/7.png", headers={"If-None-Match": f'"x", W/{tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(f"/image/{-(1 << 63)}.png").status_code == 200


def test_a_face_is_resized(client):
    drawn = picture(client.get("/image/7.png?size=24&filter=nearest"))
    assert drawn.shape == (24, 24, 3) and (drawn == 7).all()
    assert picture(client.get("/image/-7.png?size=512")).shape == (512, 512, 3)
    tags = {
        client.get(f"/image/7.png{query}").headers["etag"]
        for query in ("", "?size=16", "?size=16&filter=nearest", "?size=32")
    }
    assert len(tags) == 4


@pytest.mark.parametrize("channels", [1, 3])
def test_a_resized_face_keeps_its_shape(channels):
    face = np.zeros((1, 4, 8, channels), np.uint8)
    face[:, :, 4:] = 200
    nearest, smooth = (
        np.asarray(Image.open(io.BytesIO(pictures.resized_png(face, 16, how))))
        for how in ("nearest", "bicubic")
    )
    expected = np.repeat(np.repeat(face[0], 2, axis=0), 2, axis=1)
    assert np.array_equal(nearest, expected.squeeze())
    assert smooth.shape == nearest.shape and len(np.unique(smooth)) > 2


def test_grids_and_sprites_are_row_by_row(client):
    grid = picture(client.get("/grid.png?seeds=1,5,9-11&columns=3"))
    assert grid.shape == (2 * SIDE + 1, 3 * SIDE + 2, 3)  # a white line between them
    assert grid[0, :: SIDE + 1, 0].tolist() == [1, 5, 9]
    assert grid[-1, :: SIDE + 1, 0].tolist() == [10, 11, 255]
    z = [[-1.0, 0, 0, 0], [0.0, 9, 9, 9], [1.0, 0, 0, 0], [-1.0, 0, 0, 0]]
    sprite = picture(client.post("/render", content=json.dumps({"z": z, "columns": 2})))
    assert sprite.shape == (2 * SIDE, 2 * SIDE, 3)
    assert sprite[::SIDE, ::SIDE, 0].tolist() == [[0, 128], [255, 0]]
    for bad in ({}, {"z": [[1.0]]}, {"z": z, "columns": 0}, {"z": z, "columns": True}, {"z": 1}):
        assert client.post("/render", content=json.dumps(bad)).status_code == 400
    assert client.post("/render", content=json.dumps({"z": [z[0]] * 9})).status_code == 413


def test_the_explorers_first_wall_is_drawn_when_a_version_is_loaded(tmp_path):
    model = faces()
    service = service_of(model, tmp_path, row_limit=pictures.FIRST_GRID_IMAGES)
    later = np.full((pictures.FIRST_GRID_IMAGES, SIDE, SIDE, 3), 99, np.uint8)
    model._functions["generate"] = lambda seed: {"images": later[: len(seed)]}
    with TestClient(make_app(service)) as client:
        first = client.get(FIRST_WALL)
        assert picture(first)[:: SIDE + 1, :: SIDE + 1, 0].tolist() == SEEDS.tolist()
        tag = {"If-None-Match": first.headers["etag"]}
        assert client.get(FIRST_WALL, headers=tag).status_code == 304
        assert first.headers["cache-control"] == "no-cache"
        for other in ("0-47", "0-47&columns=6", "0-39&columns=8", "1-48&columns=8"):
            assert picture(client.get(f"/grid.png?seeds={other}"))[0, 0, 0] == 99
        counted = client.get("/metrics").text
    assert 'dcgan_requests_total{endpoint="grid",status="200"} 5.0' in counted


def test_the_way_between_two_seeds_goes_there_and_back(client):
    answer = client.get("/interpolate.gif?from=-1&to=1&frames=4")
    assert answer.headers["content-type"] == "image/gif"
    frames = ImageSequence.Iterator(Image.open(io.BytesIO(answer.content)))
    levels = [frame.convert("RGB").getpixel((0, 0))[0] for frame in frames]
    # The two vectors are opposite, where the sphere shows no way: a straight line.
    assert levels == [0, 85, 170, 255, 170, 85]


def test_counters_name_endpoints_not_addresses(client):
    client.get("/image/7.png")
    client.get("/nowhere/123456")
    text = client.get("/metrics").text
    assert 'dcgan_requests_total{endpoint="image",status="200"}' in text
    assert "123456" not in text
    assert "dcgan_batch_rows_bucket" in text and "dcgan_model_version 1.0" in text
    assert "process_resident_memory_bytes" in text


def test_the_description_of_the_api(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/models/{model}:predict", "/image/{seed}.png", "/render"} <= paths.keys()
    for path in paths.values():
        for operation in path.values():
            assert "4XX" in operation["responses"] and "422" not in operation["responses"]
    assert client.get("/docs").status_code == 200


def test_other_sites_are_let_in_only_when_told(tmp_path):
    origin = {"Origin": "https://example.org"}
    service = service_of(faces(), tmp_path)
    for cors, allowed in (((), None), (("https://example.org",), "https://example.org")):
        client = TestClient(make_app(service, cors=cors))
        header = client.get("/healthz", headers=origin).headers.get("access-control-allow-origin")
        assert header == allowed
    service.versions.close()


def test_the_front_page_is_the_explorer(client):
    answer = client.get("/?seed=7")
    assert answer.text == (EXPLORER / "index.html").read_text("utf-8")
    assert (answer.url.path, answer.url.query) == ("/explorer/", b"seed=7")


def test_a_failing_model_is_a_sentence_too(tmp_path):
    def fail(**inputs):
        raise ModelFailure("secret")

    model = faces()
    model._functions["png"] = fail
    app = make_app(service_of(model, tmp_path))
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/image/7.png")
        with pytest.raises(ModelFailure, match="secret"):  # reaches the server, which logs it
            TestClient(app).get("/image/7.png")
    assert answer.status_code == 500 and "secret" not in answer.text
    assert "error" in answer.json()
