"""The runner of documents notices what a reader would notice."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.document_blocks import Block, apply_changes, read_blocks
from support.document_runner import DocumentRunner, contained_pattern, output_pattern
from support.terminals import CommandFailed, Machine, open_machine, split_last_command

PAGE = """\
## First

1. Save it:

   <!-- run file=a.py then="python a.py" -->
   ```python
   print(1)
   ```

<!-- not run: a picture -->
```
+---+
```

```sh
./run
```

```python
print(2)
```
"""


REFUSING = """
from wsgiref.simple_server import make_server

def refuse(environ, start_response):
    start_response("401 Unauthorized", [])
    return []

make_server("127.0.0.1", 8001, refuse).serve_forever()
"""


@pytest.fixture(scope="module")
def machine(installed: Path) -> Iterator[Machine]:
    """A machine that the tests share; each has a folder of its own."""
    with open_machine(installed) as opened:
        yield opened


def run(machine: Machine, folder: str, language: str, text: str, **options: str) -> None:
    """Run one block."""
    block = Block("a.md", 1, language, text, {"folder": folder, **options})
    DocumentRunner(machine).run(block)


def test_blocks_are_read_with_their_comments(tmp_path: Path) -> None:
    """In a list too."""
    (tmp_path / "a.md").write_text(PAGE, "utf-8")
    blocks = read_blocks(tmp_path, "a.md")
    assert [(block.is_run, block.text) for block in blocks] == [
        (True, "print(1)\n"),
        (False, "+---+\n"),
        (True, "./run\n"),
        (True, "print(2)\n"),
    ]
    assert blocks[0].section == "First"
    assert blocks[0].options == {"file": "a.py", "then": "python a.py"}


def test_a_program_without_a_comment_is_a_fault(tmp_path: Path) -> None:
    """Nobody knows its file; a command needs no comment."""
    (tmp_path / "a.md").write_text(PAGE, "utf-8")
    assert [block.line for block in read_blocks(tmp_path, "a.md") if block.fault] == [19]


@pytest.mark.parametrize(
    ("shown", "printed", "is_same"),
    [
        ('{"token":"eyJabc..."}', '{"token":"eyJaxx-longer"}', True),
        ('{"token":"eyJabc..."}', '{"token":""}', False),
        ('{"a":1, ...}', '{"a":1,"b":{"c":2},"d":3}', True),
        ('{"a":1, ...}', '{"a":1}\n{"b":2}', False),
        ('[{"a":1,...}]', '[{"a":1,"b":2},{"c":3}]', False),
        ("2 passed in ...", "2 passed in 0.12s", True),
        ("2 passed in ...", "2 passed in 0.12s\n1 error", False),
        ("...\n2 passed", "..\n\n2 passed", True),
        ("...\n2 passed", "12 passed", False),
        ("a ... z", "a b c z", False),
        ('{"id":"01a20674-a3d5-7036-ac54-25b05916461c"}', '{"id":"7"}', False),
        ('{"status":401}', '{"status":403}', False),
    ],
)
def test_only_what_differs_between_runs_may_differ(shown: str, printed: str, is_same: bool) -> None:
    """Tokens, ids, times, and what is left out: members, lines, or the rest of a line."""
    pattern, _ = output_pattern(shown)
    assert bool(re.fullmatch(pattern, printed)) == is_same


def test_an_output_contains_the_texts_in_their_order() -> None:
    """Of the option `shows`; readers do not see it."""
    pattern, _ = contained_pattern("one...two")
    found = [bool(re.fullmatch(pattern, text)) for text in ("0 one\n\ntwo", "two one", "one")]
    assert found == [True, False, False]


def test_changes_are_made_where_the_page_shows_them() -> None:
    """Each with a line around it, and dots for the lines that stay."""
    changes = " a\n-b\n+B\n+\n...\n\n+e\n d\n"
    assert apply_changes("a\nb\nc\n\nd\n", changes) == "a\nB\n\nc\n\ne\nd\n"


@pytest.mark.parametrize("text", ["a\nc\n", "a\nb\na\nb\n"], ids=["no place", "two places"])
def test_a_change_without_a_place_is_a_failure(text: str) -> None:
    """A reader would not know where."""
    with pytest.raises(ValueError, match="places for this change"):
        apply_changes(text, " a\n-b\n")


@pytest.mark.parametrize(
    ("script", "last"),
    [
        ("serve\n", "serve"),
        ("export A=1\nserve --port 1\n", "serve --port 1"),
        ("export A=1\nupgrade &&\n    serve\n", "upgrade &&\n    serve"),
        ("export A=1\nserve \\\n    --port 1\n", "serve \\\n    --port 1"),
    ],
)
def test_only_the_last_command_of_a_block_serves(script: str, last: str) -> None:
    """What stands before it stays in the terminal, such as a variable."""
    assert split_last_command(script)[1] == last


def test_a_shown_value_is_copied_into_later_commands(machine: Machine) -> None:
    """As a reader copies a token."""
    session = "$ echo '\"eyJ'secret'\"'\n\"eyJab...\"\n$ echo eyJab...\neyJsecret"
    run(machine, "copied", "console", session)


def test_another_output_is_a_failure(machine: Machine) -> None:
    """The message has both."""
    with pytest.raises(CommandFailed, match=r"a\.md:1:\nthe document shows\n2\nbut .* is\n1"):
        run(machine, "other", "console", "$ echo 1\n2")


def test_a_command_that_fails_is_a_failure(machine: Machine) -> None:
    """Also in the middle of a block."""
    with pytest.raises(CommandFailed):
        run(machine, "failing", "sh", "false\necho end")


def test_a_command_that_should_fail_and_does_not_is_a_failure(machine: Machine) -> None:
    """With the option `fails`, which every command of the block must obey."""
    run(machine, "broken", "console", "$ false\n", fails="")
    with pytest.raises(CommandFailed):
        run(machine, "whole", "console", "$ true\n", fails="")


def test_a_server_that_refuses_us_responds(machine: Machine) -> None:
    """A guarded endpoint is served."""
    run(machine, "refusing", "python", REFUSING, file="refusing.py")
    run(machine, "refusing", "console", "$ python refusing.py", serves="localhost:8001/")


def test_a_server_that_ends_is_a_failure(machine: Machine) -> None:
    """Its output is shown."""
    with pytest.raises(CommandFailed, match="Could not locate a Flask application"):
        run(machine, "serving", "sh", "itemsapi --app '' serve", serves="localhost:8000/")


@pytest.mark.parametrize(
    ("name", "command", "shown"),
    [
        ("root", "id -u | grep -cx 0 || true", "0"),
        ("home", "ls -A $HOME | grep -v '\\.out$\\|\\.in$\\|^empty\\|\\.sh$' || echo none", "none"),
        ("path", "env | grep ^PYTHON || echo none", "none"),
        (
            "wheel",
            "python -c 'import itemsapi as i; print(i.__file__)' | grep -o site-packages",
            "site-packages",
        ),
        ("network", "curl -s https://pypi.org || echo none", "none"),
    ],
)
def test_the_reader_has_nothing_but_the_wheel(
    installed: Path, name: str, command: str, shown: str
) -> None:
    """No rights, no files, no paths, no network."""
    with open_machine(installed) as machine:
        run(machine, f"empty-{name}", "console", f"$ {command}\n{shown}")
