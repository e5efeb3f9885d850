"""What an attack showed."""

import shlex
from dataclasses import dataclass
from enum import StrEnum

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


ATTACKS = (
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
        words = ["curl", "-i", "--path-as-is", "-X", self.request.method]
        if self.request.method == "HEAD":
            words[-2:] = ["--head"]
        words.append(shlex.quote(origin + self.request.target.partition("access_token=")[0]))
        if "access_token=" in self.request.target:
            words[-1] = f'"{origin}{self.request.target.partition("access_token=")[0]}'
            words[-1] += 'access_token=$TOKEN"'
        for name, value in self.request.headers.items():
            if name.lower() != "authorization":
                words += ["-H", shlex.quote(f"{name}: {value}")]
        if self.credential is not None and "access_token=" not in self.request.target:
            words += ["-H", '"Authorization: Bearer $TOKEN"']
        if self.request.body:
            words += ["--data-binary", shlex.quote(self.request.body.decode("utf-8", "replace"))]
        told = f"   # TOKEN is {self.credential}" if self.credential is not None else ""
        return " ".join(words) + told
