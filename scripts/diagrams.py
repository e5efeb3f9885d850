"""Draw the diagrams in docs/diagrams from diagrams.toml: `python scripts/diagrams.py`.

Each is drawn in two languages, and is readable on a telephone: it is narrow and grows downwards.
The colours follow the theme of the reader. With `--check` nothing is written, and the exit code is
1 if a file is not what would be drawn.
"""

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

FOLDER = Path(__file__).parents[1] / "docs" / "diagrams"
LANGUAGES = {"en": ".svg", "ja": ".ja.svg"}
WIDTH, MARGIN, LINE = 420, 12, 21  # text is 15 high; a telephone shows it at 0.85
WIDE_CHARACTERS = 0x2E80  # from here on a character is about as wide as it is high
STYLE = """
svg {
  --page: #ffffff; --ink: #1c2733; --soft: #5b6b7b; --line: #b9c4cf; --card: #eef3f8;
  --good: #0b6b3a; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
  svg {
    --page: #14191f; --ink: #e8eef4; --soft: #a9b7c4; --line: #46535f; --card: #212a33;
    --good: #6fd39b; --bad: #ff9b91;
  }
}
text { font: 15px system-ui, "Hiragino Sans", "Noto Sans CJK JP", sans-serif; fill: var(--ink); }
.page { fill: var(--page); stroke: var(--line); }
.card { fill: var(--card); stroke: var(--line); }
.head { font-weight: 700; }
.label { paint-order: stroke; stroke: var(--page); stroke-width: 6px; stroke-linejoin: round; }
.soft { fill: var(--soft); }
.good { fill: var(--good); }
.bad { fill: var(--bad); }
.life { stroke: var(--line); stroke-dasharray: 4 4; }
.arrow { stroke: var(--soft); stroke-width: 2; }
.tip { fill: var(--soft); }
"""

Data = dict[str, Any]


def in_language(data: Any, language: str) -> Any:  # noqa: ANN401 - TOML has no static type
    """Return data with each `{en, ja}` replaced by its text; other keys beside it stay."""
    match data:
        case {"en": _, "ja": _, **rest} if rest:
            return {"words": data[language], **rest}
        case {"en": _, "ja": _}:
            return data[language]
        case dict():
            return {key: in_language(value, language) for key, value in data.items()}
        case list():
            return [in_language(value, language) for value in data]
        case _:
            return data


def text(x: float, y: float, words: str, style: str = "", anchor: str = "middle") -> str:
    """Return a line of text."""
    return (
        f'<text x="{x:g}" y="{y:g}" class="{style}" text-anchor="{anchor}">{escape(words)}</text>'
    )


def box(y: float, height: float, x: float = MARGIN, width: float = WIDTH - 2 * MARGIN) -> str:
    """Return a card, over the whole width by default."""
    size = f'width="{width:g}" height="{height:g}"'
    return f'<rect x="{x:g}" y="{y:g}" {size} rx="8" class="card"/>'


def arrow(start: float, end: float, y: float) -> str:
    """Return a horizontal arrow."""
    back = 9 if end > start else -9
    shaft = f'<path d="M{start:g} {y:g} H{end - back:g}" class="arrow"/>'
    return f'{shaft}<path d="M{end:g} {y:g} l{-back} -5 v10 z" class="tip"/>'


def width_of(words: str) -> float:
    """Return about how wide a text is."""
    return sum(15 if ord(character) >= WIDE_CHARACTERS else 7.6 for character in words)


def message(step: Data, places: list[float], y: float) -> Iterator[str]:
    """Draw an arrow with its words above it, which stay within the picture.

    The arrow of a lost message ends halfway.
    """
    start, end = places[step["from"]], places[step["to"]]
    half, lost = width_of(step["words"]) / 2, step.get("kind") == "lost"
    middle = min(max((start + end) / 2, MARGIN + half), WIDTH - MARGIN - half)
    style = "bad" if lost else step.get("kind", "")
    yield text(middle, y + 16, step["words"], f"label {style}".strip())
    yield arrow(start, (start + end) / 2 if lost else end, y + 27)
    if lost:
        yield text((start + end) / 2 + (10 if end > start else -10), y + 33, "✕", "bad head")


def note(step: Data, y: float) -> Iterator[str]:
    """Draw a card with its lines."""
    yield box(y + 4, len(step["lines"]) * LINE + 11)
    for number, words in enumerate(step["lines"]):
        yield text(WIDTH / 2, y + 24 + number * LINE, words, step.get("kind", ""))


def lanes(names: list[str], places: list[float], width: float) -> Iterator[str]:
    """Draw the names of those who take part."""
    for place, words in zip(places, names, strict=True):
        yield box(MARGIN + 4, 36, place - width / 2, width)
        yield text(place, MARGIN + 27, words, "head")


def sequence(diagram: Data, language: str) -> str:
    """Draw who takes part, and what happens from top to bottom."""
    room = (WIDTH - 2 * MARGIN) / len(diagram["lanes"])
    places = [MARGIN + room * (lane + 0.5) for lane in range(len(diagram["lanes"]))]
    y, drawn = 66, [*lanes(diagram["lanes"], places, room - 8)]
    for step in diagram["steps"]:
        drawn.extend(message(step, places, y) if "from" in step else note(step, y))
        y += 46 if "from" in step else len(step["lines"]) * LINE + 25
    lives = [f'<path d="M{place:g} 52 V{y - 4}" class="life"/>' for place in places]
    return picture(diagram, language, y + 8, [*lives, *drawn])


def station(diagram: Data, language: str) -> str:
    """Draw the places one below the other, with the ways between them."""
    y, drawn = MARGIN + 32.0, [text(WIDTH / 2, MARGIN + 22, diagram["start"], "soft")]
    for step in diagram["steps"]:
        drawn.extend(way(step, y) if "ticket" in step else place(step, y))
        y += 44 if "ticket" in step else place_height(step)
    return picture(diagram, language, y + MARGIN, drawn)


def place_height(step: Data) -> int:
    """Return how high a place is."""
    refusals = len(step.get("refusals", []))
    return 66 + (refusals * LINE + 5 if refusals else 0)


def place(step: Data, y: float) -> Iterator[str]:
    """Draw a place: its name in the picture, its name in an API, and what it asks."""
    left = MARGIN + 16
    yield box(y, place_height(step))
    yield text(left, y + 27, step["name"], "head", "start")
    yield text(WIDTH - left, y + 27, step["term"], "soft", "end")
    yield text(left, y + 52, step["question"], "", "start")
    for number, refusal in enumerate(step.get("refusals", [])):
        yield text(left, y + 79 + LINE * number, refusal, "bad", "start")


def way(step: Data, y: float) -> Iterator[str]:
    """Draw an arrow down, and what goes along it."""
    middle = WIDTH / 2
    yield f'<path d="M{middle:g} {y + 4:g} V{y + 31:g}" class="arrow"/>'
    yield f'<path d="M{middle:g} {y + 40:g} l-5 -9 h10 z" class="tip"/>'
    yield text(middle - 14, y + 27, step["ticket"], "head good", "end")
    yield text(middle + 14, y + 27, step["term"], "soft", "start")


def picture(diagram: Data, language: str, height: float, drawn: list[str]) -> str:
    """Return the file: a picture, with a title and a description for those who do not see it."""
    size = f'viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}',
        f'  role="img" aria-labelledby="title description" lang="{language}">',
        f'<title id="title">{escape(diagram["title"])}</title>',
        f'<desc id="description">{escape(diagram["description"])}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect x="1" y="1" width="{WIDTH - 2}" height="{height - 2:g}" rx="12" class="page"/>',
        *drawn,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def drawings() -> dict[Path, str]:
    """Return what each file has to contain."""
    data = tomllib.loads((FOLDER / "diagrams.toml").read_text("utf-8"))
    files = {}
    for language, ending in LANGUAGES.items():
        for name, diagram in in_language(data, language).items():
            draw = sequence if "lanes" in diagram else station
            files[FOLDER / f"{name}{ending}"] = draw(diagram, language)
    return files


def main() -> int:
    """Write the diagrams, or say which ones are old."""
    files = drawings()
    if "--check" not in sys.argv:
        for path, drawn in files.items():
            path.write_text(drawn, "utf-8")
        return 0
    old = [path.name for path, drawn in files.items() if path.read_text("utf-8") != drawn]
    if old:
        print(f"Run `python scripts/diagrams.py`: {', '.join(old)}", file=sys.stderr)
    return len(old) > 0


if __name__ == "__main__":
    sys.exit(main())
