"""Problems: every error response of the API, with its status, code, texts and headers.

A `Problem` may be raised anywhere; `rest.error_handlers` turns it into an RFC 9457 response. `code`
is the stable name for programs; `title` says what happened and `detail` what to do. No text comes
from the request, so that no response contains hostile characters (RFC 6750 section 3).
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

REALM = "itemsapi"
BEARER = "Bearer"


class Problem(Exception):
    """An error with its HTTP response.

    Raise it in a view of a `Blueprint`, or in any view of `create_app`. In other views of your
    application it is an exception like any other, which your error handlers see.

    Subclass it for an error of your own: it is answered like ours, `alt_response(FileLocked)`
    documents it for a view, and the page `/docs/problems` shows its docstring and advice.

        class FileLocked(Problem):
            "Somebody else is changing the file."

            status = 423
            code = "file_locked"
            title = "The file is locked"
            advice = "Try again later."

    `errors` lists the invalid fields (`{"field": "price", "message": "..."}`), if there are any.
    `cause` is only for the log: what is unavailable, and the message of its driver (R-35).
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
        """Replace the advice of the class by `detail`, and add errors and headers."""
        super().__init__(detail or self.advice or self.title)
        self.errors = errors
        self.extra_headers = dict(headers or {})

    @property
    def detail(self) -> str:
        """The sentence that says what to do."""
        return str(self.args[0])

    def headers(self) -> dict[str, str]:
        """Return the additional headers of the response."""
        return self.extra_headers


class Challenge(Problem):
    """An error with the header `WWW-Authenticate` (RFC 6750 section 3)."""

    status = 401
    error: ClassVar[str | None] = None
    schemes: tuple[str, ...] = (BEARER,)

    def headers(self) -> dict[str, str]:
        """Return one challenge for each of `schemes`, and the other additional headers.

        The gate sets `schemes` to those of the credentials that the route accepts (RFC 9110
        section 11.6.1); only that of bearer tokens has further parameters.
        """
        challenges = [
            self._bearer_challenge() if scheme == BEARER else f'{scheme} realm="{REALM}"'
            for scheme in self.schemes
        ]
        return self.extra_headers | {"WWW-Authenticate": ", ".join(challenges)}

    def _bearer_challenge(self) -> str:
        parameters = [f'realm="{REALM}"']
        if self.error:
            parameters += [f'error="{self.error}"', f'error_description="{self.title}"']
        parameters += [f'{name}="{value}"' for name, value in self.parameters()]
        return f"{BEARER} " + ", ".join(parameters)

    def parameters(self) -> Iterator[tuple[str, str]]:
        """Yield further parameters of the challenge."""
        yield from ()


class TokenMissing(Challenge):
    """The request has no credential, so the challenge has no error (RFC 6750 section 3.1)."""

    code = "token_missing"
    title = "Authentication required"
    advice = "Sign in, and send the header `Authorization: Bearer <access token>`."


class TokenInvalid(Challenge):
    """The access token is malformed, forged, expired or revoked."""

    code = "invalid_token"
    error = "invalid_token"
    title = "The access token is invalid, expired or revoked"
    advice = "Refresh the access token, or sign in again."


class ApiKeyInvalid(Challenge):
    """The API key is malformed, unknown, expired or revoked, or its user may not sign in."""

    code = "invalid_api_key"
    error = "invalid_token"
    title = "The API key is invalid, expired or revoked"
    advice = "Make a new key."


class SignatureInvalid(Challenge):
    """The signature of the request is malformed, wrong, or made at another time."""

    code = "invalid_signature"
    error = "invalid_token"
    title = "The signature of the request is invalid or too old"
    advice = "Check the secret, the clock, and that the body is sent exactly as it was signed."


class CredentialNotAccepted(Challenge):
    """The request has a credential of a kind that the rule of this route does not name."""

    code = "credential_not_accepted"
    error = "invalid_token"
    title = "This operation does not accept that kind of credential"
    advice = (
        "Send a credential of another kind: one that the documentation of this operation names."
    )


class StepUpRequired(Challenge):
    """The user signed in too long ago for this operation (RFC 9470 section 3)."""

    code = "insufficient_user_authentication"
    error = "insufficient_user_authentication"
    title = "The sign-in is too long ago for this operation"

    def __init__(self, max_age: int = 0) -> None:
        """Take how many seconds ago the sign-in may be."""
        self.max_age = max_age
        super().__init__(f"Sign in again; that is valid for {max_age} s.")

    def parameters(self) -> Iterator[tuple[str, str]]:
        """Yield the allowed age of the sign-in."""
        yield "max_age", str(self.max_age)


class ScopeMissing(Challenge):
    """The token is valid and lacks a scope (RFC 6750 section 3.1)."""

    status = 403
    code = "insufficient_scope"
    error = "insufficient_scope"
    title = "The token lacks a scope that this operation needs"

    def __init__(self, *scopes: str) -> None:
        """Name all scopes that the rule requires."""
        self.scopes = tuple(sorted(scopes))
        super().__init__(f"This operation needs the scope {' '.join(self.scopes)}.")

    def parameters(self) -> Iterator[tuple[str, str]]:
        """Yield the required scopes."""
        yield "scope", " ".join(self.scopes)


class PasswordChangeRequired(Challenge):
    """A user with a temporary password may only set another password (S-119)."""

    status = 403
    code = "password_change_required"
    error = "insufficient_scope"
    title = "The password must be changed first"
    advice = "Set another password; the response has tokens for all operations."


class Forbidden(Challenge):
    """The caller lacks a permission, whatever the scopes of the token."""

    status = 403
    code = "forbidden"
    title = "You are not permitted to do this"


class RouteUnguarded(Challenge):
    """A route has no access rule, or was added after the start: every request is rejected."""

    status = 403
    code = "route_unguarded"
    title = "This route has no access rule"
    advice = "This route has no access rule; the log names the line to add."


class CredentialsInvalid(Challenge):
    """The user name or the password is wrong; the response is the same for both."""

    code = "invalid_credentials"
    title = "User name or password is wrong"
    advice = "Check the user name and the password, and try again."


class RefreshInvalid(Challenge):
    """The refresh token is invalid, or its session has ended."""

    code = "invalid_refresh_token"
    error = "invalid_token"
    title = "The refresh token is invalid or its session has ended"
    advice = "Sign in again."


class RefreshReused(RefreshInvalid):
    """A refresh token was used again after its successor.

    It may have been copied, so the session was ended.
    """

    code = "refresh_reused"
    title = "This refresh token was used before, so its session was ended"


class CrossSite(Challenge):
    """The request comes from an origin that is not allowed (cross-site request forgery).

    The origin of a page on another site must be in `ITEMSAPI_CROSS_SITE_ORIGINS` too.
    """

    status = 403
    code = "csrf"
    title = "This request is not allowed from that page"
    advice = (
        "Send it from a page of the origin of ITEMSAPI_PUBLIC_URL, or of ITEMSAPI_ALLOWED_ORIGINS."
    )


class BadRequest(Problem):
    """The request is not well-formed."""

    status = 400
    code = "bad_request"
    title = "The request is malformed"


class CredentialsAmbiguous(BadRequest):
    """The request has two credentials, so it is unclear who sends it (S-011)."""

    code = "credentials_ambiguous"
    title = "The request has more than one credential"
    advice = "Send exactly one of them."


class BodyMalformed(BadRequest):
    """The body is not strict JSON (RFC 8259, I-JSON RFC 7493)."""

    code = "malformed_json"
    title = "The body is not acceptable JSON"


class CookiesUnreadable(BadRequest):
    """The cookies cannot be parsed, so it is unknown whether the session's cookie is among them.

    This is not 401, because the session is still alive and the browser should keep it.
    """

    code = "cookies_unreadable"
    title = "The cookies of this request cannot be parsed"
    advice = "Remove cookies of other software with characters outside ASCII, then try again."


class ScopeInvalid(BadRequest):
    """A requested scope is unknown or not permitted (RFC 6749 section 5.2)."""

    code = "invalid_scope"
    title = "The requested scope is unknown or more than you may have"


class GrantTypeUnsupported(BadRequest):
    """The token endpoint supports only the grant `refresh_token` (RFC 6749 section 5.2)."""

    code = "unsupported_grant_type"
    title = "Only the grant type refresh_token is supported"


class NotFound(Problem):
    """The resource does not exist, or it belongs to another user."""

    status = 404
    code = "not_found"
    title = "The resource does not exist"


class MethodNotAllowed(Problem):
    """The URL exists but does not support this method; `Allow` lists the supported ones."""

    status = 405
    code = "method_not_allowed"
    title = "This URL does not support that method"


class NotAcceptable(Problem):
    """The client accepts no representation of the response."""

    status = 406
    code = "not_acceptable"
    title = "Only JSON is available here"


class RequestTimeout(Problem):
    """The body did not arrive in 10 s, plus one for each 64 KiB (RFC 9110 section 15.5.9)."""

    status = 408
    code = "request_timeout"
    title = "The body did not arrive in time"
    advice = "Send the request again, on a new connection."


class Conflict(Problem):
    """The change conflicts with the stored data."""

    status = 409
    code = "conflict"
    title = "The change conflicts with the stored data"


class QuotaExceeded(Conflict):
    """The user has reached a quota (S-118).

    The status is 409, not 403: no permission is missing, and the same request succeeds once the
    user has deleted something (RFC 9110 section 15.5.10).
    """

    code = "quota_exceeded"
    title = "You have reached your quota"
    advice = "Delete something, or ask the operator for more."


class PreconditionFailed(Problem):
    """The resource changed since the client read it (RFC 9110 section 13)."""

    status = 412
    code = "precondition_failed"
    title = "The resource was changed since you read it"
    advice = "Read it again, apply your change, and send the new ETag in If-Match."


class BodyTooLarge(Problem):
    """The body is longer than this API accepts."""

    status = 413
    code = "body_too_large"
    title = "The body is too large"


class MediaTypeWrong(Problem):
    """The media type of the body is not the one of this operation."""

    status = 415
    code = "unsupported_media_type"
    title = "The body must be application/json"
    advice = "Send the header `Content-Type: application/json`."


class ValidationFailed(Problem):
    """The request is well-formed but violates the schema; `errors` says where."""

    status = 422
    code = "validation_failed"
    title = "Some values are not acceptable"

    @classmethod
    def at(cls, field: str, message: str) -> "ValidationFailed":
        """Return a problem of a single field."""
        return cls(f"{field}: {message}", errors=[{"field": field, "message": message}])


class KeyReused(ValidationFailed):
    """The `Idempotency-Key` was used for a different request."""

    code = "idempotency_key_reused"
    title = "This Idempotency-Key was used for another request"
    advice = "Send a new random key; repeat a key only with exactly the same request."


class PreconditionRequired(Problem):
    """A change must name the version that it applies to (RFC 6585 section 3)."""

    status = 428
    code = "precondition_required"
    title = "If-Match is required"
    advice = "Send the ETag of the version you read in the header If-Match."


class TooManyRequests(Problem):
    """The caller sends too many requests; `Retry-After` says when to retry."""

    status = 429
    code = "too_many_requests"
    title = "Too many requests"

    def __init__(self, retry_after: int, *, policy: tuple[int, int] | None = None) -> None:
        """Take the seconds until a retry may succeed, and the policy: (requests, seconds).

        The headers are those of draft-ietf-httpapi-ratelimit-headers.
        """
        wait = max(1, retry_after)
        headers = {"Retry-After": str(wait)}
        if policy:
            headers["RateLimit-Policy"] = '"caller";q={};w={}'.format(*policy)
            headers["RateLimit"] = f'"caller";r=0;t={wait}'
        super().__init__(f"Try again in {wait} s.", headers=headers)


class HeadersTooLarge(Problem):
    """The header fields are longer than this API accepts (RFC 6585 section 5)."""

    status = 431
    code = "headers_too_large"
    title = "The header fields are too large"


class InternalError(Problem):
    """An unexpected error; the log has it under the request id."""

    status = 500
    code = "internal_error"
    title = "Internal error"
    advice = "Report the request_id."


class Unavailable(Problem):
    """Something that the response needs is temporarily unavailable."""

    status = 503
    code = "unavailable"
    title = "The service is temporarily unavailable"

    def __init__(self, detail: str | None = None, *, retry_after: int = 1, cause: str = "") -> None:
        """Take the seconds until a retry, and for logs and tracebacks what is unavailable."""
        super().__init__(
            detail or f"Try again in {retry_after} s.", headers={"Retry-After": str(retry_after)}
        )
        self.cause = cause or type(self).cause
        if self.cause:
            self.add_note(self.cause)


class DatabaseUnavailable(Unavailable):
    """The database is unreachable, locked, full or too slow."""

    code = "database_unavailable"
    cause = "database: it is unavailable"


class UsersUnavailable(Unavailable):
    """The application's own code for its users failed, so nobody is let in."""

    code = "users_unavailable"


class ClaimsUnavailable(Unavailable):
    """The application's own function for the claims of a token failed, so none is issued."""

    code = "claims_unavailable"


class RefreshSuperseded(Unavailable):
    """A newer refresh token of the session was issued a moment ago; nothing has changed."""

    code = "refresh_superseded"
    title = "A newer refresh token was issued a moment ago"
    advice = "Try again in 1 s, with the newest refresh token that you have."
    cause = "refresh token: a newer one was issued a moment ago"

    def __init__(self) -> None:
        """Use the advice of the class instead of a number of seconds."""
        super().__init__(self.advice)


class Busy(Unavailable):
    """Too many passwords are being verified; further ones are rejected at once."""

    code = "busy"
    title = "Too many sign-ins at once"
    cause = "passwords: the limit of concurrent verifications is reached"


class GateUnavailable(Unavailable):
    """The gate cannot verify whether the token is still valid, so the request is rejected."""

    code = "gate_unavailable"
