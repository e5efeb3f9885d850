"""`itemsapi check`: the settings, where they come from, and whether what they lead to is sound."""

import os
import sys

import click

from itemsapi.cli import doctor
from itemsapi.cli.doctor import Finding
from itemsapi.cli.given import every_setting
from itemsapi.cli.terminal import json_option, say, say_json, show

_MARKS = {"ok": "ok", "warning": "!", "fault": "FAULT"}


@click.command
@json_option
def command(*, as_json: bool) -> None:
    """Check the settings and what they lead to. Exits with 1 if something is at fault.

    Nothing is changed. Secrets are not shown.
    """
    settings, findings = doctor.examine(os.environ)
    rows = every_setting(settings, os.environ) if settings else []
    if as_json:
        found = [finding.as_row() for finding in findings]
        say_json({"settings": rows, "findings": found})
    else:
        show(rows, ["setting", "value", "source"], as_json=False)
        say("")
        for finding in findings:
            _say(finding)
    if any(finding.mark == "fault" for finding in findings):
        sys.exit(1)


def _say(finding: Finding) -> None:
    say(f"  {_MARKS[finding.mark]:6} {finding.about}: {finding.words}")
