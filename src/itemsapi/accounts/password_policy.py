"""What may become a password: long enough, hard to guess, not made of the user's or product's name.

Source: NIST SP 800-63B-4 section 3.1.1.2. There are no rules about kinds of characters and no
expiry (S-040, S-131); the list of common passwords travels with the package (S-041, S-129).
"""

import re
from collections.abc import Iterator

from itemsapi.accounts.passwords import MAX_PASSWORD_LENGTH, normalize_password
from itemsapi.accounts.predictability import common_passwords, own_characters
from itemsapi.problems import Invalid

PRODUCT = "itemsapi"
OWN_CHARACTERS = 8  # that are not predictable; half as many as a shorter minimum asks for
OWN_LETTERS = 8  # that a password must have beside the words that everybody knows
SHORT_WORD = 3  # letters of a name that tell anything; "al" is in "metal" by chance
LONG_PART = 4  # letters of a part of a name that counts as a word: "lovelace" of "ada.lovelace"

# Digits and signs that stand for letters; 1 stands for two.
_LEET = tuple(str.maketrans(f"0{one}345$7@", f"o{letter}eassta") for one, letter in ("1i", "1l"))
_NOT_WORDS = re.compile(r"[\W_]+")
_EDGES = re.compile(r"^[\W\d_]+|[\W\d_]+$")


def validate_password(
    password: str, *, username: str, minimum: int, field: str = "password"
) -> None:
    """Let a new password pass. Raises `Invalid` with a sentence that says what to do."""
    fault = _fault(normalize_password(password), username, minimum)
    if fault:
        raise Invalid.at(field, fault)


def _fault(password: str, username: str, minimum: int) -> str | None:
    if len(password) < minimum:
        return f"Use {minimum} characters or more; a few words in a row are easy to keep in mind."
    if len(password) > MAX_PASSWORD_LENGTH:
        return f"Use {MAX_PASSWORD_LENGTH} characters at most."
    if _common(password.casefold()):
        return "This is one of the first passwords that others would try."
    if any(_is_made_of(username, form) for form in _forms(password)):
        return "Do not build it from your user name or the name of this service."
    if _predictable(password, min(OWN_CHARACTERS, (minimum + 1) // 2)):
        return (
            "Others would guess this soon: a common word counts as two characters; a run such as"
            " 1234, abcd or qwerty, and what comes again, as one. Use a few words in a row."
        )
    return None


def _common(password: str) -> bool:
    """Tell whether it is a common one, as it is or with digits and signs around it."""
    return not common_passwords().isdisjoint({password, _EDGES.sub("", password)})


def _predictable(password: str, enough: int) -> bool:
    """Tell whether too little of it is its own, digits read as the letters they stand for too."""
    lower = password.casefold()
    forms = {lower, *(lower.translate(table) for table in _LEET)}
    return any(own_characters(form, enough=enough) < enough for form in forms)


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
