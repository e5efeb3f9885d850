"""The union type of problem codes in the JavaScript client: those of the service, no others.

ITEMSAPI_TEST_WRITE=1 writes it anew.
"""

import os
from pathlib import Path

from itemsapi.problem_list import list_problems

TYPES = Path(__file__).parents[2] / "clients" / "js" / "problem-codes.d.ts"
HEAD = (
    "/** The codes of the problems of the service (/docs/problems), generated from it by a test. */"
    "\nexport type ServerCode =\n"
)


def test_type_of_the_client_has_all_codes_of_the_service() -> None:
    """A mistyped code in a page does not compile, and no code of the service is missing."""
    own = {each.code for each in list_problems() if each.__module__ == "itemsapi.problems"}
    text = HEAD + "\n".join(f'  | "{code}"' for code in sorted(own)) + ";\n"
    if os.environ.get("ITEMSAPI_TEST_WRITE"):
        TYPES.write_text(text, "utf-8")
    assert TYPES.read_text("utf-8") == text
