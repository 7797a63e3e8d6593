"""What becomes of paths, redirects and X-Forwarded headers behind a proxy, trusted or not."""

import re

import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from serving_models import faces, service_of

from dcgan import UserError
from dcgan.serving import hosts, proxies, server
from dcgan.serving.app import make_app

PROXY, STRANGER = "127.0.0.1", "203.0.113.9"


def client_of(folder, *, neighbour: str = PROXY, root_path: str = "", **options) -> TestClient:
    """A client whose requests come from an address, to a server that trusts `PROXY` alone."""
    app = make_app(
        service_of(faces(), folder), root_path=root_path, trusted_proxies=PROXY, **options
    )

    async def seen(request: Request) -> dict:
        return {
            "scheme": request.url.scheme,
            "client": request.client.host,
            "prefix": request.scope["root_path"],
            "path": request.state.path,
            "headers": [name for name in request.headers if name.startswith("x-forwarded")],
        }

    app.add_api_route("/seen", seen)
    return TestClient(app, client=(neighbour, 50000), follow_redirects=False)


FORWARDED = {
    "X-Forwarded-Prefix": "/faces",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-For": "198.51.100.7",
    "X-Forwarded-Host": "faces.example.org",
}


@pytest.mark.parametrize("path", ["/seen", "/faces/seen", "http://testserver//seen"])
@pytest.mark.parametrize("neighbour", [PROXY, f"::ffff:{PROXY}"])
def test_a_trusted_proxy_is_believed_whether_it_strips_the_prefix_or_not(tmp_path, path, neighbour):
    client = client_of(tmp_path, neighbour=neighbour)
    seen = client.get(path, headers=FORWARDED).json()
    assert seen.pop("headers")
    expected = {"scheme": "https", "client": "198.51.100.7", "prefix": "/faces", "path": "/seen"}
    assert seen == expected


def test_others_are_not_believed(tmp_path):
    client = client_of(tmp_path, neighbour=STRANGER)
    seen = client.get("/seen", headers=FORWARDED).json()
    expected = {"scheme": "http", "client": STRANGER, "prefix": "", "path": "/seen", "headers": []}
    assert seen == expected
    assert client.get("/faces/seen", headers=FORWARDED).status_code == 404


def test_a_root_path_needs_no_trust_and_both_kinds_of_proxy_reach_it(tmp_path):
    client = client_of(tmp_path, neighbour=STRANGER, root_path="/a/b")
    for path in ("/seen", "/a/b/seen"):
        seen = client.get(path).json()
        assert (seen["prefix"], seen["path"]) == ("/a/b", "/seen")
    assert client.get("/a/bseen").json()["error"] == "Not Found: GET /a/bseen"
    assert client.get("/a/b/nowhere").json()["error"] == "Not Found: GET /nowhere"
    malformed = client.get("/a/b/v1/nowhere").json()["error"]
    assert malformed == "Malformed request: GET /v1/nowhere"  # as without a prefix


def test_what_a_trusted_proxy_says_stands_before_the_root_path(tmp_path):
    client = client_of(tmp_path, root_path="/one")
    for given, prefix in (("/two/", "/two"), ("/two, /three", "/two/three"), ("/", "")):
        seen = client.get("/seen", headers={"X-Forwarded-Prefix": given}).json()
        assert (seen["prefix"], seen["path"]) == (prefix, "/seen")


@pytest.mark.parametrize("value", ["//evil.example", "faces", "/a b", "/../x", "/%2e", "/<script>"])
def test_a_prefix_that_is_no_path_is_refused(tmp_path, value):
    answer = client_of(tmp_path).get("/docs", headers={"X-Forwarded-Prefix": value})
    assert answer.status_code == 400 and "X-Forwarded-Prefix" in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/explorer", "./explorer/"),
        ("/explorer?seed=7&x=%20", "./explorer/?seed=7&x=%20"),
        ("/healthz/", "../healthz"),
        ("/healthz//", "../../healthz"),
        ("/image/7.png/", "../7.png"),
        ("/v1/models/dcgan:predict/", "../dcgan:predict"),
        ("/faces/explorer", "./explorer/"),
        ("/faces", "./faces/"),
        ("/", "/faces/explorer/"),
        ("/faces/?seed=7", "/faces/explorer/?seed=7"),
    ],
)
def test_redirects_name_no_host_and_stay_below_the_prefix(tmp_path, path, location):
    client = client_of(tmp_path, root_path="/faces")
    answer = client.request("POST" if "predict" in path else "GET", path)
    assert (answer.status_code, answer.headers["location"]) == (307, location)


def test_without_a_prefix_the_front_page_is_beside_the_root(tmp_path):
    assert client_of(tmp_path).get("/").headers["location"] == "explorer/"


def test_the_documentation_finds_what_it_needs_on_the_server_below_any_prefix(tmp_path):
    client = client_of(tmp_path)
    text = client.get("/docs").text
    assert "openapi.json" in text and "/openapi.json" not in text
    needed = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert len(needed) == 3 and {client.get(f"/{one}").status_code for one in needed} == {200}
    assert client.get("/openapi.json").json()["servers"] == [{"url": "."}]
    told = client.get("/openapi.json", headers=FORWARDED).json()["servers"]
    assert told == [{"url": "/faces"}, {"url": "."}]


def test_what_the_proxy_was_asked_for_must_be_an_allowed_host_too(tmp_path):
    allowed = hosts.make_allowed_hosts("127.0.0.1", "127.0.0.1", "faces.example.org")
    client = client_of(tmp_path, hosts=allowed)

    def status(host: str, *forwarded: str) -> int:
        headers = [("Host", host), *(("X-Forwarded-Host", name) for name in forwarded)]
        return client.get("/healthz", headers=headers).status_code

    for names in (["faces.example.org"], ["localhost, faces.example.org:443"], [""]):
        assert status("127.0.0.1:8501", *names) == 200
    for names in (["evil.example"], ["localhost", "evil.example"], ["localhost, evil.example"]):
        assert status("127.0.0.1:8501", *names) == 400
    # A page that rebinds its name may send any header but Host.
    assert status("evil.example", "localhost") == 400


def test_the_counters_know_endpoints_below_a_prefix(tmp_path):
    client = client_of(tmp_path, root_path="/faces")
    client.get("/faces/image/7.png")
    assert 'endpoint="image",status="200"' in client.get("/faces/metrics").text


def test_the_options_are_checked():
    for given in ("/faces", "faces", "/faces/", "//faces//"):
        assert proxies.check_root_path(given) == "/faces"
    assert (
        proxies.check_root_path("/a/b.c") == "/a/b.c"
        and proxies.check_root_path("/") == proxies.check_root_path("") == ""
    )
    for bad in ("/a b", "/a//b", "/..", "http://x", "/a?b", "/%41", "C:/Program Files/Git/faces"):
        with pytest.raises(UserError, match="--root_path must be a path such as /faces"):
            proxies.check_root_path(bad)
    assert proxies.check_trusted(" ::1, 10.0.0.0/8,") == "::1,10.0.0.0/8"
    assert proxies.check_trusted("*, ::1") == "*"
    for bad in ("proxy.example", "10.0.0.1/8", "300.1.1.1"):
        with pytest.raises(UserError, match="--forwarded_allow_ips must be IP addresses"):
            proxies.check_trusted(bad)


def test_the_environment_of_other_servers_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    monkeypatch.setenv("WEB_CONCURRENCY", "many")
    config = server.config(client_of(tmp_path).app)
    config.load()
    assert not config.proxy_headers and config.workers == 1
