"""The versions under which known holes are open are never installed with us."""

from importlib.metadata import version

import pytest
from packaging.version import Version

FLOORS = {"PyJWT": "2.15.0", "Werkzeug": "3.1.9", "Flask": "3.1.3", "marshmallow": "4.1.2"}


@pytest.mark.parametrize(("name", "floor"), FLOORS.items())
def test_no_version_with_a_known_hole_is_installed(name: str, floor: str) -> None:
    """S-102: CVE-2025-68480 of marshmallow and the like; `py311-min` installs the very floors."""
    assert Version(version(name)) >= Version(floor)
