"""The endpoints that answer with pictures, for people, pages and the explorer."""

import asyncio
import functools
import hashlib
from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.routing import Match, Route

from dcgan.latent import paths
from dcgan.latent.seeds import LARGEST, SMALLEST
from dcgan.serving import classes, pictures, tfserving_json
from dcgan.serving.errors import RequestError
from dcgan.serving.limits import json_body, read_body
from dcgan.serving.saved_model import SavedModel
from dcgan.serving.service import LoadedVersion, Service
from dcgan.serving.tfserving_json import DEFAULT_SIGNATURE

Seed = Annotated[int, Path(ge=SMALLEST, le=LARGEST)]
FromSeed = Annotated[int, Query(alias="from", ge=SMALLEST, le=LARGEST)]
ToSeed = Annotated[int, Query(alias="to", ge=SMALLEST, le=LARGEST)]
Columns = Annotated[int | None, Query(ge=1, le=1024)]
Frames = Annotated[int, Query(ge=2, le=1024)]
Size = Annotated[int | None, Query(ge=8, le=1024)]
Filter = Annotated[Literal["nearest", "bicubic"], Query(alias="filter")]

_PNG = {200: {"content": {"image/png": {}}}, 304: {"description": "Not changed."}}
_GIF = {200: {"content": {"image/gif": {}}}, 304: {"description": "Not changed."}}
_RENDER = json_body(
    {
        "z": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
        "columns": {"type": "integer", "minimum": 1},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    required=["z"],
)

router = APIRouter(tags=["Pictures"])


@router.get("/model.json")
async def model(request: Request) -> Response:
    """The description of the version that answers: size, z prior, step, metrics, directions."""
    service = _service(request)
    with service.lease() as served:
        info = {**served.model.info, **({"follow": True} if service.follow else {})}
        content = orjson.dumps(info)  # a metric that is not finite becomes null
    return Response(content, media_type="application/json", headers={"Cache-Control": "no-cache"})


@router.get("/image/{seed}.png", response_class=Response, responses=_PNG)
async def image(
    request: Request, seed: Seed, size: Size = None, resampling: Filter = "bicubic"
) -> Response:
    """The picture of a seed: always the same bytes from the same version.

    With a size, the image is resized so that its longer side has that many pixels. A model by
    class draws the seed's own classes, or those in the query, such as label=cat or
    hair=blue&eyes=red.
    """
    with _service(request).lease() as served:
        labels = classes.from_query(served.columns, request.query_params) if served.columns else {}
        resized = f"-{size}-{resampling}" if size else ""
        headers = _headers(served, f"image-{seed}{resized}{classes.cache_key(labels)}")
        if _is_cached(request, headers):
            return Response(status_code=304, headers=headers)
        signature = "generate" if size else "png"
        drawn = await served.draw(signature, {"seed": np.array([seed], np.int64)}, labels)
    png = (
        await _draw_file(request, pictures.resized_png, drawn, size, resampling)
        if size
        else drawn[0]
    )
    return Response(png, media_type="image/png", headers=headers)


class _PlainSeed(IntegerConvertor):
    """Seeds that need no validation: the largest int64 has 19 digits."""

    regex = "[0-9]{1,18}"


class _PlainRoute(Route):
    """Leaves a size and a filter to the router, which validates them."""

    def matches(self, scope) -> tuple[Match, dict]:
        given = scope.get("query_string", b"")
        is_plain = b"size=" not in given and b"filter=" not in given
        return super().matches(scope) if is_plain else (Match.NONE, {})


@functools.wraps(image)  # counters know endpoints by their names
async def _plain_image(request: Request) -> Response:
    return await image(request, request.path_params["seed"])


register_url_convertor("plain_seed", _PlainSeed())
# FastAPI's work before it calls `image` takes three times as long as all else but the model. Most
# requests avoid it by this route, which comes before the router's.
plain_image = _PlainRoute("/image/{seed:plain_seed}.png", _plain_image)


@router.get("/grid.png", response_class=Response, responses=_PNG)
async def grid(request: Request, seeds: str, columns: Columns = None) -> Response:
    """The pictures of seeds such as 1,5,9-20 side by side, row by row; classes as for `image`."""
    service = _service(request)
    chosen = np.array(pictures.read_seeds(seeds, service.row_limit), np.int64)
    with service.lease() as served:
        labels = classes.from_query(served.columns, request.query_params)
        headers = _headers(served, f"grid-{seeds}-{columns}{classes.cache_key(labels)}")
        if _is_cached(request, headers):
            return Response(status_code=304, headers=headers)
        is_first = np.array_equal(chosen, np.arange(pictures.FIRST_GRID_IMAGES))
        is_own = all(number == classes.OWN for number in labels.values())
        if is_first and is_own and columns == pictures.FIRST_GRID_COLUMNS:  # drawn in advance
            return Response(served.first_grid, media_type="image/png", headers=headers)
        faces = await served.draw("generate", {"seed": chosen}, labels)
    png = await _draw_file(request, pictures.png, faces, columns, 1)
    return Response(png, media_type="image/png", headers=headers)


@router.get("/interpolate.gif", response_class=Response, responses=_GIF)
async def interpolate(
    request: Request, first: FromSeed, last: ToSeed, frames: Frames = 24
) -> Response:
    """A walk from the picture of one seed to that of another, and back.

    A model by class keeps the first seed's own classes, or those in the query, along the way.
    """
    service = _service(request)
    if frames > service.row_limit:
        raise RequestError(f"{frames} frames; the limit is {service.row_limit} a request.", 413)
    with service.lease() as served:
        labels = classes.from_query(served.columns, request.query_params)
        headers = _headers(served, f"way-{first}-{last}-{frames}{classes.cache_key(labels)}")
        if _is_cached(request, headers):
            return Response(status_code=304, headers=headers)
        z = await asyncio.to_thread(_walk, served.model, [first, last], frames)
        if classes.OWN in labels.values():
            own = await served.run("classes", {"seed": np.array([first], np.int64)})
            labels |= {name: int(own[name][0]) for name, n in labels.items() if n == classes.OWN}
        faces = await served.draw(DEFAULT_SIGNATURE, {"z": z}, labels)
    gif = await _draw_file(request, pictures.gif, faces)
    return Response(gif, media_type="image/gif", headers=headers)


@router.post("/render", response_class=Response, responses=_PNG, openapi_extra=_RENDER)
async def render(request: Request) -> Response:
    """The pictures of latent vectors as one PNG without gaps, row by row.

    A model by class also takes "labels", class names by column; in columns that are not named, each
    vector has its own class.
    """
    service = _service(request)
    body = await read_body(request, service)
    with service.lease() as served:
        tensor = served.model.signatures[DEFAULT_SIGNATURE].inputs["z"]
        z, columns, labels = await service.readers.run(
            tfserving_json.read_render, body, tensor, service.row_limit, size=len(body)
        )
        labels = classes.from_body(served.columns, labels)
        faces = await served.draw(DEFAULT_SIGNATURE, {"z": z}, labels)
    png = await _draw_file(request, pictures.png, faces, columns, 0)
    return Response(png, media_type="image/png", headers={"Cache-Control": "no-store"})


def _service(request: Request) -> Service:
    return request.app.state.service


async def _draw_file(request: Request, draw: Callable, faces: np.ndarray, *how) -> bytes:
    """Makes a file of pictures in another process."""
    request.state.memory.add(faces.nbytes)
    content = await _service(request).writers.run(draw, faces, *how)
    request.state.memory.add(len(content))
    return content


def _walk(model: SavedModel, seeds: list[int], frames: int) -> np.ndarray:
    """Returns the latent vectors of a walk from the first seed to the last."""
    method = paths.natural_method(model.info["z_dist"])
    return paths.walk(model.latents(seeds), frames - 1, method=method)


def _headers(served: LoadedVersion, what: str) -> dict[str, str]:
    """Makes browsers keep a picture, but ask each time whether a new version has changed it."""
    tag = f"{served.model.fingerprint}-{what}".encode()
    return {"ETag": f'"{hashlib.sha256(tag).hexdigest()[:24]}"', "Cache-Control": "no-cache"}


def _is_cached(request: Request, headers: dict[str, str]) -> bool:
    return headers["ETag"] in request.headers.get("if-none-match", "")
