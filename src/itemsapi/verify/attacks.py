"""The attacks on one operation that needs a caller.

Each yields findings. A refusal counts only together with a positive control: the same request with
the right token succeeds, after all attacks. Otherwise a wrong request would look like a good gate.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

from itemsapi.verify.broken_tokens import broken_credentials
from itemsapi.verify.callers import Callers
from itemsapi.verify.document import Document, Operation
from itemsapi.verify.findings import Finding, Outcome
from itemsapi.verify.judging import Verdict, judge_detour, judge_refusal, problem_detail
from itemsapi.verify.objects import ObjectFinder
from itemsapi.verify.settings import VerifySettings
from itemsapi.verify.tokens import Minted, holds_scope
from itemsapi.verify.wire import NoResponse, Request, Response

_OVERRIDE_HEADERS: Final = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")


@dataclass(frozen=True, slots=True)
class Revoked:
    """A token that signed out, or the reason why there is none."""

    token: Minted | None
    outcome: Outcome = Outcome.NOT_APPLICABLE
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Attacker:
    """Attack one operation with one request."""

    operation: Operation
    request: Request
    document: Document
    callers: Callers
    objects: ObjectFinder
    settings: VerifySettings
    revoked: Revoked

    def send_without_token(self) -> Finding:
        """Send the request without any credential."""
        return self._sent("no token", self.request)

    def attack(self) -> Iterator[Finding]:
        """Yield the findings of the other attacks that come before the positive control."""
        if not self.operation.is_safe:  # the operation before may have ended the session
            self.callers.tokens.renew(self.callers.user, self.callers.user_scopes)
        if self.operation.method == "GET":
            yield self._detour("HEAD", "", replace(self.request, method="HEAD"))
        if not self.operation.is_safe:
            yield from self._overrides()
            yield from self._spellings(None)
        yield from self._broken()
        yield from self._not_valid_any_more()
        yield from self._missing_scopes()
        yield from self._other_user()

    def detours(self, control: Response) -> Iterator[Finding]:
        """Yield the findings of ways around a read, which are compared with what it returns."""
        if self.operation.method == "GET":
            request = replace(self.request, method="OPTIONS")
            yield self._detour("OPTIONS", "", request, control)
            for name in _OVERRIDE_HEADERS:
                overridden = replace(request, headers={**request.headers, name: "GET"})
                yield self._detour("override", name, overridden, control)
            yield from self._spellings(control)

    def control(self) -> tuple[Finding, Response | None]:
        """Send the same request with the documented scopes: it must succeed."""
        callers, scopes = self.callers, self.operation.scopes or self.callers.user_scopes
        lacking = frozenset(scopes) - callers.user_scopes
        if lacking:
            detail = f"the user {callers.user} lacks {' '.join(sorted(lacking))}"
            return self._found("control", (Outcome.UNPROVED, detail)), None
        try:
            response = callers.send_as(callers.user, scopes, self.request)
            if response is None:
                return self._found("control", (Outcome.UNPROVED, "no token for it")), None
            if response.status == HTTPStatus.FORBIDDEN:
                more = callers.send_as(callers.user, callers.user_scopes, self.request)
                if more is not None and more.succeeded:
                    detail = "needs more than the documented scopes"
                    return self._found("control", (Outcome.NOTE, detail)), more
        except NoResponse as error:
            return self._found("control", (Outcome.UNPROVED, f"no response: {error}")), None
        if response.succeeded:
            return self._found("control", (Outcome.OK, str(response.status))), response
        got = f"{response.status}{problem_detail(response)}"
        detail = f"the right token gets {got}; give values for the request"
        return self._found("control", (Outcome.UNPROVED, detail)), None

    def _broken(self) -> Iterator[Finding]:
        token = self.callers.tokens.get(self.callers.user, self.callers.user_scopes)
        for broken in broken_credentials(token.access) if token else ():
            yield self._sent(
                "broken token", broken.put_into(self.request), broken.name, broken.name
            )

    def _not_valid_any_more(self) -> Iterator[Finding]:
        """Expired, signed out, and a refresh token in place of an access token."""
        tokens, user, scopes = self.callers.tokens, self.callers.user, self.callers.user_scopes
        expired = tokens.get(user, scopes, "expired")
        current = tokens.get(user, scopes)
        refresh = tokens.get(user, scopes, "refresh") if current and not current.refresh else None
        kind = current.refresh if current and current.refresh else refresh and refresh.access
        none = Outcome.NOT_APPLICABLE
        yield self._with_token("expired", expired, none, "only --token-command makes one")
        yield self._with_token(
            "revoked", self.revoked.token, self.revoked.outcome, self.revoked.reason
        )
        yield self._with_token(
            "wrong kind", Minted(kind) if kind else None, none, "there is no refresh token"
        )

    def _with_token(
        self, attack: str, token: Minted | None, without: Outcome, reason: str
    ) -> Finding:
        if token is None:
            return self._found(attack, (without, reason))
        sent = self.request.with_headers(Authorization=f"Bearer {token.access}")
        names = {"expired": "expired", "revoked": "signed out", "wrong kind": "a refresh token"}
        return self._sent(attack, sent, "", names[attack])

    def _missing_scopes(self) -> Iterator[Finding]:
        if not self.operation.names_scopes:
            detail = "nothing says which scopes it needs; name them in `scopes`"
            yield self._found("scope", (Outcome.NOTE, detail), "unnamed")
        elif not self.operation.scopes:
            yield self._found("scope", (Outcome.NOT_APPLICABLE, "the operation needs no scope"))
        for scope in self.operation.scopes:
            left = self.callers.user_scopes - {scope}
            if any(left.issuperset(alternative) for alternative in self.operation.alternatives):
                detail = "another way in needs no such scope"
                yield self._found("scope", (Outcome.NOT_APPLICABLE, detail), scope)
            else:
                yield self._without_scope(scope, left)

    def _without_scope(self, scope: str, left: frozenset[str]) -> Finding:
        user, tokens = self.callers.user, self.callers.tokens
        token = tokens.get(user, left)
        if token is None or holds_scope(token, scope):
            why = "not narrowed: the token still has it" if token else "no token without it"
            return self._found("scope", (Outcome.UNPROVED, f"{scope}: {why}"), scope)
        try:
            response = self.callers.send_as(user, left, self.request)
        except NoResponse as error:
            return self._found("scope", (Outcome.UNPROVED, f"no response: {error}"), scope)
        if response is None or response.status == HTTPStatus.UNAUTHORIZED:
            verdict = (Outcome.UNPROVED, "the token itself is refused (401)")
        elif response.succeeded:
            verdict = (Outcome.FAULT, f"accepted without the scope {scope}: {response.status}")
        else:
            verdict = judge_refusal(response)
        return self._found("scope", verdict, scope, self.request, f"without the scope {scope}")

    def _other_user(self) -> Iterator[Finding]:
        other = self.callers.other
        if not self.operation.path_parameters:
            yield self._found("other user", (Outcome.NOT_APPLICABLE, "the path names no object"))
        elif self.settings.is_shared(self.operation.label):
            yield self._found("other user", (Outcome.NOTE, "shared on purpose"))
        elif other is None:
            yield self._found("other user", (Outcome.UNPROVED, "name a second user with --other"))
        else:
            try:
                verdict = self._as_other(other)
            except NoResponse as error:
                verdict = (Outcome.UNPROVED, f"no response: {error}")
            yield self._found("other user", verdict, "", self.request, "the other user's")

    def _as_other(self, other: str) -> Verdict:
        scopes = self.callers.other_scopes
        response = self.callers.send_as(other, scopes, self.request)
        if response is None:
            return Outcome.UNPROVED, "no token of the other user"
        if response.succeeded:
            hint = "if everybody with the scope may do it, name it in `shared`"
            return Outcome.FAULT, f"the other user's token is accepted: {response.status}; {hint}"
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return judge_refusal(response)
        if not scopes.issuperset(self.operation.scopes):
            return Outcome.NOT_APPLICABLE, "the other user lacks the scope"
        own = self.objects.request_for(self.operation, other)
        control = self.callers.send_as(other, scopes, own) if own else None
        if control is None or not control.succeeded:
            return Outcome.UNPROVED, "the other user has no object of their own that works"
        return Outcome.OK, str(response.status)

    def _overrides(self) -> Iterator[Finding]:
        """Name the method in a header of another one: a middleware may obey it behind the gate."""
        posting = self.document.find("POST", self.operation.path)
        if self.operation.method == "POST" or (posting is not None and posting.public):
            yield self._found("override", (Outcome.NOT_APPLICABLE, "POST does not stand for it"))
            return
        for name in _OVERRIDE_HEADERS:
            headers = {**self.request.headers, name: self.operation.method}
            yield self._detour(
                "override", name, replace(self.request, method="POST", headers=headers)
            )

    def _spellings(self, control: Response | None) -> Iterator[Finding]:
        for variant, target in spellings(self.request.target):
            yield self._detour("spelling", variant, replace(self.request, target=target), control)

    def _sent(
        self, attack: str, request: Request, variant: str = "", credential: str | None = None
    ) -> Finding:
        """Send a request that the service must refuse."""
        try:
            verdict = judge_refusal(self.callers.wire.send(request))
        except NoResponse as error:
            verdict = (Outcome.UNPROVED, f"no response: {error}")
        return self._found(attack, verdict, variant, request, credential)

    def _detour(
        self, attack: str, variant: str, request: Request, control: Response | None = None
    ) -> Finding:
        """Send a request without a token that may reach the same view in another way."""
        try:
            verdict = judge_detour(self.callers.wire.send(request), control)
        except NoResponse as error:
            verdict = (Outcome.UNPROVED, f"no response: {error}")
        return self._found(attack, verdict, variant, request)

    def _found(
        self,
        attack: str,
        verdict: Verdict,
        variant: str = "",
        request: Request | None = None,
        credential: str | None = None,
    ) -> Finding:
        label = self.operation.label
        return Finding(label, attack, verdict[0], verdict[1], variant, request, credential)


def spellings(target: str) -> Iterable[tuple[str, str]]:
    """Return other spellings of a path that a service may take for the same."""
    path, mark, query = target.partition("?")
    first = next((i for i, letter in enumerate(path) if letter.isalpha()), None)
    yield "double slash", f"/{path}{mark}{query}"
    yield (
        "slash at the end",
        f"{path.rstrip('/') if path.endswith('/') else path + '/'}{mark}{query}",
    )
    yield "dot segment", f"/.{path}{mark}{query}"
    yield "dot-dot segment", f"/verify/..{path}{mark}{query}"
    yield "semicolon", f"{path};a=b{mark}{query}"
    yield "suffix", f"{path}.json{mark}{query}"
    yield "space at the end", f"{path}%20{mark}{query}"
    if first is not None:
        coded = f"%{ord(path[first]):02x}"
        yield "percent-encoding", f"{path[:first]}{coded}{path[first + 1 :]}{mark}{query}"
        yield "upper case", f"{path.upper()}{mark}{query}"
