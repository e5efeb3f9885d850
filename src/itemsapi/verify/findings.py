"""What an attack showed."""

import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from itemsapi.verify.wire import Request


class Outcome(StrEnum):
    """The result of one attack, the worst last."""

    NOT_APPLICABLE = "n/a"
    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    UNPROVED = "unproved"
    PUBLIC = "public?"
    FAULT = "FAULT"

    @property
    def severity(self) -> int:
        """The place in the order from harmless to bad."""
        return list(Outcome).index(self)


TOKEN_PARAMETER: Final = "access_token="  # noqa: S105 - the name of a parameter
ATTACKS: Final = (
    "document",
    "no token",
    "broken token",
    "expired",
    "revoked",
    "wrong kind",
    "scope",
    "other user",
    "HEAD",
    "OPTIONS",
    "override",
    "spelling",
    "control",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one attack on one operation.

    `credential` says in words what stood in the header; None means that there was none.
    """

    operation: str
    attack: str
    outcome: Outcome
    detail: str = ""
    variant: str = ""
    request: Request | None = None
    credential: str | None = None

    def curl(self, origin: str) -> str:
        """Return the line that repeats the request, with `$TOKEN` for the credential."""
        if self.request is None:
            return ""
        method = ["--head"] if self.request.method == "HEAD" else ["-X", self.request.method]
        words = ["curl", "-i", "--path-as-is", *method, self._quoted_url(origin)]
        for name, value in self.request.headers.items():
            if name.lower() != "authorization":
                words += ["-H", shlex.quote(f"{name}: {value}")]
        words += self._quoted_credential()
        if self.request.body:
            words += ["--data-binary", shlex.quote(self.request.body.decode("utf-8", "replace"))]
        return " ".join(words) + (f"   # TOKEN: {self.credential}" if self.credential else "")

    def _quoted_url(self, origin: str) -> str:
        """Return the URL as a shell word; a token in its query becomes `$TOKEN`."""
        request = self.request
        before, parameter, _ = (request.target if request else "").partition(TOKEN_PARAMETER)
        url = shlex.quote(origin + before)
        return f'{url}"{parameter}$TOKEN"' if parameter else url

    def _quoted_credential(self) -> list[str]:
        """Return the header with the credential as shell words, with its own scheme."""
        request = self.request
        if request is None or self.credential is None or TOKEN_PARAMETER in request.target:
            return []
        scheme = request.headers.get("Authorization", "Bearer").split(" ")[0]
        return ["-H", f'"Authorization: {scheme} $TOKEN"']
