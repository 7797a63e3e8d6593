"""Thousands of requests made up from the server's own description: none may end in its fault."""

import subprocess
import sys
from importlib.util import find_spec

import pytest
from test_serving import exported, put, serving  # noqa: F401, the first is a fixture


@pytest.mark.skipif(find_spec("schemathesis") is None, reason="schemathesis is not installed")
@pytest.mark.slow
def test_no_made_up_request_is_the_servers_fault(exported, tmp_path):  # noqa: F811
    put(exported, 1, tmp_path / "models")
    checks = "not_a_server_error,content_type_conformance,response_schema_conformance"
    with serving(tmp_path / "models", "--batch_limit", "8") as server:
        command = [sys.executable, "-m", "schemathesis.cli", "run"]
        command += [f"{server.address}/openapi.json", "--checks", checks]
        command += ["--max-examples", "100", "--seed", "1", "--no-color"]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert server.get("/healthz").ok and server.process.poll() is None
        counts = server.get("/metrics").text
    assert 'status="400"' in counts and 'status="200"' in counts
    assert 'status="5' not in counts
