"""The diagrams in docs/diagrams: current, readable in both themes, and true."""

import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from itemsapi import Settings
from itemsapi.testing import testing_settings
from itemsapi.tokens.revocation import MAX_FEED_AGE_SECONDS

FOLDER = Path(__file__).parents[2] / "docs" / "diagrams"
SVG = "{http://www.w3.org/2000/svg}"
WIDE = 0x2E80  # from here on a character is as wide as it is high
each_diagram = pytest.mark.parametrize(
    "path", sorted(FOLDER.glob("*.svg")), ids=lambda path: path.name
)


def edges(line: ET.Element) -> tuple[float, float]:
    """Return about where a line of text begins and ends."""
    width = sum(15 if ord(character) >= WIDE else 7.6 for character in line.text or "")
    left = {"start": 0.0, "middle": width / 2, "end": width}[line.attrib["text-anchor"]]
    return float(line.attrib["x"]) - left, float(line.attrib["x"]) - left + width


def words_of(name: str) -> str:
    """Return all texts of a diagram, in both languages."""
    return str(tomllib.loads((FOLDER / "diagrams.toml").read_text("utf-8"))[name])


def test_the_diagrams_are_current(root: Path) -> None:
    """Fails if `diagrams.toml` or the script changed and they were not drawn again."""
    command = [sys.executable, str(root / "scripts" / "diagrams.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@each_diagram
def test_a_diagram_has_a_title_and_a_description(path: Path) -> None:
    """For those who do not see it."""
    picture = ET.parse(path).getroot()  # noqa: S314 - our own file
    named = picture.attrib["aria-labelledby"].split()
    assert [picture.findtext(f"{SVG}{tag}") != "" for tag in ("title", "desc")] == [True, True]
    assert {each.get("id") for each in picture} >= set(named)


@each_diagram
def test_the_words_of_a_diagram_stay_within_it(path: Path) -> None:
    """Those in Japanese too."""
    picture = ET.parse(path).getroot()  # noqa: S314 - our own file
    width = float(picture.attrib["width"])
    sides = [edges(line) for line in picture.iter(f"{SVG}text")]
    assert [side for side in sides if side[0] < 0 or side[1] > width] == []


@each_diagram
def test_a_diagram_follows_the_theme_and_asks_no_other_host(path: Path) -> None:
    """Its colours are in the file, for both themes."""
    text = path.read_text("utf-8")
    assert "@media (prefers-color-scheme: dark)" in text
    assert re.findall(r"https?://\S+|@import|url\(|<image", text) == ['http://www.w3.org/2000/svg"']


def test_the_window_in_the_diagrams_is_the_default(tmp_path: Path) -> None:
    """Of `ITEMSAPI_REFRESH_GRACE` (ADR 3)."""
    seconds = int(defaults(tmp_path).refresh_grace.total_seconds())
    for name in ("refresh-race", "healing"):
        assert set(re.findall(r"(\d+)(?: seconds| 秒)", words_of(name))) == {str(seconds)}


def test_the_times_of_a_revocation_are_those_of_the_code(tmp_path: Path) -> None:
    """How old the copy of the feed may be, and how long it serves without the database (ADR 4)."""
    lag = int(defaults(tmp_path).revocation_lag.total_seconds())
    assert f"within {lag} s" in words_of("revocation")
    assert f"serves for {MAX_FEED_AGE_SECONDS:g} s" in words_of("revocation")


def defaults(folder: Path) -> Settings:
    """Return settings of which none of these was changed."""
    return testing_settings(folder)
