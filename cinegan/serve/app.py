"""A generator over HTTP: cycles as arrays of bytes; faults as one line of JSON."""

from __future__ import annotations

import asyncio
import io
import zipfile

import numpy as np
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from cinegan.errors import CineganError
from cinegan.files import add_to_zip
from cinegan.serve.model import Asked, Served

BODY_BYTES = 1 << 16  # no request is near as long
BODY_S = 20.0  # in which its body must have come
FAULT_CHARACTERS = 300


def application(served: Served, most: int) -> Starlette:
    """The service of a generator.

    Parameters
    ----------
    most : int
        Cycles that one request may ask for.
    """

    async def about(_: Request) -> Response:
        return JSONResponse(served.about | {"most_cycles": most})

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def card(_: Request) -> Response:
        if served.card is None:
            raise HTTPException(
                404,
                "no card of these weights is here; the stage `evaluate` writes it, of a model of "
                "params.yaml",
            )
        return PlainTextResponse(served.card, media_type="text/markdown")

    async def cycles(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await _body(request)
        if kind != "application/json":
            raise HTTPException(415, 'send JSON, with "Content-Type: application/json"')
        try:
            asked = Asked.model_validate_json(body)
            if asked.n > most:
                raise CineganError(f"n: at most {most} cycles at once")
            drawing = served.submit(asked)
        except (ValidationError, CineganError) as error:
            raise HTTPException(422, _fault(error)) from None
        arrays = await asyncio.wrap_future(drawing)
        return Response(
            _packed(arrays),
            media_type="application/octet-stream",
            headers={"X-Weights-SHA256": served.about["weights_sha256"]},
        )

    return Starlette(
        routes=[
            Route("/", about),
            Route("/health", health),
            Route("/card", card),
            Route("/cycles", cycles, methods=["POST"]),
        ],
        exception_handlers={HTTPException: _refusal},
    )


async def _refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _body(request: Request) -> bytes:
    """The whole body; the rest of one too large is read away, so that its sender listens."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                if len(body) <= BODY_BYTES:
                    body += part
    except TimeoutError:
        raise HTTPException(408, f"the body did not come within {BODY_S:g} s") from None
    except ClientDisconnect:
        raise HTTPException(400, "the body ended early") from None
    if len(body) > BODY_BYTES:
        raise HTTPException(413, f"a body of more than {BODY_BYTES} bytes")
    return bytes(body)


def _fault(error: ValidationError | CineganError) -> str:
    """One line, in the terms of the request."""
    if isinstance(error, CineganError):
        return str(error)
    faults = [
        f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}"
        for each in error.errors(include_input=False, include_url=False)
    ]
    return " ".join("; ".join(faults).split())[:FAULT_CHARACTERS]


def _packed(arrays: dict[str, np.ndarray]) -> bytes:
    """One array as .npy, several as .npz."""
    if len(arrays) == 1:
        (array,) = arrays.values()
        return _npy(array)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            add_to_zip(archive, f"{name}.npy", _npy(array))
    return stream.getvalue()


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()
