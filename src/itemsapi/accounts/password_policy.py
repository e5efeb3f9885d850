"""What may become a password: long enough, not common, not made of the user's or product's name.

Source: NIST SP 800-63B-4 section 3.1.1.2. There are no rules about kinds of characters and no
expiry (S-040, S-131); the list of common passwords travels with the package (S-041, S-129).
"""

import functools
import re
from collections.abc import Iterator
from importlib.resources import files

from itemsapi.accounts.passwords import LONGEST, normal_password
from itemsapi.problems import Invalid

PRODUCT = "itemsapi"
OWN_LETTERS = 8  # that a password must have beside the words that everybody knows
SHORT_WORD = 3  # letters of a name that tell anything; "al" is in "metal" by chance
LONG_PART = 4  # letters of a part of a name that counts as a word: "lovelace" of "ada.lovelace"

# Digits and signs that stand for letters; 1 stands for two.
_LEET = tuple(str.maketrans(f"0{one}345$7@", f"o{letter}eassta") for one, letter in ("1i", "1l"))
_NOT_WORDS = re.compile(r"[\W_]+")
_EDGES = re.compile(r"^[\W\d_]+|[\W\d_]+$")


def demand(password: str, *, username: str, minimum: int, field: str = "password") -> None:
    """Let a new password pass. Raises `Invalid` with a sentence that says what to do."""
    fault = _fault(normal_password(password), username, minimum)
    if fault:
        raise Invalid.at(field, fault)


def _fault(password: str, username: str, minimum: int) -> str | None:
    if len(password) < minimum:
        return f"Use {minimum} characters or more; a few words in a row are easy to keep in mind."
    if len(password) > LONGEST:
        return f"Use {LONGEST} characters at most."
    if _common(password.casefold()):
        return "This is one of the first passwords that others would try."
    if any(_is_made_of(username, form) for form in _forms(password)):
        return "Do not build it from your user name or the name of this service."
    return None


def _common(password: str) -> bool:
    """Tell whether it is a common one, as it is, several times over, or with digits around it."""
    known = common_passwords()
    return not known.isdisjoint({password, _once(password), _EDGES.sub("", password)})


def _once(text: str) -> str:
    """Return the part that a text repeats, `abc` of `abcabcabc`, or the text itself."""
    return text[: (text + text).find(text, 1)]


def _is_made_of(username: str, form: str) -> bool:
    """Tell whether too little is left of a form of the password without the well-known words."""
    rest = form
    for word in sorted(_words(username), key=len, reverse=True):
        rest = rest.replace(word, " ")
    return rest != form and sum(letter.isalpha() for letter in rest) < OWN_LETTERS


def _words(username: str) -> set[str]:
    local = username.partition("@")[0]
    parts = [part for part in re.split(r"[^A-Za-z]+", local) if len(part) >= LONG_PART]
    forms = {form for word in (PRODUCT, username, local, *parts) for form in _forms(word)}
    return {form for form in forms if len(form) >= SHORT_WORD}


def _forms(text: str) -> Iterator[str]:
    """Yield a text without signs: as it is, and with digits read as the letters they stand for."""
    lower = text.casefold()
    yield _NOT_WORDS.sub("", lower)
    for table in _LEET:
        yield re.sub(r"[\W\d_]+", "", lower.translate(table))


@functools.cache
def common_passwords() -> frozenset[str]:
    """Return the common passwords of eight characters or more, in lower case; read once."""
    text = files("itemsapi.accounts").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(text.split("\n")) - {""}
