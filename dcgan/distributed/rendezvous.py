"""Checks over plain sockets that all workers are there, before TensorFlow connects them.

TensorFlow would wait forever for a missing worker and ignore signals. Here each worker stops after
a limit and says which one is missing.
"""

import contextlib
import hashlib
import json
import socket
import time
from collections.abc import Set
from typing import NoReturn

from dcgan import UserError
from dcgan.distributed.cluster import Cluster, place

_RETRY_SECONDS = 0.25
_HELLO_SECONDS = 5.0  # limit to connect, and limit for a connected worker to send a line
_LONGEST_LINE = 1 << 16  # bytes; an error may name all workers


def meet(cluster: Cluster, *, gpus: int = 0, limit_seconds: float) -> None:
    """Returns when all workers are there and can reach one another.

    Workers connect to the chief and say who they are. When all are there, each tries to reach the
    addresses of all others, reports to the chief, and waits for its answer.

    Raises UserError if a worker does not come in time, leaves, has another cluster or another
    number of GPUs, or if a port is in use or cannot be reached.
    """
    if len(cluster.addresses) == 1:
        return
    deadline = time.monotonic() + limit_seconds
    host, port = place(cluster.addresses[cluster.rank])
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server = socket.create_server(("", port), family=family)
    except OSError as error:
        raise UserError(
            f"Worker {cluster.rank} cannot listen on port {port} ({error.strerror}); end what "
            "uses it, or give every worker's TF_CONFIG another port."
        ) from error
    hello = _hello(cluster, gpus)
    with server:  # open until all have tried to reach it
        if cluster.rank == 0:
            _Chief(cluster, hello).gather(server, deadline, limit_seconds)
        else:
            _report(cluster, hello, deadline, limit_seconds)


def _hello(cluster: Cluster, gpus: int) -> dict:
    addresses = json.dumps(cluster.addresses).encode()
    digest = hashlib.sha256(addresses).hexdigest()
    return {"worker": cluster.rank, "cluster": digest, "gpus": gpus}


class _Chief:
    """The chief's part of the meeting: it knows which workers are there."""

    def __init__(self, cluster: Cluster, hello: dict):
        self.cluster = cluster
        self.hello = hello
        self.present: dict[int, socket.socket] = {}

    def gather(self, server: socket.socket, deadline: float, limit: float) -> None:
        """Returns when all are there, can reach one another and have been told so."""
        server.settimeout(_RETRY_SECONDS)
        with contextlib.ExitStack() as stack:
            while missing := self._missing():
                if time.monotonic() > deadline:
                    who = " and ".join(f"{n} ({self.cluster.addresses[n]})" for n in missing)
                    self._refuse(
                        f"Of {len(self.cluster.addresses)} workers, {who} did not come within "
                        f"{limit:g} seconds; start the same command on every machine, with its own "
                        "index in TF_CONFIG, or use a longer --worker_wait."
                    )
                with contextlib.suppress(TimeoutError):
                    self._welcome(stack.enter_context(server.accept()[0]))
            self._send_to_all({"error": None})
            closed = _try_workers(self.cluster)
            for n in self._other_ranks():
                try:
                    # A worker needs this long if it cannot reach any other.
                    seconds = _HELLO_SECONDS * len(self.cluster.addresses)
                    told = _read_line(self.present[n], {"closed"}, seconds)["closed"]
                    closed = closed or told
                except OSError:  # it left, which may be why others cannot reach it
                    closed = f"Worker {n} left when all had come; start the same command on all."
            if closed:
                self._refuse(closed)
            self._send_to_all({"error": None})

    def _other_ranks(self) -> range:
        return range(1, len(self.cluster.addresses))

    def _missing(self) -> list[int]:
        """Returns the workers that have not come, or left again; their users may restart them."""
        left = [n for n, connection in self.present.items() if _has_left(connection)]
        for n in left:
            del self.present[n]
        return [n for n in self._other_ranks() if n not in self.present]

    def _welcome(self, visitor: socket.socket) -> None:
        """Registers a new worker; raises UserError if it does not fit the others."""
        try:
            hello = _read_line(visitor, self.hello.keys())
        except OSError:
            return  # another program, such as a port scanner
        number, gpus = hello["worker"], hello["gpus"]
        sentence = None
        if hello["cluster"] != self.hello["cluster"]:
            sentence = (
                f"The TF_CONFIG of worker {number} lists other addresses than that of worker 0; "
                "give all the same cluster, and each its own index."
            )
        elif number not in self._missing():
            sentence = f"Two workers call themselves {number}; give each its own index."
        elif gpus != self.hello["gpus"]:
            sentence = (
                f"Worker {number} has {gpus} GPUs and worker 0 has {self.hello['gpus']}; let all "
                "have as many, by CUDA_VISIBLE_DEVICES where they differ."
            )
        self.present[-1 if sentence else number] = visitor
        if sentence:
            self._refuse(sentence)

    def _refuse(self, sentence: str) -> NoReturn:
        self._send_to_all({"error": sentence})
        raise UserError(sentence)

    def _send_to_all(self, message: dict) -> None:
        for connection in self.present.values():
            with contextlib.suppress(OSError):  # workers that left are noticed elsewhere
                _send(connection, message)


def _report(cluster: Cluster, hello: dict, deadline: float, limit: float) -> None:
    chief, reason = cluster.addresses[0], "no answer"
    while (left := deadline - time.monotonic()) > 0:
        try:
            with socket.create_connection(place(chief), timeout=left) as connection:
                _send(connection, hello)
                # The chief may wait for other workers until its own limit.
                _wait_for_answer(connection, left + _HELLO_SECONDS)
                _send(connection, {"closed": _try_workers(cluster)})
                seconds = _HELLO_SECONDS * len(cluster.addresses) ** 2  # the chief asks one by one
                _wait_for_answer(connection, seconds)
            return
        except OSError as error:
            reason = str(error.strerror or error) or reason
            time.sleep(_RETRY_SECONDS)
    raise UserError(
        f"Worker {cluster.rank} could not reach worker 0 at {chief} within {limit:g} seconds "
        f"({reason}); start the same command there, let the port through, or use a longer "
        "--worker_wait."
    )


def _wait_for_answer(connection: socket.socket, seconds: float) -> None:
    """Waits for the chief's answer; raises UserError if that is an error."""
    sentence = _read_line(connection, {"error"}, seconds)["error"]
    if sentence:
        raise UserError(sentence)


def _try_workers(cluster: Cluster) -> str | None:
    """Tries to reach all workers, which listen now; returns a sentence if one cannot be reached."""
    for number, address in enumerate(cluster.addresses):
        if number in (0, cluster.rank):  # the chief has been reached already
            continue
        try:
            socket.create_connection(place(address), _HELLO_SECONDS).close()
        except OSError as error:
            return (
                f"Worker {cluster.rank} cannot reach worker {number} at {address} "
                f"({error.strerror or error}); each worker must reach the ports of all others: let "
                "them through."
            )
    return None


def _has_left(connection: socket.socket) -> bool:
    """Tells whether the other end is closed; waiting workers send nothing."""
    connection.setblocking(False)
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _send(connection: socket.socket, message: dict) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")


def _read_line(connection: socket.socket, keys: Set[str], seconds: float = _HELLO_SECONDS) -> dict:
    """Reads a message with these keys.

    Raises OSError if the other end says nothing, has gone, or is another program.
    """
    connection.settimeout(seconds)
    with connection.makefile("rb") as file:
        line = file.readline(_LONGEST_LINE)
    if not line.endswith(b"\n"):
        raise ConnectionError("the connection was cut")
    with contextlib.suppress(ValueError):
        message = json.loads(line)
        if isinstance(message, dict) and keys <= message.keys():
            return message
    raise ConnectionError("another program answers")
