"""The runner of documents notices what a reader would notice."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.document_blocks import Block, read_blocks
from support.document_runner import DocumentRunner, output_pattern
from support.terminals import CommandFailed, Machine, open_machine, split_last_command

PAGE = """\
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
    assert blocks[0].options == {"file": "a.py", "then": "python a.py"}


def test_a_program_without_a_comment_is_a_fault(tmp_path: Path) -> None:
    """Nobody knows its file; a command needs no comment."""
    (tmp_path / "a.md").write_text(PAGE, "utf-8")
    assert [block.line for block in read_blocks(tmp_path, "a.md") if block.fault] == [17]


@pytest.mark.parametrize(
    ("shown", "printed", "is_same"),
    [
        ('{"token":"eyJabc..."}', '{"token":"eyJaxx-longer"}', True),
        ('{"token":"eyJabc..."}', '{"token":""}', False),
        ("a ... z", "a b c z", True),
        ('{"id":"01a20674-a3d5-7036-ac54-25b05916461c"}', '{"id":"7"}', False),
        ('{"status":401}', '{"status":403}', False),
    ],
)
def test_only_what_differs_between_runs_may_differ(shown: str, printed: str, is_same: bool) -> None:
    """Tokens, ids, times, and what is left out."""
    pattern, _ = output_pattern(shown)
    assert bool(re.fullmatch(pattern, printed, re.DOTALL)) == is_same


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
        ("wheel", "python -c 'import itemsapi; print(itemsapi.__file__)'", "...site-packages..."),
        ("network", "curl -s https://pypi.org || echo none", "none"),
    ],
)
def test_the_reader_has_nothing_but_the_wheel(
    installed: Path, name: str, command: str, shown: str
) -> None:
    """No rights, no files, no paths, no network."""
    with open_machine(installed) as machine:
        run(machine, f"empty-{name}", "console", f"$ {command}\n{shown}")
