"""Converts JSON to arrays and back, as in TensorFlow Serving's REST API.

https://www.tensorflow.org/tfx/serving/api_rest: requests in rows ("instances") or in columns
("inputs"), {"b64": ...} for bytes, errors as {"error": ...}, so that one client works with both
servers. Wrong shapes, levels beyond uint8, NaN and infinity are refused with a sentence, whereas
that server passes them on and lets the model fail.
"""

import base64
import binascii
import itertools
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from dcgan.serving.errors import RequestError

DEFAULT_SIGNATURE = "serving_default"
_JSON_NAMES = {type(None): "Null", bool: "Boolean", dict: "Object", list: "Array", str: "String"}
_JSON_NAMES |= {int: "Number", float: "Number"}


@dataclass(frozen=True)
class Tensor:
    """An input or output of a signature."""

    name: str  # in the signature
    dtype: str  # NumPy's name of it; "string" for bytes
    shape: tuple[int | None, ...]  # None for a free length


@dataclass(frozen=True)
class Signature:
    """A function of a model: its inputs and outputs by name, all with rows as the first axis."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


def parse(body: bytes) -> dict[str, Any]:
    """Parses a body, which must be a JSON object."""
    if not body:
        raise RequestError("JSON Parse error: The document is empty")
    try:
        value = json.loads(body)  # not orjson: it rounds large seeds, and NaN deserves a sentence
    except RecursionError as error:
        raise RequestError("JSON Parse error: Nested too deeply") from error
    except ValueError as error:  # wrong syntax or UTF-8, or a number of thousands of digits
        raise RequestError(f"JSON Parse error: {error}") from error
    if not isinstance(value, dict):
        raise RequestError(f"JSON Value: {_preview(value)} Is not object")
    return value


def read_predict(
    body: bytes, signatures: dict[str, Signature], row_limit: int
) -> tuple[str, dict[str, np.ndarray], bool]:
    """Reads the body of a predict request, with checks in the order of TensorFlow Serving's.

    Those are `FillPredictRequestFromJson` in its json_tensor.cc and `GetInfoMap` in its
    http_rest_api_handler.cc. An unknown signature gets 400 there as well, not 404.

    Returns:
        The signature's name, the inputs by name, all with the same number of rows, and whether the
        request, and so its answer, is in rows.

    Raises:
        RequestError: 413, there are more rows than the limit; 400, the body is not of the API's
            form, or the signature does not take it.
    """
    request = parse(body)
    name = request.get("signature_name", DEFAULT_SIGNATURE)
    if not isinstance(name, str):
        raise RequestError(
            f"JSON Value: {_preview(request)} not formatted correctly. 'signature_name' key must "
            "be a string value."
        )
    name = name or DEFAULT_SIGNATURE
    if name not in signatures:
        raise RequestError(f'Serving signature name: "{name[:100]}" not found in signature def')
    keys = request.keys() & {"instances", "inputs"}
    if len(keys) == 2:
        raise RequestError(
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys"
        )
    if not keys:
        raise RequestError("Missing 'inputs' or 'instances' key")
    key = keys.pop()
    is_row = key == "instances"
    inputs = _read_inputs(request[key], signatures[name], row_limit, is_row=is_row)
    return name, inputs, is_row


def _read_inputs(
    values: Any, signature: Signature, row_limit: int, *, is_row: bool
) -> dict[str, np.ndarray]:
    columns = _columns(values, signature) if is_row else values
    if not isinstance(columns, dict) or _is_bytes(columns):
        columns = _only_input(columns, signature, "inputs")
    if missing := [name for name in signature.inputs if name not in columns]:
        raise RequestError(f"Missing named input: {missing[0]} in 'inputs' object.")
    arrays = {
        name: array(columns[name], tensor, row_limit) for name, tensor in signature.inputs.items()
    }
    if len({len(rows) for rows in arrays.values()}) != 1:
        raise RequestError("Expected as many rows of every input.")
    return arrays


def read_render(body: bytes, z: Tensor, row_limit: int) -> tuple[np.ndarray, int | None, Any]:
    """Reads a request for pictures of latent vectors: "z", perhaps "columns" and "labels".

    Returns:
        The latent vectors, the number of pictures in a row, and the labels, not checked yet.

    Raises:
        RequestError: 413, there are more rows than the limit; 400, the body has another form.
    """
    wanted = parse(body)
    columns = wanted.get("columns")
    if columns is not None and (type(columns) is not int or columns < 1):
        raise RequestError("Expected columns to be a whole number of at least 1.")
    return array(wanted.get("z"), z, row_limit), columns, wanted.get("labels")


def _columns(instances: Any, signature: Signature) -> dict[str, Any]:
    if not isinstance(instances, list):
        raise RequestError(f"Expected 'instances' to be a list; received {_preview(instances)}.")
    if not instances:
        raise RequestError("No values in 'instances' array")
    named = [isinstance(row, dict) and not _is_bytes(row) for row in instances]
    if not any(named):
        return _only_input(instances, signature, "instances")
    expected = sorted(signature.inputs)
    for i, row in enumerate(instances):
        if not named[i] or sorted(row) != expected:
            raise RequestError(
                f"Failed to process element: {i} of 'instances' list. JSON object: {_preview(row)} "
                f"keys must be equal to: {','.join(expected)}"
            )
    return {name: [row[name] for row in instances] for name in expected}


def _only_input(values: Any, signature: Signature, key: str) -> dict[str, Any]:
    """Assigns values without a name to the only input; refuses them if there are several."""
    if len(signature.inputs) != 1:
        raise RequestError(
            f"{key} is a plain value/list, but expecting an object as multiple input tensors "
            "required as per tensorinfo_map"
        )
    return dict.fromkeys(signature.inputs, values)


def array(value: Any, tensor: Tensor, row_limit: int) -> np.ndarray:
    """Converts a JSON value, lists as deep as the tensor has dimensions, to an array.

    Raises:
        RequestError: 413, too many rows; 400, wrong shape or type, or a value that is not finite.
    """
    if isinstance(value, list) and len(value) > row_limit:
        raise RequestError(
            f"The request has {len(value):,} rows; the limit is {row_limit:,} a request.", 413
        )
    shape, leaves = _flatten(value, tensor)
    if tensor.dtype == "string":
        return np.array([_bytes(leaf) for leaf in leaves], object).reshape(shape)
    is_float = tensor.dtype.startswith("float")
    for leaf in leaves:
        if type(leaf) is not int and not (is_float and type(leaf) is float):
            raise _wrong_type(leaf, tensor)
    try:
        with np.errstate(over="ignore"):
            values = np.array(leaves, tensor.dtype).reshape(shape)
    except OverflowError as error:
        worst = max(leaves, key=abs)
        raise _wrong_type(worst, tensor) from error
    if is_float and not np.isfinite(values).all():
        worst = leaves[int(np.argmin(np.isfinite(values.ravel())))]
        raise RequestError(
            f"Expected finite numbers of {tensor.dtype} in {tensor.name}; received {worst}."
        )
    return values


def _flatten(value: Any, tensor: Tensor) -> tuple[tuple[int, ...], list]:
    """Returns shape and values of nested lists, without recursion, as clients choose the depth."""
    shape: list[int] = []
    level = [value]
    while level and isinstance(level[0], list) and len(shape) <= len(tensor.shape):
        size = len(level[0])
        if not all(isinstance(item, list) and len(item) == size for item in level):
            raise RequestError(f"Expected lists of one length in {tensor.name} at each depth.")
        shape.append(size)
        level = list(itertools.chain.from_iterable(level))
    fits = len(shape) == len(tensor.shape) and all(
        expected in (None, received) for expected, received in zip(tensor.shape, shape, strict=True)
    )
    if not fits or 0 in shape:
        expected = ",".join("N" if size is None else str(size) for size in tensor.shape)
        received = ",".join(map(str, shape))
        raise RequestError(f"Expected {tensor.name} of shape [{expected}]; received [{received}].")
    return tuple(shape), level


def _is_bytes(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _bytes(leaf: Any) -> bytes:
    if isinstance(leaf, str):
        return leaf.encode("utf-8", "surrogatepass")
    if not _is_bytes(leaf):
        raise RequestError(f"JSON Value: {_preview(leaf)} not formatted correctly for base64 data")
    try:
        return base64.b64decode(leaf["b64"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError("Unable to base64 decode") from error


def _wrong_type(leaf: Any, tensor: Tensor) -> RequestError:
    return RequestError(
        f"JSON Value: {_preview(leaf)} Type: {_JSON_NAMES[type(leaf)]} is not of expected type: "
        f"{tensor.dtype}"
    )


def _preview(value: Any) -> str:
    """Returns the beginning of a value, for a message."""
    try:
        text = json.dumps(value)
    except (RecursionError, ValueError):  # too deep, or a number of thousands of digits
        text = f"({_JSON_NAMES[type(value)]})"
    return text if len(text) <= 100 else text[:100] + "..."


def size_of(outputs: dict[str, np.ndarray]) -> int:
    return sum(
        sum(map(len, rows.flat)) if rows.dtype == object else rows.nbytes
        for rows in outputs.values()
    )


def answer(outputs: dict[str, np.ndarray], is_row: bool) -> bytes:
    """Makes the body of the answer to a predict request, in rows if the request was in rows.

    A single output is written without its name.
    """
    values = {  # orjson writes arrays of numbers, but not bytes
        name: _texts(name, rows.tolist()) if rows.dtype == object else np.ascontiguousarray(rows)
        for name, rows in outputs.items()
    }
    if len(values) == 1:
        (result,) = values.values()
    elif is_row:
        result = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    else:
        result = values
    key = "predictions" if is_row else "outputs"
    return orjson.dumps({key: result}, option=orjson.OPT_SERIALIZE_NUMPY)


def _texts(name: str, value: Any) -> Any:
    """Converts bytes to text, or to base64 if they are not text or the name ends in _bytes.

    TensorFlow Serving decides by the output's name alone, and writes broken JSON for other bytes.
    """
    if isinstance(value, list):
        return [_texts(name, item) for item in value]
    if not name.endswith("_bytes"):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            pass
    return {"b64": base64.b64encode(value).decode("ascii")}


def error(message: str) -> bytes:
    """Makes the body of a refusal; ASCII, since a client may have sent half a character."""
    return json.dumps({"error": message}).encode("ascii")


def status(states: dict[int, str]) -> dict:
    """Makes the answer for the model's status from AVAILABLE or LOADING by version."""
    fine = {"error_code": "OK", "error_message": ""}
    return {
        "model_version_status": [
            {"version": str(version), "state": states[version], "status": fine}
            for version in sorted(states, reverse=True)
        ]
    }
