"""The endpoints that answer with pictures, for people, pages and the explorer."""

import asyncio
import functools
import hashlib
from typing import Annotated

import numpy as np
import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.routing import Route

from dcgan import images, latent
from dcgan.seeds import LARGEST, SMALLEST
from dcgan.serving import pictures, tensorflow_rest
from dcgan.serving.limits import read_body
from dcgan.serving.refusals import RequestError
from dcgan.serving.service import Served, Service
from dcgan.serving.tensorflow_rest import DEFAULT_SIGNATURE

Seed = Annotated[int, Path(ge=SMALLEST, le=LARGEST)]
FromSeed = Annotated[int, Query(alias="from", ge=SMALLEST, le=LARGEST)]
ToSeed = Annotated[int, Query(alias="to", ge=SMALLEST, le=LARGEST)]
Columns = Annotated[int | None, Query(ge=1, le=1024)]
Frames = Annotated[int, Query(ge=2, le=1024)]

_PNG = {200: {"content": {"image/png": {}}}, 304: {"description": "Not changed."}}
_GIF = {200: {"content": {"image/gif": {}}}, 304: {"description": "Not changed."}}
_RENDER = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["z"],
                    "properties": {
                        "z": {
                            "type": "array",
                            "items": {"type": "array", "items": {"type": "number"}},
                        },
                        "columns": {"type": "integer", "minimum": 1},
                    },
                }
            }
        },
    }
}

router = APIRouter(tags=["Pictures"])


@router.get("/model.json")
async def model(request: Request) -> Response:
    """What the version that answers knows of itself: size, z prior, step, metrics, directions."""
    with _service(request).lease() as served:
        content = orjson.dumps(served.model.info)  # a metric that is not finite becomes null
    return Response(content, media_type="application/json", headers={"Cache-Control": "no-cache"})


@router.get("/image/{seed}.png", response_class=Response, responses=_PNG)
async def image(request: Request, seed: Seed) -> Response:
    """The picture of a seed: always the same bytes from the same version."""
    with _service(request).lease() as served:
        headers = _headers(served, f"image-{seed}")
        if _is_known(request, headers):
            return Response(status_code=304, headers=headers)
        png = await served.run_for("png", {"seed": np.array([seed], np.int64)})
    return Response(png[0], media_type="image/png", headers=headers)


class _PlainSeed(IntegerConvertor):
    """Seeds that need no validation: the largest int64 has 19 digits."""

    regex = "[0-9]{1,18}"


@functools.wraps(image)  # the counters know endpoints by their name
async def _plain_image(request: Request) -> Response:
    return await image(request, request.path_params["seed"])


register_url_convertor("plain_seed", _PlainSeed())
# What FastAPI does before it calls `image` takes three times as long as all else but the model:
# most requests go past it, by a route that stands before the router's.
plain_image = Route("/image/{seed:plain_seed}.png", _plain_image)


@router.get("/grid.png", response_class=Response, responses=_PNG)
async def grid(request: Request, seeds: str, columns: Columns = None) -> Response:
    """The pictures of seeds such as 1,5,9-20 side by side, row by row."""
    service = _service(request)
    chosen = np.array(pictures.read_seeds(seeds, service.row_limit), np.int64)
    with service.lease() as served:
        headers = _headers(served, f"grid-{seeds}-{columns}")
        if _is_known(request, headers):
            return Response(status_code=304, headers=headers)
        faces = await served.run_for("generate", {"seed": chosen})
    png = await asyncio.to_thread(_png, faces, columns, 1)
    return Response(png, media_type="image/png", headers=headers)


@router.get("/interpolate.gif", response_class=Response, responses=_GIF)
async def interpolate(
    request: Request, first: FromSeed, last: ToSeed, frames: Frames = 24
) -> Response:
    """The way from the picture of one seed to that of another, and back."""
    service = _service(request)
    if frames > service.row_limit:
        raise RequestError(413, f"{frames} frames; the limit is {service.row_limit} a request.")
    with service.lease() as served:
        headers = _headers(served, f"way-{first}-{last}-{frames}")
        if _is_known(request, headers):
            return Response(status_code=304, headers=headers)
        ends = served.model.latents([first, last])
        method = latent.natural_method(served.model.info["z_dist"])
        z = latent.walk(ends, frames - 1, method=method)
        faces = await served.run_for(DEFAULT_SIGNATURE, {"z": z})
    gif = await asyncio.to_thread(lambda: pictures.gif(images.to_uint8(faces)))
    return Response(gif, media_type="image/gif", headers=headers)


@router.post("/render", response_class=Response, responses=_PNG, openapi_extra=_RENDER)
async def render(request: Request) -> Response:
    """The pictures of latent vectors as one PNG without gaps, row by row."""
    service = _service(request)
    wanted = tensorflow_rest.parse(await read_body(request, service.body_limit))
    columns = wanted.get("columns")
    if columns is not None and (type(columns) is not int or columns < 1):
        raise RequestError(400, "Expected columns to be a whole number of at least 1.")
    with service.lease() as served:
        tensor = served.signature(DEFAULT_SIGNATURE).inputs["z"]
        z = tensorflow_rest.array(wanted.get("z"), tensor, service.row_limit)
        faces = await served.run_for(DEFAULT_SIGNATURE, {"z": z})
    png = await asyncio.to_thread(lambda: _png(images.to_uint8(faces), columns, 0))
    return Response(png, media_type="image/png", headers={"Cache-Control": "no-store"})


def _service(request: Request) -> Service:
    return request.app.state.service


def _png(faces: np.ndarray, columns: int | None, margin: int) -> bytes:
    return images.png_bytes(images.grid(faces, columns=columns, margin=margin))


def _headers(served: Served, what: str) -> dict[str, str]:
    """Browsers keep a picture but ask whether it is still that one: a new version changes it."""
    tag = f"{served.model.fingerprint}-{what}".encode()
    return {"ETag": f'"{hashlib.sha256(tag).hexdigest()[:24]}"', "Cache-Control": "no-cache"}


def _is_known(request: Request, headers: dict[str, str]) -> bool:
    tags = request.headers.get("if-none-match", "").split(",")
    return headers["ETag"] in {tag.strip().removeprefix("W/") for tag in tags}
