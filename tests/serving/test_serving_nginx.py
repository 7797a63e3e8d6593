"""The server behind a real nginx, under a path of its own, stripped or kept."""

import gzip
import os
import re
import shutil
import socket
import subprocess
import time
from urllib.parse import urljoin

import pytest
import requests
from test_serving_limits import listening

from dcgan.serving import hosts

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

CONFIG = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{
        listen 127.0.0.1:{port};
        location /silent/ {{ proxy_pass http://{plain}/; }}
        location /named/ {{ proxy_pass http://{plain}/; proxy_set_header Host $http_host; }}
        location /told/ {{ proxy_pass http://{plain}/; {forwarded} /told; }}
        location /short {{ proxy_pass http://{plain}/; {forwarded} /short; }}
        location /kept/ {{ proxy_pass http://{plain}; {forwarded} /kept; }}
        location /open {{ proxy_pass http://{plain}; {forwarded} /open; }}
        location /faces/ {{ proxy_pass http://{rooted}; proxy_set_header Host $http_host; }}
    }}
}}
"""
FORWARDED = """
    proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Prefix
"""
PREFIXES = ["silent", "named", "told", "short", "kept", "open", "faces"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of an nginx before two servers, one of which knows its prefix."""
    folder = tmp_path_factory.mktemp("nginx")
    allowed = hosts.make_allowed_hosts("127.0.0.1", "127.0.0.1", "faces.example.org")
    options = {"hosts": allowed, "trusted_proxies": "127.0.0.1"}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        listening(folder / "one", **options) as plain,
        listening(folder / "two", hosts=allowed, root_path="/faces") as rooted,
    ):
        servers = {"plain": f"127.0.0.1:{plain[1]}", "rooted": f"127.0.0.1:{rooted[1]}"}
        config = CONFIG.format(folder=folder, port=port, forwarded=FORWARDED, **servers)
        (folder / "conf").write_text(config)
        command = [NGINX, "-p", folder, "-c", folder / "conf", "-e", folder / "errors"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            yield connected(process, port)
        finally:
            process.kill()
            process.communicate()


def connected(process: subprocess.Popen, port: int) -> str:
    end = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return f"http://127.0.0.1:{port}"
        except OSError:
            assert process.poll() is None and time.monotonic() < end, process.communicate()
            time.sleep(0.02)


def get(url: str, base: str) -> requests.Response:
    """What is there; no redirect on the way may leave the prefix."""
    answer = requests.get(url, timeout=30)
    assert answer.status_code == 200, (answer.url, answer.text)
    assert all(step.url.startswith(base) for step in [*answer.history[1:], answer])
    return answer


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("", "/explorer/"),  # nginx or the server adds the slash
        ("/", "/explorer/"),
        ("/?seed=7", "/explorer/?seed=7"),
        ("/explorer", "/explorer/"),
        ("/healthz/", "/healthz"),
        ("/docs/", "/docs"),
    ],
)
def test_redirects_stay_below_the_prefix(site, prefix, path, end):
    base = f"{site}/{prefix}"
    assert get(base + path, base).url == base + end


@pytest.mark.parametrize("prefix", PREFIXES[::3])
def test_all_that_the_explorer_loads_is_below_the_prefix(site, prefix):
    base = f"{site}/{prefix}"
    page = get(f"{base}/explorer/", base)
    found = {urljoin(page.url, link) for link in re.findall(r'(?:src|href)="([^":]+)"', page.text)}
    read = set()
    while left := found - read:
        url = left.pop()
        read.add(url)
        text = get(url, base).text
        imported = re.findall(r'from "(\.[^"]+)"', text) if url.endswith(".js") else ()
        found |= {urljoin(url, name) for name in imported}
    assert len(read) > 15
    # As renderer.js asks, from its own place.
    assert get(urljoin(f"{base}/explorer/renderer.js", "../model.json"), base).json()["z_dim"] == 4
    body, headers = gzip.compress(b'{"z": [[0, 0, 0, 0]]}'), {"Content-Encoding": "gzip"}
    drawn = requests.post(f"{base}/render", body, headers=headers, timeout=30)
    assert drawn.content.startswith(b"\x89PNG")
    foreign = requests.get(f"{base}/healthz", headers={"Host": "evil.example"}, timeout=30)
    assert foreign.status_code == (200 if prefix == "silent" else 400)  # which passes no name on


@pytest.mark.slow  # a browser
@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_explorer_runs_below_the_prefix_and_a_link_leads_back(browser, site, prefix):
    page = browser.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("response", lambda r: wrong.append(r.url) if r.status >= 400 else None)
    page.goto(f"{site}/{prefix}/#seed=7")
    page.wait_for_selector(".wall .tile canvas.painted", state="attached", timeout=30_000)
    assert page.url == f"{site}/{prefix}/explorer/#seed=7"
    assert page.locator("#name").inner_text() == "Seed 7"
    page.close()
    assert wrong == []
