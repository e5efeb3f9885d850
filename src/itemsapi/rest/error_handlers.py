"""Turn every exception into a problem response (RFC 9457).

Every exception becomes a `Problem`: a `Problem` stays as it is, exceptions of Werkzeug are mapped
by their status, schema errors become `ValidationFailed`, and everything else becomes
`InternalError`, with the cause in the log and not in the response.
"""

import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import flask.app
import orjson
from flask import Flask, Response, current_app
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as WrongMethod

from itemsapi import problems
from itemsapi.observability.context import request_context
from itemsapi.observability.logging import log_failure, summarize_error
from itemsapi.problems import InternalError, MethodNotAllowed, Problem, ValidationFailed

PROBLEM_JSON = "application/problem+json"
MAX_ERRORS = 20
PROBLEMS_URL = "itemsapi.problems_url"
MAX_FIELD_NAME_LENGTH = 64

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


class OtherProblem(Problem):
    """A status without a problem class, such as a view's `abort(410)`; it is not documented."""

    def __init__(self, status: int) -> None:
        """Derive code and title from the status."""
        title = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Refused"
        code = "".join(c if c.isalnum() else "_" for c in title.lower())
        vars(self).update(status=status, title=title, code=code)
        super().__init__()


def install(app: Flask) -> None:
    """Handle every exception of the application, those without a blueprint included."""
    for kind in (Exception, HTTPException, Problem):
        app.register_error_handler(kind, handle_error)
    app.logger.addFilter(_is_not_flask_traceback)


def handle_error(error: Exception) -> Response:
    """Return the problem response for an exception."""
    return problem_response(to_problem(error))


def set_problems_url(app: Flask, url: str) -> None:
    """Set the address of the page that explains problems; `type` is that address and the code."""
    app.extensions[PROBLEMS_URL] = url


def _is_not_flask_traceback(record: logging.LogRecord) -> bool:
    """Return whether this is not Flask's line about an exception, which has the raw path (S-151).

    `log_problem` logs the exception without it.
    """
    return record.exc_info is None or record.pathname != flask.app.__file__


def problem_response(problem: Problem) -> Response:
    """Return the response for `problem`, and log it if the status is 5xx."""
    log_problem(problem)
    base = current_app.extensions.get(PROBLEMS_URL, "")
    response = Response(problem_body(problem, base), problem.status, content_type=PROBLEM_JSON)
    response.headers.update(problem.headers())
    return response


def problem_body(problem: Problem, base: str) -> bytes:
    """Return the problem as JSON: `type title status detail code request_id`, and `errors`."""
    members: dict[str, object] = {
        "type": f"{base}#{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_context().request_id,
    }
    if problem.errors is not None:
        members["errors"] = problem.errors
    return orjson.dumps(members)


def log_problem(problem: Problem) -> None:
    """Log the cause of a 5xx response in one line (R-35).

    An expected cause is logged as text, an unexpected exception with its place in the code.
    """
    if problem.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return
    unexpected = None if problem.cause else problem.__cause__
    kind = "unhandled" if isinstance(problem, InternalError) else "unavailable"
    log_failure(kind, problem.cause or ("" if unexpected else problem.detail), unexpected)


def to_problem(error: BaseException) -> Problem:
    """Return the problem that represents `error` to the client."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, ValidationError):
        return validation_problem({"_schema": error.messages})
    if isinstance(error, WrongMethod):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return MethodNotAllowed(headers={"Allow": allowed})
    if isinstance(error, HTTPException) and error.code is not None:
        return _of_status(error.code, error)
    return _unhandled(error)


def validation_problem(messages: Mapping[Any, Any]) -> Problem:
    """Return `ValidationFailed` with the schema's messages."""
    return add_errors(ValidationFailed(), messages)


def add_errors(problem: Problem, messages: Mapping[Any, Any]) -> Problem:
    """Add the schema's messages as `errors`: at most 20, with sanitized field names."""
    errors: list[dict[str, str]] = []
    for path, message in _flatten(messages, ()):
        if len(errors) == MAX_ERRORS:
            break
        errors.append({"field": _sanitize(".".join(path)) or "body", "message": message})
    problem.args = ("; ".join(f"{e['field']}: {e['message']}" for e in errors[:3]),)
    problem.errors = errors
    return problem


def _flatten(messages: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            yield from _flatten(inner, path if name == "_schema" else (*path, str(name)))
    elif isinstance(messages, list):
        for inner in messages:
            yield from _flatten(inner, path)
    else:
        yield path, str(messages)


def _sanitize(name: str) -> str:
    """Shorten a name that the client chose, and replace unsafe characters."""
    return "".join(
        c if c.isascii() and (c.isalnum() or c in "_.-") else "?"
        for c in name[:MAX_FIELD_NAME_LENGTH]
    )


def _unhandled(error: BaseException) -> InternalError:
    problem = InternalError()
    problem.__cause__ = getattr(error, "original_exception", None) or error
    return problem


def _of_status(status: int, error: HTTPException) -> Problem:
    data = getattr(error, "data", None)  # the arguments of `flask_smorest.abort`
    if isinstance(data, Mapping):
        return _aborted(status, error, data)
    problem = problem_of_status(status, error)
    if status in _BY_STATUS and (reason := _reason_of_extension(error)):
        problem.args = (reason,)
    return problem


def _reason_of_extension(error: HTTPException) -> str | None:
    """Return what an exception class of an extension says, such as `CSRFError` of Flask-WTF.

    Not those of Werkzeug: their texts may contain parts of the request.
    """
    is_of_werkzeug = type(error).__module__.partition(".")[0] == "werkzeug"
    return None if is_of_werkzeug else error.description


def _aborted(status: int, error: HTTPException, data: Mapping[str, Any]) -> Problem:
    """Return the problem of `abort(status, message=..., errors=..., headers=...)`."""
    messages = data.get("messages") or data.get("errors")
    problem = problem_of_status(status, error)
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        if isinstance(messages, Mapping):
            by_location = all(isinstance(value, Mapping) for value in messages.values())
            merge = "messages" in data and by_location
            add_errors(problem, _merge_locations(messages) if merge else messages)
        if isinstance(message := data.get("message"), str):
            problem.args = (message,)
    if isinstance(headers := data.get("headers"), Mapping):
        problem.extra_headers |= headers
    return problem


def _merge_locations(messages: Mapping[str, Any]) -> dict[Any, Any]:
    """Return messages by field: webargs groups them by location and field."""
    return {name: errors for fields in messages.values() for name, errors in fields.items()}


def problem_of_status(status: int, error: BaseException) -> Problem:
    """Return the problem for a status; `error` is the cause to log if it is 5xx."""
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
    return OtherProblem(status)
