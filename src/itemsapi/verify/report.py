"""The result of a run: a row for each operation, a line for each fault, an exit code."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from itemsapi.control_characters import escape_control_characters
from itemsapi.verify.findings import ATTACKS, Finding, Outcome

_REPORTED: Final = {Outcome.FAULT, Outcome.PUBLIC, Outcome.UNPROVED, Outcome.WARNING}
CLEAN: Final = 0
FAULTY: Final = 1
NOT_PROVED: Final = 3


@dataclass(frozen=True)
class Report:
    """All findings of a run. `redact` takes passwords and tokens out of a text."""

    url: str
    origin: str
    findings: Sequence[Finding]
    requests: int
    seconds: float
    redact: Callable[[str], str]

    def shown(self, text: str) -> str:
        """Return a text without secrets and control characters."""
        return escape_control_characters(self.redact(text))

    @cached_property
    def by_operation(self) -> Mapping[str, list[Finding]]:
        """The findings of each operation, in the order of the run."""
        grouped: dict[str, list[Finding]] = {}
        for finding in self.findings:
            grouped.setdefault(finding.operation, []).append(finding)
        return grouped

    def with_outcome(self, *outcomes: Outcome) -> list[Finding]:
        """Return the findings with one of these outcomes."""
        return [finding for finding in self.findings if finding.outcome in outcomes]

    @property
    def skipped(self) -> list[str]:
        """The operations that the settings leave out."""
        return [finding.operation for finding in self.findings if finding.variant == "skipped"]

    @property
    def public(self) -> list[str]:
        """The operations that the document says are public."""
        return [finding.operation for finding in self.findings if finding.variant == "public"]

    @property
    def without_scopes(self) -> list[str]:
        """The operations whose scopes nothing names, so that none was left out."""
        return [finding.operation for finding in self.findings if finding.variant == "unnamed"]

    @property
    def protected(self) -> list[str]:
        """The operations that need a caller and are not left out."""
        out = {*self.skipped, *self.public}
        return [label for label in self.by_operation if label not in out]

    @property
    def proved(self) -> list[str]:
        """The protected operations with a positive control and without fault or gap."""
        bad = {f.operation for f in self.with_outcome(Outcome.FAULT, Outcome.UNPROVED)}
        return [label for label in self.protected if label not in bad]

    @property
    def exit_code(self) -> int:
        """0: nothing found; 1: a fault or an unacknowledged public operation; 3: a gap."""
        if self.with_outcome(Outcome.FAULT, Outcome.PUBLIC):
            return FAULTY
        return NOT_PROVED if self.with_outcome(Outcome.UNPROVED) else CLEAN

    @property
    def summary(self) -> str:
        """One line: how many operations are proved, and what else there is."""
        parts = [
            f"{len(self.proved)} of {len(self.protected)} protected operations proved",
            _counted(len(self.with_outcome(Outcome.FAULT)), "fault"),
            f"{len(self.public)} public ({len(self.with_outcome(Outcome.PUBLIC))} not on purpose)",
            f"{len(self.skipped)} skipped",
            *self._gaps(),
            f"{_counted(self.requests, 'request')} in {self.seconds} s",
        ]
        return ", ".join(parts)

    def _gaps(self) -> list[str]:
        """Return what was not attacked although nothing counts it as not proved."""
        number = len(self.without_scopes)
        return [f"{number} without a scope to leave out"] if number else []

    def rows(self) -> list[dict[str, str]]:
        """Return a row for each operation with the worst outcome of each attack."""
        return [
            {"operation": label, **{attack: _worst(found, attack) for attack in ATTACKS}}
            for label, found in self.by_operation.items()
        ]

    def columns(self) -> list[str]:
        """Return the columns of the table: the attacks that were possible at all."""
        shown = {f.attack for f in self.findings if f.outcome is not Outcome.NOT_APPLICABLE}
        return ["operation", *(attack for attack in ATTACKS if attack in shown)]

    def lines(self) -> list[str]:
        """Return a line for each finding that wants attention, the faults with a curl line.

        Variants of one attack with the same result are one line.
        """
        lines = []
        grouped: dict[tuple[str, str, str, str], list[Finding]] = {}
        for finding in sorted(self.findings, key=lambda one: -one.outcome.severity):
            if finding.outcome in _REPORTED:
                key = (finding.operation, finding.attack, finding.outcome, finding.detail)
                grouped.setdefault(key, []).append(finding)
        for same in grouped.values():
            lines.append(self.shown(_line(same)))
            if same[0].outcome is Outcome.FAULT and same[0].request:
                lines.append(f"    {self.shown(same[0].curl(self.origin))}")
        return lines

    def as_json(self) -> dict[str, object]:
        """Return everything as a JSON object."""
        return {
            "url": self.url,
            "exit_code": self.exit_code,
            "summary": self.summary,
            "protected": self.protected,
            "proved": self.proved,
            "public": self.public,
            "skipped": self.skipped,
            "without_scopes": self.without_scopes,
            "requests": self.requests,
            "seconds": self.seconds,
            "findings": [self._finding(finding) for finding in self.findings],
        }

    def _finding(self, finding: Finding) -> dict[str, str]:
        faulty = finding.outcome is Outcome.FAULT
        return {
            "operation": finding.operation,
            "attack": finding.attack,
            "variant": finding.variant,
            "outcome": finding.outcome.value,
            "detail": self.shown(finding.detail),
            "curl": self.shown(finding.curl(self.origin)) if faulty else "",
        }

    def as_junit(self) -> bytes:
        """Return the findings as JUnit XML: a test case for each attack on each operation."""
        faults = str(len(self.with_outcome(Outcome.FAULT, Outcome.PUBLIC)))
        gaps = str(len(self.with_outcome(Outcome.UNPROVED)))
        counts = {"tests": str(len(self.findings)), "failures": faults, "skipped": gaps}
        suite = Element("testsuite", {"name": "itemsapi verify", **counts})
        for finding in self.findings:
            name = f"{finding.attack} {finding.variant}".strip()
            label = self.shown(finding.operation)
            case = SubElement(suite, "testcase", {"classname": label, "name": self.shown(name)})
            if finding.outcome in {Outcome.FAULT, Outcome.PUBLIC}:
                failure = SubElement(case, "failure", {"message": self.shown(finding.detail)})
                failure.text = self.shown(finding.curl(self.origin))
            elif finding.outcome is Outcome.UNPROVED:
                SubElement(case, "skipped", {"message": self.shown(finding.detail)})
        document: bytes = tostring(suite, encoding="utf-8", xml_declaration=True)
        return document


def _worst(findings: Sequence[Finding], attack: str) -> str:
    outcomes = [finding.outcome for finding in findings if finding.attack == attack]
    worst = max(outcomes, key=lambda outcome: outcome.severity, default=None)
    return "" if worst is None or worst is Outcome.NOT_APPLICABLE else worst.value


def _line(same: Sequence[Finding]) -> str:
    first, variants = same[0], ", ".join(finding.variant for finding in same if finding.variant)
    note = f" ({variants})" if variants else ""
    return f"{first.outcome.value} {first.operation}, {first.attack}{note}: {first.detail}"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
