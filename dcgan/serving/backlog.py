"""Limits the memory that the server holds for all clients together: bodies, results and answers.

Beyond the limit it answers 503 and says when to come back. The `Batcher` limits the rows that wait
for the model; a request over either limit gets the same answer.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dcgan.serving.refusals import QueueFull

BACKLOG_BYTES = 64 << 20
FREE_BYTES = 64 << 10  # of each request are not counted: every connection may hold that many
PIECE_BYTES = 64 << 10  # of an answer are sent at once, when the client has read those before


class Backlog:
    """Counts the bytes that all requests hold.

    Attributes:
        most: the limit; a request that is alone may exceed it.
        taken: the bytes held now.
    """

    def __init__(self, most: int = BACKLOG_BYTES):
        self.most = most
        self.taken = 0


class Held:
    """Counts the bytes that one request holds until it is answered."""

    def __init__(self, backlog: Backlog):
        self._backlog = backlog
        self._bytes = 0
        self._taken = 0

    def add(self, count: int) -> None:
        """Counts more bytes; raises QueueFull if all requests together hold too many."""
        backlog = self._backlog
        grown = max(self._bytes + count - FREE_BYTES, 0) - self._taken
        is_alone = backlog.taken == self._taken
        if grown and not is_alone and backlog.taken + grown > backlog.most:
            raise QueueFull
        self._bytes += count
        self._taken += grown
        backlog.taken += grown

    def release(self) -> None:
        self._backlog.taken -= self._taken
        self._bytes = self._taken = 0


class HoldBack:
    """ASGI middleware: gives each request its `state.held`, released when the answer was read.

    An answer is sent in pieces: the server would put a whole one into the connection's buffer,
    where bytes that the client does not read would not be counted.
    """

    def __init__(self, app: ASGIApp, backlog: Backlog):
        self._app = app
        self._backlog = backlog

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        held = Held(self._backlog)
        scope.setdefault("state", {})["held"] = held

        async def send_in_pieces(message: Message) -> None:
            body = message.get("body", b"")
            while len(body) > PIECE_BYTES:
                await send({**message, "body": body[:PIECE_BYTES], "more_body": True})
                body = memoryview(body)[PIECE_BYTES:]
                message = {**message, "body": body}
            await send(message)

        try:
            await self._app(scope, receive, send_in_pieces)
        finally:
            held.release()
