"""The code samples of the document, run as a reader runs them, against a real service."""

from pathlib import Path

import pytest

from support.code_samples import documented_service

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("language", ["Shell", "Python"])
def test_every_sample_gets_the_documented_status(tmp_path: Path, language: str) -> None:
    """Only the token, the ids and the ETag are filled in."""
    with documented_service(tmp_path) as service:
        statuses = service.statuses(language)
    assert {name: found for name, found in statuses.items() if found[0] not in found[1]} == {}
    assert len(statuses) > 35
