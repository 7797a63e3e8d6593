"""Which Host headers are answered: what a page that rebinds its name to this machine would send."""

import json

import pytest
from fastapi.testclient import TestClient
from serving_models import faces, service_of

from dcgan import UserError
from dcgan.serving import hosts
from dcgan.serving.app import make_app

LOOPBACK = hosts.make_allowed_hosts("127.0.0.1", "127.0.0.1", "")
OPEN = hosts.make_allowed_hosts("0.0.0.0", "0.0.0.0", "")
FOREIGN = [
    *("evil.example", "evil.example:8501", "127.0.0.1.evil.example", "localhost.evil.example"),
    *("evil.example:127.0.0.1", "localhost@evil.example", "evil.example/localhost", "localhost:x"),
    *("", ":8501", " ", "[evil]", "[::1]evil", "localhost, evil.example", "127.0.0.1:1:1"),
]


@pytest.mark.parametrize("header", FOREIGN)
def test_no_foreign_name_is_answered(header):
    assert not LOOPBACK.allows(header) and not OPEN.allows(header)


@pytest.mark.parametrize("name", ["localhost", "LocalHost", "127.0.0.1", "[::1]"])
@pytest.mark.parametrize("port", ["", ":8501", ":80"])
def test_this_machine_is_answered_at_any_port(name, port):
    assert LOOPBACK.allows(name + port) and OPEN.allows(name + port)


def test_addresses_are_answered_where_other_machines_are_let_in(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "GPUBox")
    wide = hosts.make_allowed_hosts("::", "::", "")
    for name in ("192.168.1.5:8501", "[fe80::1]:8501", "gpubox"):
        assert wide.allows(name) and not LOOPBACK.allows(name)
    assert hosts.make_allowed_hosts("127.0.0.2", "127.0.0.2", "").allows("127.0.0.2:8501")


def test_further_names_are_allowed_when_told():
    more = hosts.make_allowed_hosts("127.0.0.1", "127.0.0.1", "Faces.example.org, box,")
    assert more.allows("faces.example.org:443") and more.allows("box") and more.allows("localhost")
    assert not more.allows("other.example.org")
    assert hosts.make_allowed_hosts("127.0.0.1", "127.0.0.1", "*").allows("evil.example")
    for bad in ("http://box", "box:8501", "a b", "*.example.org"):
        with pytest.raises(UserError, match="--allowed_hosts must be names"):
            hosts.make_allowed_hosts("127.0.0.1", "127.0.0.1", bad)


def test_origins_are_as_browsers_send_them():
    assert hosts.check_origins("") == ()
    given = "https://www.Example.org/, http://box:8080,,*, null"
    assert hosts.check_origins(given) == ("https://www.example.org", "http://box:8080", "*", "null")
    for bad in ("www.example.org", "https://box/faces", "https://a b"):
        with pytest.raises(UserError, match="--cors must be origins"):
            hosts.check_origins(bad)


PATHS = ["/healthz", "/v1/models/dcgan", "/image/7.png", "/explorer/", "/metrics", "/nowhere"]


def test_every_endpoint_refuses_as_it_refuses_all_else(tmp_path):
    app = make_app(service_of(faces(), tmp_path), cors=("https://a.example",), hosts=LOOPBACK)
    with TestClient(app, base_url="http://localhost:8501") as client:
        for path in PATHS:
            answer = client.get(path, headers={"Host": "evil.example"})
            assert answer.status_code == 400 and "'evil.example'" in answer.json()["error"]
            assert answer.headers["content-type"] == "application/json"
        preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
        assert client.options("/render", headers={**preflight, "Host": "evil"}).status_code == 400
        assert client.options("/render", headers=preflight).status_code == 200
        twice = [("Host", "localhost"), ("Host", "evil.example")]
        assert client.get("/healthz", headers=twice).status_code == 400
        assert client.get("/healthz").json()["status"] == "ok"
        body = json.dumps({"signature_name": "generate", "instances": [7]})
        bad = client.post("/v1/models/dcgan:predict", content=body, headers={"Host": "evil"})
        assert (bad.status_code, bad.json().keys()) == (400, {"error"})
