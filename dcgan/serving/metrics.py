"""The server's counters, in Prometheus' text format at /metrics."""

import time

import prometheus_client as prometheus
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The counters of one server, in their own registry; users' dashboards know their names."""

    def __init__(self):
        self.registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=self.registry)
        prometheus.PlatformCollector(registry=self.registry)
        self.requests = prometheus.Counter(
            "dcgan_requests", "Requests answered.", ["endpoint", "status"], registry=self.registry
        )
        self.seconds = prometheus.Histogram(
            "dcgan_request_seconds",
            "From the first byte read to the last byte written.",
            ["endpoint"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.batch_rows = prometheus.Histogram(
            "dcgan_batch_rows",
            "Rows of requests in a batch.",
            buckets=[1 << i for i in range(11)],
            registry=self.registry,
        )
        self.padding = prometheus.Counter(
            "dcgan_padding_rows", "Rows computed to fill batches up.", registry=self.registry
        )
        self.version = prometheus.Gauge(
            "dcgan_model_version", "The version that answers.", registry=self.registry
        )

    def observe_batch(self, rows: int, size: int) -> None:
        self.batch_rows.observe(rows)
        self.padding.inc(size - rows)

    def text(self, version: int) -> bytes:
        self.version.set(version)
        return prometheus.generate_latest(self.registry)


class CountRequests:
    """ASGI middleware: counts and times every request by the endpoint that answered it."""

    def __init__(self, app: ASGIApp, metrics: Metrics):
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, started = 500, time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            # Not the path, as clients could make up any number of paths. So the label changes if
            # an endpoint's function is renamed.
            endpoint = getattr(scope.get("endpoint"), "__name__", "none")
            self._metrics.requests.labels(endpoint, status).inc()
            self._metrics.seconds.labels(endpoint).observe(time.perf_counter() - started)
