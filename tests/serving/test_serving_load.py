"""What takes long is done beside the event loop, and what is held for clients is bounded."""

import asyncio
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import numpy as np
import pytest
from fastapi.testclient import TestClient
from serving_models import SIDE, Recorder, die, faces, read_when_told, refuse, service_of

from dcgan import UserError
from dcgan.serving import tfserving_json, worker_pool
from dcgan.serving.app import make_app
from dcgan.serving.errors import QueueFull, RequestError
from dcgan.serving.memory import FREE_BYTES, PIECE_BYTES, LimitMemory, MemoryBudget, RequestMemory
from dcgan.serving.worker_pool import INLINE_BYTES, WorkerPool

PREDICT = "/v1/models/dcgan:predict"


@pytest.fixture(scope="module")
def pool():
    pool = WorkerPool()
    yield pool
    pool.close()


def test_what_is_long_runs_in_another_process_and_what_is_short_here(pool):
    here = os.getpid()
    assert asyncio.run(pool.run(os.getpid)) != here
    assert asyncio.run(pool.run(os.getpid, size=INLINE_BYTES + 1)) != here
    assert asyncio.run(pool.run(os.getpid, size=INLINE_BYTES)) == here


def test_a_refusal_comes_back_as_one(pool):
    with pytest.raises(RequestError) as refused:
        asyncio.run(pool.run(refuse))
    assert (refused.value.status, refused.value.message) == (418, "no \ud800")
    assert refused.value.headers == {"Teapot": "short"}


def test_a_process_that_dies_costs_its_task_only(pool):
    for _ in range(2):
        with pytest.raises(QueueFull):
            asyncio.run(pool.run(die))
        assert asyncio.run(pool.run(os.getpid)) != os.getpid()


def test_readers_leave_the_processors_to_others():
    readers = WorkerPool(nice=5)
    assert asyncio.run(readers.run(os.nice, 0)) == os.nice(0) + 5
    readers.close()


def test_windows_has_no_niceness(monkeypatch):
    monkeypatch.delattr(worker_pool.os, "nice")
    monkeypatch.setattr(worker_pool, "signal", None)
    monkeypatch.setattr(worker_pool, "threading", Mock())
    worker_pool._initialize(19)


def test_where_no_process_can_be_started_the_server_says_so(monkeypatch):
    unwritable = Mock(side_effect=OSError(30, "Read-only file system"))
    monkeypatch.setattr(worker_pool, "ProcessPoolExecutor", unwritable)
    with pytest.raises(UserError, match="Read-only file system.*/dev/shm"):
        WorkerPool().start()


def test_all_reading_and_drawing_is_handed_over(tmp_path):
    service = service_of(faces(), tmp_path, readers=(pool := Recorder()), writers=pool)
    scores = {"signature_name": "discriminate", "inputs": [[[[7] * 3] * SIDE] * SIDE] * 64}
    z = [[0.0] * 4] * 9
    with TestClient(make_app(service)) as client:
        body = json.dumps(scores)
        assert client.post(PREDICT, content=body).status_code == 200
        assert pool.done == [("read_predict", len(body)), ("answer", 64 * 4)]
        pool.done.clear()
        in_rows = {"signature_name": "generate", "instances": list(range(64))}
        assert client.post(PREDICT, content=json.dumps(in_rows)).status_code == 200
        assert pool.done[1] == ("answer", 64 * SIDE * SIDE * 3)
        pool.done.clear()
        body = json.dumps({"z": z})
        assert client.post("/render", content=body).status_code == 200
        assert client.get("/grid.png?seeds=1-4").status_code == 200
        assert client.get("/interpolate.gif?from=1&to=2&frames=3").status_code == 200
        assert client.get("/image/7.png").status_code == 200
    drawn = [("png", None), ("png", None), ("gif", None)]
    assert pool.done == [("read_render", len(body)), *drawn]


def blocked(marks) -> bytes:
    """A body of which the reading ends when the file go appears."""
    marks.mkdir()
    return json.dumps({"marks": str(marks), "filler": "x" * 150_000}).encode()


def wait_for(path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_others_are_answered_while_a_body_is_read_and_too_many_bodies_are_refused(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(tfserving_json, "read_predict", read_when_told)
    budget = MemoryBudget(limit=150_000)
    service = service_of(faces(), tmp_path / "models", memory=budget, readers=WorkerPool())
    with TestClient(make_app(service)) as client, ThreadPoolExecutor(1) as other:
        body = blocked(tmp_path / "first")
        first = other.submit(client.post, PREDICT, content=body)
        wait_for(tmp_path / "first" / "begun")
        for path in ("/healthz", "/image/7.png", "/model.json"):
            assert client.get(path).status_code == 200
        assert not first.done()
        assert budget.used == len(body) - FREE_BYTES
        refused = client.post(PREDICT, content=blocked(tmp_path / "second"))
        assert refused.status_code == 503 and refused.headers["retry-after"] == "1"
        assert "try again" in refused.json()["error"]
        assert not first.done() and budget.used == len(body) - FREE_BYTES
        (tmp_path / "first" / "go").touch()
        level = first.result(60).json()["predictions"][0][0][0][0]
        assert level == 1  # another process has read it
        assert budget.used == 0
        (tmp_path / "third").mkdir()
        (tmp_path / "third" / "go").touch()
        body = json.dumps({"marks": str(tmp_path / "third"), "filler": "x" * 150_000})
        assert client.post(PREDICT, content=body).status_code == 200


def test_one_request_alone_may_exceed_the_budget_and_two_may_not():
    budget = MemoryBudget(limit=1000)
    one, other = RequestMemory(budget), RequestMemory(budget)
    one.add(FREE_BYTES + 5000)
    other.add(FREE_BYTES)
    for _ in range(2):
        with pytest.raises(QueueFull):
            other.add(1)
    assert budget.used == 5000
    one.release()
    other.add(1000)
    assert budget.used == 1000
    other.release()
    assert budget.used == 0


@pytest.mark.parametrize("size", [0, PIECE_BYTES, PIECE_BYTES + 1, 5 * PIECE_BYTES + 7])
def test_an_answer_is_held_until_its_last_piece_is_taken(size):
    budget, sent = MemoryBudget(), []
    content = np.random.default_rng(0).bytes(size)

    async def app(scope, receive, send):
        scope["state"]["memory"].add(FREE_BYTES + 1)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": content})
        raise KeyError  # the middleware releases whatever happens

    async def send(message):
        assert budget.used == 1
        sent.append(message)

    with pytest.raises(KeyError):
        asyncio.run(LimitMemory(app, budget)({"type": "http"}, None, send))
    assert budget.used == 0
    pieces = [message["body"] for message in sent[1:]]
    assert b"".join(pieces) == content and max(map(len, pieces)) <= PIECE_BYTES
    more = [message.get("more_body", False) for message in sent[1:]]
    assert more == [True] * (len(pieces) - 1) + [False]


def test_a_long_list_of_seeds_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("dcgan.serving.pictures.parse_seeds", None)
    with TestClient(make_app(service_of(faces(), tmp_path, row_limit=8))) as client:
        answer = client.get("/grid.png?seeds=" + ",".join("1" * 9))
        assert answer.status_code == 413 and "1 to 8 seeds" in answer.json()["error"]
