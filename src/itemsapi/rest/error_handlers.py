"""Every refusal becomes an RFC 9457 answer here, and nowhere else.

Whatever is raised ends as a `Problem`: those of our own as they are, those of Werkzeug by their
status, schema errors as `Invalid`, everything else as `InternalError` with the cause in the log and
not in the answer.
"""

import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import flask.app
import orjson
from flask import Flask, Response
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as WrongMethod

from itemsapi import problems
from itemsapi.observability.causes import summarize_error
from itemsapi.observability.context import request_context
from itemsapi.observability.logging import log_failure
from itemsapi.problems import InternalError, MethodNotAllowed, Problem, ValidationFailed

PROBLEM_JSON = "application/problem+json"
MAX_ERRORS = 20
MAX_NAME = 64

_BY_STATUS: Mapping[int, type[Problem]] = {
    400: problems.BadRequest,
    403: problems.Forbidden,
    404: problems.NotFound,
    406: problems.NotAcceptable,
    409: problems.Conflict,
    412: problems.PreconditionFailed,
    413: problems.BodyTooLarge,
    415: problems.MediaTypeWrong,
    422: problems.ValidationFailed,
    428: problems.PreconditionRequired,
    431: problems.HeadersTooLarge,
}


class OtherRefusal(Problem):
    """A status that has no class of its own, such as a page's `abort(410)`; never documented."""

    def __init__(self, status: int) -> None:
        """Take code and title from the status."""
        title = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Refused"
        code = "".join(c if c.isalnum() else "_" for c in title.lower())
        vars(self).update(status=status, title=title, code=code)
        super().__init__()


def install(app: Flask, base: str) -> None:
    """Answer everything that is raised; `base` is where the problems are explained."""

    def refuse(error: Exception) -> Response:
        return answer(problem_of(error), base)

    for kind in (Exception, HTTPException, Problem):
        app.register_error_handler(kind, refuse)
    app.logger.addFilter(_not_by_flask)


def _not_by_flask(record: logging.LogRecord) -> bool:
    """Keep out Flask's own lines about a failure: ours tells it, and no raw path in it (S-151)."""
    return record.exc_info is None or record.pathname != flask.app.__file__


def answer(problem: Problem, base: str) -> Response:
    """Return the answer that says `problem`; what is our fault goes to the log."""
    report(problem)
    response = Response(body(problem, base), problem.status, content_type=PROBLEM_JSON)
    response.headers.update(problem.headers())
    return response


def body(problem: Problem, base: str) -> bytes:
    """Return the problem as JSON: `type title status detail code request_id`, and `errors`."""
    said: dict[str, object] = {
        "type": f"{base}#{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_context().request_id,
    }
    if problem.errors is not None:
        said["errors"] = problem.errors
    return orjson.dumps(said)


def report(problem: Problem) -> None:
    """Log why the answer is a 5xx, in one line (R-35).

    Causes are told in words where somebody expected them, by their places where nobody did.
    """
    if problem.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return
    unexpected = None if problem.cause else problem.__cause__
    kind = "unhandled" if isinstance(problem, InternalError) else "unavailable"
    log_failure(kind, problem.cause or ("" if unexpected else problem.detail), unexpected)


def problem_of(error: BaseException) -> Problem:
    """Return the problem that `error` is to the client."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, ValidationError):
        return invalid({"_schema": error.messages})
    if isinstance(error, WrongMethod):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return MethodNotAllowed(headers={"Allow": allowed})
    if isinstance(error, HTTPException) and error.code is not None:
        return _of_status(error.code, error)
    return _unhandled(error)


def invalid(messages: Mapping[Any, Any]) -> ValidationFailed:
    """Return the schema's messages as `errors`, at most 20 of them, with names made harmless."""
    found: list[dict[str, str]] = []
    for path, message in _flat(messages, ()):
        if len(found) == MAX_ERRORS:
            break
        found.append({"field": _harmless(".".join(path)) or "body", "message": message})
    return ValidationFailed(
        "; ".join(f"{e['field']}: {e['message']}" for e in found[:3]), errors=found
    )


def _flat(messages: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            yield from _flat(inner, path if name == "_schema" else (*path, str(name)))
    elif isinstance(messages, list):
        for inner in messages:
            yield from _flat(inner, path)
    else:
        yield path, str(messages)


def _harmless(name: str) -> str:
    """Cut a name that the client chose, and keep only what cannot do harm anywhere."""
    return "".join(
        c if c.isascii() and (c.isalnum() or c in "_.-") else "?" for c in name[:MAX_NAME]
    )


def _unhandled(error: BaseException) -> InternalError:
    problem = InternalError()
    problem.__cause__ = getattr(error, "original_exception", None) or error
    return problem


def _of_status(status: int, error: HTTPException) -> Problem:
    data = getattr(error, "data", None)  # what `flask_smorest.abort` was given
    if isinstance(data, Mapping):
        return _aborted(status, error, data)
    return _by_status(status, error)


def _aborted(status: int, error: HTTPException, data: Mapping[str, Any]) -> Problem:
    """Return the problem of `abort(status, message=..., errors=..., headers=...)`."""
    messages = data.get("messages") or data.get("errors")
    problem = _by_status(status, error)
    if isinstance(messages, Mapping) and status == HTTPStatus.UNPROCESSABLE_ENTITY:
        by_location = all(isinstance(one, Mapping) for one in messages.values())
        problem = invalid(_joined(messages) if "messages" in data and by_location else messages)
    if (
        isinstance(message := data.get("message"), str)
        and status < HTTPStatus.INTERNAL_SERVER_ERROR
    ):
        problem.args = (message,)
    if isinstance(headers := data.get("headers"), Mapping):
        problem.extra |= headers
    return problem


def _joined(messages: Mapping[str, Any]) -> dict[Any, Any]:
    """Return messages by field: webargs sends them by location and field."""
    return {name: found for fields in messages.values() for name, found in fields.items()}


def _by_status(status: int, error: HTTPException) -> Problem:
    if status in _BY_STATUS:
        return _BY_STATUS[status]()
    if status == HTTPStatus.UNAUTHORIZED:
        return problems.TokenInvalid()
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return problems.TooManyRequests(1)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return problems.Unavailable(cause=summarize_error(error))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _unhandled(error)
    return OtherRefusal(status)
