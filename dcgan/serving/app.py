"""The ASGI application: all endpoints, the explorer's files, and the handling of errors.

Every refusal is {"error": sentence}. Programs of others know the addresses and the answers' keys.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from dcgan.serving import image_routes, predict
from dcgan.serving.errors import QueueFull, RequestError
from dcgan.serving.hosts import AllowedHosts, CheckHost
from dcgan.serving.limits import refuse, refuse_busy
from dcgan.serving.memory import LimitMemory
from dcgan.serving.metrics import CountRequests
from dcgan.serving.proxies import BehindProxy
from dcgan.serving.service import Service

EXPLORER = Path(__file__).parent / "explorer"
REFUSALS = (RequestError, RequestValidationError, HTTPException, QueueFull, ClientDisconnect)

_ERROR = {
    "description": "What happened, what was expected and what was received.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {"type": "string"}},
            }
        }
    },
}


def make_app(
    service: Service,
    *,
    cors: tuple[str, ...] = (),
    hosts: AllowedHosts | None = None,
    root_path: str = "",
    trusted_proxies: str = "",
) -> FastAPI:
    """Makes the ASGI application.

    Args:
        service: has a version loaded; it is closed when the application shuts down.
        cors: origins of other sites whose pages may use the server.
        hosts: the hosts that a request may name; None for any.
        root_path, trusted_proxies: see `proxies.check_root_path` and `proxies.check_trusted`.
    """
    app = FastAPI(
        title=f"The model {service.name}",
        description="Pictures from a generator, beside TensorFlow Serving's REST API.",
        lifespan=_lifespan,
        responses={"4XX": _ERROR},
        servers=[{"url": "."}],  # relative to the description, so it holds behind any proxy
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.router.routes.insert(0, image_routes.plain_image)
    app.include_router(image_routes.router)
    app.include_router(predict.router)
    app.add_api_route("/healthz", health, tags=["State"])
    app.add_api_route("/metrics", metrics, tags=["State"], response_class=Response)
    app.mount("/explorer", StaticFiles(directory=EXPLORER, html=True))
    app.add_api_route("/", front_page, include_in_schema=False)
    app.mount("/documentation", StaticFiles(packages=[("fastapi_offline", "static")]))
    app.add_api_route("/docs", documentation, include_in_schema=False)
    for kind in (*REFUSALS, Exception):
        app.add_exception_handler(kind, _refuse)
    if cors:
        app.add_middleware(
            CORSMiddleware, allow_origins=cors, allow_methods=["*"], allow_headers=["*"]
        )
    app.add_middleware(LimitMemory, budget=service.memory)
    if hosts:
        app.add_middleware(CheckHost, hosts=hosts)
    app.add_middleware(BehindProxy, trusted_hosts=trusted_proxies, root_path=root_path)
    app.add_middleware(CountRequests, metrics=service.metrics)
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await asyncio.to_thread(app.state.service.close)


async def health(request: Request) -> JSONResponse:
    """Reports the version that answers, and which others are refused for what reason."""
    service: Service = request.app.state.service
    refused = service.versions.refusals().items()
    with service.lease() as served:
        if not served.is_alive:
            raise HTTPException(503, "The model has stopped")
        state = {"status": "ok", "version": served.version}
    state["refused"] = [{"version": number, "reason": reason} for number, reason in refused]
    return JSONResponse(state)


async def metrics(request: Request) -> Response:
    """The counters in Prometheus' text format."""
    service: Service = request.app.state.service
    content = service.metrics.text(service.versions.newest)
    return Response(content, media_type="text/plain; version=0.0.4; charset=utf-8")


async def front_page(request: Request) -> RedirectResponse:
    """Redirects to the explorer, with the query of the address, such as a class."""
    query = f"?{request.url.query}" if request.url.query else ""
    # Absolute if the prefix is known, as the browser may have left out the slash after it.
    base = request.scope["root_path"] + "/" if request.scope["root_path"] else ""
    return RedirectResponse(f"{base}explorer/{query}")


async def documentation(request: Request) -> HTMLResponse:
    """Shows the API, to read and try offline; its relative addresses work below any prefix."""
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title=request.app.title,
        swagger_js_url="documentation/swagger-ui-bundle.js",
        swagger_css_url="documentation/swagger-ui.css",
        swagger_favicon_url="documentation/favicon.png",
    )


async def _refuse(request: Request, error: Exception) -> Response:
    """Answers a request that ended in an error; the server logs those that are not `REFUSALS`."""
    if isinstance(error, HTTPException):
        path = request.state.path[:200]
        if not path.startswith("/v1/"):
            sentence = f"{error.detail}: {request.method} {path}"
            return refuse(error.status_code, sentence, **(error.headers or {}))
        error = predict.malformed(request)  # as TensorFlow Serving says it
    if isinstance(error, RequestError):
        return refuse(error.status, error.message, **error.headers)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        received = str(first.get("input"))[:100]
        return refuse(400, f"{first['loc'][-1]}: {first['msg']}; received {received!r}.")
    if isinstance(error, QueueFull):
        return refuse_busy()
    if isinstance(error, ClientDisconnect):
        return Response(status_code=400)  # nobody receives it
    return refuse(500, "The server could not answer this; its log says why.")
