"""What `itemsapi check` finds."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

Severity = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    severity: Severity
    subject: str
    message: str

    def as_row(self) -> dict[str, str]:
        """Return the finding as a JSON object."""
        return dataclasses.asdict(self)
