"""The code samples in JavaScript, run by Node against a real service."""

from pathlib import Path

import pytest

from support.code_samples import documented_service


@pytest.mark.usefixtures("node")
def test_every_sample_gets_the_documented_status(tmp_path: Path) -> None:
    """Only the token, the ids and the ETag are filled in."""
    with documented_service(tmp_path) as service:
        statuses = service.statuses("JavaScript")
    assert {name: found for name, found in statuses.items() if found[0] not in found[1]} == {}
    assert len(statuses) > 35
