"""Errors as the service answers them: problem details for HTTP APIs (RFC 9457), with one reason."""

from http import HTTPStatus

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from skylight.errors import printable, reason

MEDIA_TYPE = "application/problem+json"
MOST_CHARACTERS = 500


class Problem(BaseModel):
    """What is wrong with a request."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


def problem(status: int, detail: object, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the answer to a request that is not served."""
    title = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Client Closed Request"
    content = Problem(title=title, status=status, detail=printable(detail)[:MOST_CHARACTERS])
    return JSONResponse(content.model_dump(), status, headers, MEDIA_TYPE)


async def of_http(request: Request, error: HTTPException) -> JSONResponse:
    """Answer an error with a status."""
    return problem(error.status_code, error.detail, error.headers)


async def of_fields(request: Request, error: RequestValidationError) -> JSONResponse:
    """Answer a request with a wrong field: the first one is the reason."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:]) or "request"
    return problem(422, f"{field}: {first['msg']}")


async def of_input(request: Request, error: Exception) -> JSONResponse:
    """Answer a request whose file or question cannot be used."""
    return problem(422, reason(error))


async def unforeseen(request: Request, error: Exception) -> JSONResponse:
    """Answer after an error of the service itself, which goes to the log."""
    return problem(500, "an error of the service; its log has more")
