"""Versions with known vulnerabilities are never installed with us."""

from importlib.metadata import version

import pytest
from packaging.version import Version

FLOORS = {"PyJWT": "2.15.0", "Werkzeug": "3.1.9", "Flask": "3.1.3", "marshmallow": "4.1.2"}


@pytest.mark.parametrize(("name", "floor"), FLOORS.items())
def test_no_vulnerable_version_is_installed(name: str, floor: str) -> None:
    """S-102: such as CVE-2025-68480 of marshmallow; `py311-min` installs the oldest versions."""
    assert Version(version(name)) >= Version(floor)
