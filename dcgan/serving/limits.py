"""Limits for clients: the size of a body, the time for a request, the number of connections."""

import asyncio

from fastapi import Request, Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dcgan.serving import content_encoding, tfserving_json
from dcgan.serving.errors import RequestError
from dcgan.serving.service import Service
from dcgan.serving.worker_pool import INLINE_BYTES

CONNECTIONS = 512  # at once; each takes up to 0.3 MB besides the budget of `memory`
HEAD_BYTES = 32 * 1024  # of the request line and the headers together
FIELDS = 64  # of a query: more have no use, and take the event loop's time
PIPELINED = 16  # requests of a connection that wait for the one before them
REQUEST_SECONDS = 20.0  # from a new connection, or a request's beginning, to a whole request
ANSWER_SECONDS = 120.0  # from a whole request until its answer has been read


def refuse(status: int, message: str, **headers: str) -> Response:
    """Makes a refusal as every endpoint gives it: {"error": message}."""
    content = tfserving_json.error(message)
    return Response(content, status, headers=headers, media_type="application/json")


def refuse_busy(**headers: str) -> Response:
    """Makes a refusal that tells a client to come back."""
    sentence = "Too many requests are waiting; try again later."
    return refuse(503, sentence, **{"Retry-After": "1", **headers})


def json_body(properties: dict, **more) -> dict:
    """Describes a body that is a JSON object, as OpenAPI does; `more` is of its schema."""
    schema = {"type": "object", "properties": properties, **more}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def read_body(request: Request, service: Service) -> bytes:
    """Reads and decodes the body of a request.

    The service's limit applies both to the body as it comes and to the decoded body.

    Raises:
        RequestError: 413, the body is larger; 415 or 400, it cannot be decoded.
        QueueFull: all requests together hold too much.
    """
    limit, memory = service.body_limit, request.state.memory
    encodings = content_encoding.read_encodings(request.headers.getlist("content-encoding"))
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise content_encoding.too_large_error(limit)
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > limit:
            raise content_encoding.too_large_error(limit)
        memory.add(len(block))
    if not encodings:
        return bytes(body)
    decoded = await _decode(bytes(body), encodings, service)
    memory.add(len(decoded))
    return decoded


async def _decode(body: bytes, encodings: list[str], service: Service) -> bytes:
    """Decodes bodies that are small before and after here, all others in another process."""
    if len(body) <= INLINE_BYTES:
        limit = min(INLINE_BYTES, service.body_limit)
        try:
            return content_encoding.decode(body, encodings, limit)
        except RequestError as refusal:
            if refusal.status != 413 or limit == service.body_limit:
                raise
    return await service.readers.run(content_encoding.decode, body, encodings, service.body_limit)


class _RequestTooLarge(Exception):
    """More than a request may have; uvicorn answers 400 and closes."""


class PatientProtocol(HttpToolsProtocol):
    """Uvicorn's protocol with limits; uvicorn itself waits forever.

    It cuts connections that send no whole request in `REQUEST_SECONDS`, that do not read their
    answer in `ANSWER_SECONDS`, or whose headers, query fields or waiting requests exceed
    `HEAD_BYTES`, `FIELDS` or `PIPELINED`. Beyond `limit_concurrency` connections it answers as
    `refuse_busy`, since uvicorn's own refusal does not say when to come back.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._connection_limit, self.limit_concurrency = self.limit_concurrency, None
        self._clock: asyncio.TimerHandle | None = None
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._clock:
            self._clock.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads data, and cuts the connection if headers, even a single one, become too long."""
        continues = self._in_head
        super().data_received(data)
        if continues and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self.transport.abort()

    def on_message_begin(self) -> None:
        """Starts the clock of a further request on a connection."""
        if len(self.pipeline) >= PIPELINED:
            raise _RequestTooLarge
        super().on_message_begin()
        self._begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > HEAD_BYTES or self.url.count(b"&") >= FIELDS:
            raise _RequestTooLarge
        limit = self._connection_limit
        is_full = limit is not None and len(self.connections) > limit
        self.app = refuse_busy(Connection="close") if is_full else self.config.loaded_app
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._set_deadline(ANSWER_SECONDS)

    def _begin(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self._set_deadline(REQUEST_SECONDS)

    def _set_deadline(self, seconds: float) -> None:
        """Cuts the connection after these seconds, unless called again before."""
        if self._clock:
            self._clock.cancel()
        self._clock = self.loop.call_later(seconds, self.transport.abort)
