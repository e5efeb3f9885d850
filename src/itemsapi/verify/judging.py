"""What a response to an attack means."""

from http import HTTPStatus
from typing import Final

from itemsapi.verify.findings import Outcome
from itemsapi.verify.wire import Response

_REFUSALS: Final = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
MAX_DETAIL_LENGTH: Final = 200  # of what a service says
Verdict = tuple[Outcome, str]


def judge_refusal(response: Response) -> Verdict:
    """Judge the response to a request that must be refused for its credential."""
    if response.succeeded:
        return Outcome.FAULT, f"accepted: {response.status}"
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Outcome.FAULT, f"the service fails: {response.status}"
    if response.status in _REFUSALS:
        return Outcome.OK, str(response.status)
    return Outcome.WARNING, f"refused with {response.status}, not with 401 or 403"


def judge_detour(response: Response, control: Response | None) -> Verdict:
    """Judge the response to a request that may reach the view around the gate.

    Without a control every success is a fault. With one, only a success that looks like it is.
    """
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR and response.status != (
        HTTPStatus.NOT_IMPLEMENTED
    ):
        return Outcome.FAULT, f"the service fails: {response.status}"
    if response.succeeded and (control is None or looks_alike(response, control)):
        return Outcome.FAULT, f"accepted without a token: {response.status}"
    return Outcome.OK, str(response.status)


def problem_detail(response: Response) -> str:
    """Return what a problem (RFC 9457) says of itself, shortened, for the end of a sentence."""
    content = response.json
    said = content.get("detail") if isinstance(content, dict) else None
    return f" ({said[:MAX_DETAIL_LENGTH].strip(' .')})" if isinstance(said, str) and said else ""


def looks_alike(response: Response, control: Response) -> bool:
    """Whether two responses are the same, or JSON of the same shape (times and ids may differ)."""
    if response.body == control.body:
        return bool(response.body)
    one, two = response.json, control.json
    return one is not None and two is not None and _shape(one) == _shape(two)


def _shape(value: object, depth: int = 3) -> object:
    if isinstance(value, dict) and depth:
        return {name: _shape(part, depth - 1) for name, part in value.items()}
    if isinstance(value, list) and depth:
        return [_shape(part, depth - 1) for part in value[:1]]
    return type(value).__name__
