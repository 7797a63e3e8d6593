"""The endpoints of TensorFlow Serving's REST API: status, metadata, predict.

Classify, regress, version labels and several models are not supported.
"""

import re

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from dcgan.serving import classes, tfserving_json
from dcgan.serving.errors import RequestError
from dcgan.serving.limits import json_body, read_body
from dcgan.serving.service import Service

_BODY = json_body(
    {
        "signature_name": {"type": "string", "default": "serving_default"},
        "instances": {"type": "array", "description": "Rows."},
        "inputs": {"description": "Columns: one input, or an object of them."},
    },
    examples=[{"signature_name": "generate", "instances": [7, 8]}],
)

router = APIRouter(prefix="/v1/models", tags=["TensorFlow Serving's API"])


@router.get("/{model}")
async def status(request: Request, model: str) -> JSONResponse:
    """The states of all versions, the newest first."""
    return JSONResponse(tfserving_json.status(_states(request, model)))


@router.get("/{model}/versions/{version}")
async def version_status(request: Request, model: str, version: str) -> JSONResponse:
    """The state of one version."""
    states = _states(request, model)
    number = _number(request, version)
    if number not in states:
        raise RequestError(f"Could not find version {number} of model {model}", 404)
    return JSONResponse(tfserving_json.status({number: states[number]}))


@router.get("/{model}/metadata")
async def metadata(request: Request, model: str) -> JSONResponse:
    """The signatures of the newest version."""
    return _metadata(request, model, None)


@router.get("/{model}/versions/{version}/metadata")
async def version_metadata(request: Request, model: str, version: str) -> JSONResponse:
    """The signatures of one version."""
    return _metadata(request, model, _number(request, version))


@router.post("/{model}:predict", openapi_extra=_BODY)
async def predict(request: Request, model: str) -> Response:
    """The outputs of a signature of the newest version."""
    return await _predict(request, model, None)


@router.post("/{model}/versions/{version}:predict", openapi_extra=_BODY)
async def version_predict(request: Request, model: str, version: str) -> Response:
    """The outputs of a signature of one version."""
    return await _predict(request, model, _number(request, version))


def malformed(request: Request) -> RequestError:
    """Makes the refusal of an address that the API does not have."""
    return RequestError(f"Malformed request: {request.method} {request.state.path[:200]}")


def _number(request: Request, version: str) -> int:
    if not re.fullmatch("[0-9]+", version):
        raise malformed(request)
    if len(version) > 19 or int(version) >= 1 << 63:
        raise RequestError(f"Failed to convert version: {version[:40]} to numeric.")
    return int(version)


def _states(request: Request, model: str) -> dict[int, str]:
    service: Service = request.app.state.service
    if ":" in model:
        raise malformed(request)
    if model != service.name:
        raise RequestError(f"Could not find any versions of model {model[:100]}", 404)
    return service.versions.states()


def _metadata(request: Request, model: str, version: int | None) -> JSONResponse:
    service: Service = request.app.state.service
    with service.lease(version, model) as served:
        number, signatures = str(served.version), served.model.signature_def
    spec = {"name": model, "signature_name": "", "version": number}
    found = {"signature_def": {"signature_def": signatures}}
    return JSONResponse({"model_spec": spec, "metadata": found})


async def _predict(request: Request, model: str, version: int | None) -> Response:
    service: Service = request.app.state.service
    body = await read_body(request, service)
    with service.lease(version, model) as served:
        signature, inputs, is_row = await service.readers.run(
            tfserving_json.read_predict,
            *(body, served.model.signatures, service.row_limit),
            size=len(body),
        )
        classes.check(served.columns, inputs)
        outputs = await served.run(signature, inputs)
    size = tfserving_json.size_of(outputs)
    request.state.memory.add(size)
    content = await service.writers.run(tfserving_json.answer, outputs, is_row, size=size)
    request.state.memory.add(len(content))
    return Response(content, media_type="application/json")
