"""When log lines cannot be written."""

import io

import pytest

from house import House
from staff import works


class Full(io.StringIO):
    """A file on a disk that is full."""

    def write(self, _: str) -> int:
        """Fail as the system does."""
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("broken", [Full(), None])
def test_requests_are_answered(
    house: House, monkeypatch: pytest.MonkeyPatch, broken: io.StringIO | None
) -> None:
    """A full disk behind standard error, or a closed one, signs nobody out (S-152)."""
    if broken is None:
        broken = io.StringIO()
        broken.close()
    house.user("ada", "member")
    monkeypatch.setattr("sys.stderr", broken)
    assert works(house, house.login("ada"))
