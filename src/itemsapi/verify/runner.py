"""One run: every operation in turn, what reads first, what destroys last."""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from itemsapi.verify.attacks import Attacker, Revoked
from itemsapi.verify.callers import Callers
from itemsapi.verify.document import Document, Operation, read_document
from itemsapi.verify.failures import CannotVerify
from itemsapi.verify.findings import Finding, Outcome
from itemsapi.verify.generated_requests import RequestMaker
from itemsapi.verify.objects import ObjectFinder
from itemsapi.verify.report import Report
from itemsapi.verify.settings import VerifySettings, matches
from itemsapi.verify.signing_out import find_sign_out, sign_out
from itemsapi.verify.tokens import CommandTokens, LoginTokens, TokenSource, TokenStore
from itemsapi.verify.wire import NoResponse, Wire

_METHOD_ORDER = ("GET", "HEAD", "OPTIONS", "TRACE", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Verification:
    """A run that is ready: the document is read, and the users can sign in."""

    url: str
    document: Document
    settings: VerifySettings
    callers: Callers
    objects: ObjectFinder

    @property
    def operations(self) -> list[Operation]:
        """The operations in the order of the run."""
        logout = find_sign_out(self.document, self.settings)
        return sorted(self.document.operations, key=lambda one: _order(one, logout))

    def run(self, advance: Callable[[str], object] = str) -> Report:
        """Attack every operation; call `advance` with the label of each that is done."""
        started = time.monotonic()
        revoked = self._sign_out()
        findings: list[Finding] = []
        stopped: str | None = None
        for operation in self.operations:
            if stopped is None:
                stopped = self._verify_into(findings, operation, revoked)
            else:
                findings.append(_unproved(operation, f"not attacked: {stopped}"))
            advance(operation.label)
        return Report(
            url=self.url,
            origin=self.callers.wire.origin,
            findings=findings,
            requests=self.callers.wire.requests,
            seconds=round(time.monotonic() - started, 1),
            redact=self.callers.tokens.redact,
        )

    def _sign_out(self) -> Revoked:
        """Sign a session out, and forget all tokens: the service may end all sessions at once."""
        revoked = sign_out(self.document, self.settings, self.callers, self.objects.maker)
        self.callers.tokens.forget(self.callers.user)
        return revoked

    def _verify_into(
        self, findings: list[Finding], operation: Operation, revoked: Revoked
    ) -> str | None:
        """Add the findings of an operation; return why the run cannot go on, if it cannot."""
        try:
            findings.extend(self._verify(operation, revoked))  # keeps those before an error
        except NoResponse as error:
            findings.append(_unproved(operation, f"no response: {error}"))
        except CannotVerify as error:
            findings.append(_unproved(operation, str(error)))
            return str(error)
        return None

    def _verify(self, operation: Operation, revoked: Revoked) -> Iterator[Finding]:
        label = operation.label
        reason = self.settings.skip_reason(label)
        if reason is not None:
            yield Finding(label, "control", Outcome.NOTE, f"skipped: {reason}", "skipped")
        elif operation.public:
            acknowledged = self.settings.is_public(label)
            outcome = Outcome.NOTE if acknowledged else Outcome.PUBLIC
            detail = "on purpose" if acknowledged else "if that is right, name it in `public`"
            yield Finding(label, "document", outcome, detail, "public")
        else:
            yield from documented_refusals(operation)
            yield from self._attack(operation, revoked)

    def _attack(self, operation: Operation, revoked: Revoked) -> Iterator[Finding]:
        if not operation.is_safe and not self.settings.write:
            yield _unproved(operation, "it changes something; --write sends it")
            return
        request = self.objects.request_for(operation, self.callers.user)
        if request is None:
            yield _unproved(operation, "no object for its path; give values for the request")
            return
        attacker = Attacker(
            operation,
            request,
            self.document,
            self.callers,
            self.objects,
            self.settings,
            revoked,
        )
        if operation.is_safe:
            attacker.control()  # fills caches that may hand the response to others
        unauthenticated = attacker.send_without_token()
        yield unauthenticated
        if unauthenticated.outcome is Outcome.FAULT:
            return  # every other attack would succeed too, and show nothing
        yield from attacker.attack()
        finding, response = attacker.control()
        yield finding
        if response is not None:
            yield from attacker.detours(response)


def prepare(url: str, settings: VerifySettings, password_of: Callable[[str], str]) -> Verification:
    """Read the document and sign in; raise `CannotVerify` if either is impossible."""
    wire = Wire(url)
    document = read_document(wire, url, settings.base_path).with_scopes(settings.scopes_for)
    _require_known(settings, document)
    run = secrets.token_hex(3)
    hidden: list[str] = []

    def remembered(who: str) -> str:
        """Return a password, and keep it to hide it in the report."""
        password = password_of(who)
        hidden.append(password)
        return password

    tokens = TokenStore(_source(wire, document, settings, remembered), hidden)
    user = settings.login or "user"
    scopes = tokens.held_scopes(user, document.scopes | set(settings.extra_scopes))
    other_scopes = document.scopes - set(settings.cross_user_scopes)
    if settings.other is not None:
        other_scopes = tokens.held_scopes(settings.other, other_scopes)
    callers = Callers(wire, tokens, user, scopes, settings.other, other_scopes)
    if tokens.get(user, scopes) is None:
        raise CannotVerify(f"there is no access token for the user {user} with all scopes")
    maker = RequestMaker(document, run)
    return Verification(
        url, document, settings, callers, ObjectFinder(document, maker, callers, settings)
    )


def _require_known(settings: VerifySettings, document: Document) -> None:
    """Raise `CannotVerify` with all names of the settings that the document does not have."""
    logout = [settings.logout] if settings.logout else []
    named = [*settings.public, *settings.shared, *settings.skip, *settings.scopes]
    labels = [operation.label for operation in document.operations]
    unknown = [
        repr(name)
        for name in dict.fromkeys([*named, *settings.values, *logout])
        if not any(matches(label, [name]) for label in labels)
    ]
    if unknown:
        names = ", ".join(unknown)
        raise CannotVerify(f"the settings name {names}, which the document does not have")


def _source(
    wire: Wire, document: Document, settings: VerifySettings, password_of: Callable[[str], str]
) -> TokenSource:
    if settings.token_command is not None:
        return CommandTokens(settings.token_command)
    if settings.login is None:
        raise CannotVerify("say who signs in: --login USER, or --token-command COMMAND")
    return LoginTokens(wire, document, settings.login_request, password_of)


def documented_refusals(operation: Operation) -> Iterator[Finding]:
    """Yield what is missing in the document: clients learn of 401 and 403 there.

    `default` does not count: frameworks add it to every operation.
    """
    responses = {str(status).upper() for status in operation.definition.get("responses", {})}
    covered = "4XX" in responses
    if not covered and "401" not in responses:
        detail = "the document has no response 401"
        yield Finding(operation.label, "document", Outcome.FAULT, detail)
    elif not covered and operation.scopes and "403" not in responses:
        detail = "the document has no response 403"
        yield Finding(operation.label, "document", Outcome.WARNING, detail)
    else:
        yield Finding(operation.label, "document", Outcome.OK)


def _order(operation: Operation, logout: Operation | None) -> tuple[object, ...]:
    """Sort reads first; what deletes without naming an object comes late, the sign-out last."""
    deletes_all = operation.method == "DELETE" and not operation.path_parameters
    return operation == logout, deletes_all, _METHOD_ORDER.index(operation.method)


def _unproved(operation: Operation, detail: str) -> Finding:
    return Finding(operation.label, "control", Outcome.UNPROVED, detail)
