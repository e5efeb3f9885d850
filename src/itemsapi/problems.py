"""Every way to be refused: its status, its code, its words, its headers.

A refusal is a `Problem`, raised anywhere and turned into an RFC 9457 answer in one place
(`rest.error_handlers`). `code` is the stable name that programs test; `title` says what it is and
`detail` what to do. Nothing here is ever reflected from the request, so no refusal can carry
hostile characters (RFC 6750 section 3).
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

REALM = "itemsapi"


class Problem(Exception):
    """A refusal with its HTTP answer.

    `errors` lists faults by field (`{"field": "price", "message": "..."}`), for 422 alone. `cause`
    is for the log alone: what is away, and what its driver said of it (R-35).
    """

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    advice: ClassVar[str] = ""
    cause: str = ""

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: list[dict[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Say more than the class does, where there is more to say."""
        super().__init__(detail or self.advice or self.title)
        self.errors = errors
        self.extra = dict(headers or {})

    @property
    def detail(self) -> str:
        """The sentence that tells what to do."""
        return str(self.args[0])

    def headers(self) -> dict[str, str]:
        """Return the headers that belong to this refusal."""
        return self.extra


class Challenge(Problem):
    """A refusal that carries `WWW-Authenticate` (RFC 6750 section 3)."""

    status = 401
    error: ClassVar[str | None] = None

    def headers(self) -> dict[str, str]:
        """Return the challenge beside the other headers."""
        words = [f'realm="{REALM}"']
        if self.error:
            words += [f'error="{self.error}"', f'error_description="{self.title}"']
        words += [f'{name}="{value}"' for name, value in self.parameters()]
        return self.extra | {"WWW-Authenticate": "Bearer " + ", ".join(words)}

    def parameters(self) -> Iterator[tuple[str, str]]:
        """Yield further parameters of the challenge."""
        yield from ()


class TokenMissing(Challenge):
    """No credential was shown at all, so the challenge names no error (RFC 6750 section 3.1)."""

    code = "token_missing"
    title = "Authentication required"
    advice = "Send the header `Authorization: Bearer <access token>`; POST /auth/login gives one."


class TokenInvalid(Challenge):
    """A credential was shown and is no good: malformed, forged, expired or revoked."""

    code = "invalid_token"
    error = "invalid_token"
    title = "The access token is invalid, expired or revoked"
    advice = "Get a new access token with POST /auth/refresh, or sign in again."


class ScopeMissing(Challenge):
    """The token is good and does not reach this far (RFC 6750 section 3.1)."""

    status = 403
    code = "insufficient_scope"
    error = "insufficient_scope"
    title = "The token lacks a scope that this operation needs"

    def __init__(self, *scopes: str) -> None:
        """Name the scopes that the rule declares, all of them."""
        self.scopes = tuple(sorted(scopes))
        super().__init__(f"This operation needs the scope {' '.join(self.scopes)}.")

    def parameters(self) -> Iterator[tuple[str, str]]:
        """Yield the scopes that would do."""
        yield "scope", " ".join(self.scopes)


class PasswordChangeRequired(Challenge):
    """Who signed in with a one-time password may set another one, and nothing else (S-119)."""

    status = 403
    code = "password_change_required"
    error = "insufficient_scope"
    title = "The password must be changed first"
    advice = "Set another one with POST /me/password; its answer has tokens that open the rest."


class Forbidden(Challenge):
    """The caller is known and may not do this, whatever the scopes of the token."""

    status = 403
    code = "forbidden"
    title = "This is not yours to do"


class RouteUnguarded(Challenge):
    """A route was added after boot and has no rule: nobody is let in."""

    status = 403
    code = "route_unguarded"
    title = "This route has no access rule"
    advice = "The route was added after the application was made; add it through `pages`."


class CredentialsInvalid(Challenge):
    """User name or password is wrong; the same words for both and for unknown users."""

    code = "invalid_credentials"
    title = "User name or password is wrong"
    advice = "Check both and try again."


class RefreshInvalid(Challenge):
    """The refresh token is no good, or its session is over."""

    code = "invalid_refresh_token"
    error = "invalid_token"
    title = "The refresh token is invalid or its session is over"
    advice = "Sign in again with POST /auth/login."


class RefreshReused(RefreshInvalid):
    """A refresh token was used again after it had been replaced.

    It may have been copied, so the session was ended.
    """

    code = "refresh_reused"
    title = "This refresh token was used before, so its session was ended"


class CrossSite(Challenge):
    """A browser sent this from a page that may not: cross-site request forgery is stopped here."""

    status = 403
    code = "csrf"
    title = "This request may not come from that page"
    advice = "Send `X-Auth-Delivery: cookie` from a page whose origin is allowed."


class BadRequest(Problem):
    """The request is not well-formed."""

    status = 400
    code = "bad_request"
    title = "The request is malformed"


class BodyMalformed(BadRequest):
    """The body is not strict JSON (RFC 8259, I-JSON RFC 7493)."""

    code = "malformed_json"
    title = "The body is not acceptable JSON"


class CookiesUnreadable(BadRequest):
    """Cookies came that cannot be read, so nobody can tell whether the session's was among them.

    That is no 401: the session goes on, and so does the browser's hope for it.
    """

    code = "cookies_unreadable"
    title = "The cookies of this request cannot be read"
    advice = "Remove cookies of other software with characters beyond ASCII, then try again."


class ScopeInvalid(BadRequest):
    """Scopes were asked for that cannot be had (RFC 6749 section 5.2)."""

    code = "invalid_scope"
    title = "The scope asked for is unknown or more than you may have"


class GrantTypeUnsupported(BadRequest):
    """The token endpoint knows the grant `refresh_token` and no other (RFC 6749 section 5.2)."""

    code = "unsupported_grant_type"
    title = "Only the grant type refresh_token is served here"


class NotFound(Problem):
    """There is no such thing, or it belongs to somebody else."""

    status = 404
    code = "not_found"
    title = "There is nothing here"


class MethodNotAllowed(Problem):
    """The address exists and does not take this method; `Allow` lists those it takes."""

    status = 405
    code = "method_not_allowed"
    title = "This address does not take that method"


class NotAcceptable(Problem):
    """The client wants a representation that does not exist."""

    status = 406
    code = "not_acceptable"
    title = "Only JSON is served here"


class RequestTimeout(Problem):
    """The body did not come in time: 10 s, and a second more for each 64 KiB (RFC 9110 15.5.9)."""

    status = 408
    code = "request_timeout"
    title = "The body did not come in time"
    advice = "Send the request again, on a new connection."


class Conflict(Problem):
    """The change clashes with what is stored."""

    status = 409
    code = "conflict"
    title = "The change clashes with what is stored"


class QuotaExceeded(Conflict):
    """The user holds as much as they may (S-118).

    409 and not 403: nothing about their rights stands in the way, and once they have made room the
    same request succeeds (RFC 9110 section 15.5.10).
    """

    code = "quota_exceeded"
    title = "You hold as much as you may"
    advice = "Delete some of it, or ask the operator for more."


class PreconditionFailed(Problem):
    """Somebody else changed it since it was read (RFC 9110 section 13)."""

    status = 412
    code = "precondition_failed"
    title = "It was changed since you read it"
    advice = "Read it again, apply your change, and send the new ETag in If-Match."


class BodyTooLarge(Problem):
    """The body is longer than this API takes."""

    status = 413
    code = "body_too_large"
    title = "The body is too large"


class MediaTypeWrong(Problem):
    """The body is not declared as the media type that this operation takes."""

    status = 415
    code = "unsupported_media_type"
    title = "The body must be application/json"
    advice = "Send the header `Content-Type: application/json`."


class Invalid(Problem):
    """The request is well-formed and breaks the schema; `errors` says where."""

    status = 422
    code = "validation_failed"
    title = "Some values are not acceptable"

    @classmethod
    def at(cls, field: str, message: str) -> "Invalid":
        """Make one about a single field."""
        return cls(f"{field}: {message}", errors=[{"field": field, "message": message}])


class KeyReused(Invalid):
    """The `Idempotency-Key` came before, with another request; each thing to do has its own key."""

    code = "idempotency_key_reused"
    title = "This Idempotency-Key was used for another request"
    advice = "Send a new random key; repeat a key only with the very same request."


class PreconditionRequired(Problem):
    """A change must say which version it was made against (RFC 6585 section 3)."""

    status = 428
    code = "precondition_required"
    title = "If-Match is required"
    advice = "Send the ETag of the version you read in the header If-Match."


class TooMany(Problem):
    """The caller is too fast; `Retry-After` says when to come back."""

    status = 429
    code = "too_many_requests"
    title = "Too many requests"

    def __init__(self, retry_after: int, *, policy: tuple[int, int] | None = None) -> None:
        """Say in how many seconds the next try may succeed, and the policy: how many in how long.

        The fields are those of draft-ietf-httpapi-ratelimit-headers.
        """
        wait = max(1, retry_after)
        headers = {"Retry-After": str(wait)}
        if policy:
            headers["RateLimit-Policy"] = '"caller";q={};w={}'.format(*policy)
            headers["RateLimit"] = f'"caller";r=0;t={wait}'
        super().__init__(f"Try again in {wait} s.", headers=headers)


class HeadersTooLarge(Problem):
    """The header fields are longer than this API takes (RFC 6585 section 5)."""

    status = 431
    code = "headers_too_large"
    title = "The header fields are too large"


class InternalError(Problem):
    """Something broke in here; the request id finds it in the log."""

    status = 500
    code = "internal_error"
    title = "Something went wrong on our side"
    advice = "Report the request_id."


class Unavailable(Problem):
    """Something this answer needs is away for now."""

    status = 503
    code = "unavailable"
    title = "The service cannot answer right now"

    def __init__(self, detail: str | None = None, *, retry_after: int = 1, cause: str = "") -> None:
        """Say when to come back, in seconds, and to the log what is away."""
        super().__init__(
            detail or f"Try again in {retry_after} s.", headers={"Retry-After": str(retry_after)}
        )
        self.cause = cause or type(self).cause


class DatabaseUnavailable(Unavailable):
    """The database is away, locked, full or too slow."""

    code = "database_unavailable"
    cause = "database: it is away"


class RefreshSuperseded(Unavailable):
    """A newer refresh token of the session was handed out a moment ago; nothing has changed."""

    code = "refresh_superseded"
    title = "A newer refresh token was handed out a moment ago"
    advice = "Try again in 1 s, with the newest refresh token that you have."
    cause = "refresh token: a newer one was handed out a moment ago"

    def __init__(self) -> None:
        """Say what to do: the newer token may be on its way."""
        super().__init__(self.advice)


class Busy(Unavailable):
    """Too many passwords are being checked at once; the rest is turned away at once."""

    code = "busy"
    title = "Too many sign-ins at once"
    cause = "passwords: as many are being checked as this process can bear"


class GateUnavailable(Unavailable):
    """The gate cannot tell whether the token still holds, so nobody is let in."""

    code = "gate_unavailable"


def every_problem() -> list[type[Problem]]:
    """List every kind of refusal there is, by status and code: the docs page is made of it."""
    found: set[type[Problem]] = set()
    queue: list[type[Problem]] = [Problem]
    while queue:
        kind = queue.pop()
        found.update(kind.__subclasses__())
        queue.extend(kind.__subclasses__())
    return sorted((k for k in found if "code" in vars(k)), key=lambda k: (k.status, k.code))
