"""What `itemsapi check` finds."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from itemsapi.command_line import command_line

Severity = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; `step` is what to do next because of it, if that is a command."""

    severity: Severity
    subject: str
    message: str
    step: str = ""

    def as_row(self) -> dict[str, str]:
        """Return the finding as a JSON object."""
        return {"severity": self.severity, "subject": self.subject, "message": self.message}


def next_step(findings: Iterable[Finding], *, is_host: bool) -> str:
    """Return what to do next: mend the faults, then the first step, then serve."""
    found = list(findings)
    if any(finding.severity == "fault" for finding in found):
        return f"mend the faults, and run {command_line('check')} again"
    for step in filter(None, (finding.step for finding in found)):
        return step
    return "start the application" if is_host else command_line("serve")
