"""Limits the memory that the server holds for all clients together: bodies, results and answers.

Beyond the limit it answers 503 and says when to come back, as beyond the rows of the `Batcher`.
"""

from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dcgan.serving.errors import QueueFull

TOTAL_BYTES = 64 << 20
FREE_BYTES = 64 << 10  # of each request are not counted: every connection may hold that many
PIECE_BYTES = 64 << 10  # of an answer are sent at once, when the client has read those before


@dataclass
class MemoryBudget:
    """The bytes that all requests hold together."""

    limit: int = TOTAL_BYTES  # a request that is alone may exceed it
    used: int = 0


class RequestMemory:
    """Counts the bytes that one request holds until it is answered."""

    def __init__(self, budget: MemoryBudget):
        self._budget = budget
        self._bytes = 0
        self._counted = 0

    def add(self, count: int) -> None:
        """Counts more bytes; raises QueueFull if all requests together hold too many."""
        budget = self._budget
        grown = max(self._bytes + count - FREE_BYTES, 0) - self._counted
        is_alone = budget.used == self._counted
        if grown and not is_alone and budget.used + grown > budget.limit:
            raise QueueFull
        self._bytes += count
        self._counted += grown
        budget.used += grown

    def release(self) -> None:
        self._budget.used -= self._counted
        self._bytes = self._counted = 0


class LimitMemory:
    """ASGI middleware: gives each request its `state.memory`, released when the answer was read.

    An answer is sent in pieces: the server would put a whole one into the connection's buffer,
    where bytes that the client does not read would not be counted.
    """

    def __init__(self, app: ASGIApp, budget: MemoryBudget):
        self._app = app
        self._budget = budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        memory = RequestMemory(self._budget)
        scope.setdefault("state", {})["memory"] = memory

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
            memory.release()
