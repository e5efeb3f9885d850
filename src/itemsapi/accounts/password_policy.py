"""Password policy: long enough, hard to guess, not built from the user's or the service's name.

Source: NIST SP 800-63B-4 section 3.1.1.2. There are no composition rules and no expiry (S-040,
S-131). The list of common passwords is part of the package (S-041, S-129).
"""

import re
import secrets
from collections.abc import Iterator

from itemsapi.accounts.passwords import normalize_password
from itemsapi.accounts.predictability import common_passwords, unpredictable_length
from itemsapi.problems import ValidationFailed
from itemsapi.settings import MAX_PASSWORD_LENGTH

SERVICE_NAME = "itemsapi"
MIN_UNPREDICTABLE_LENGTH = 8  # characters; half of the minimum length if that is less
MIN_OTHER_LETTERS = 8  # letters beside the user's and the service's name
MIN_WORD_LENGTH = 3  # letters; shorter names occur by chance: "al" in "metal"
GENERATED_LENGTH = 32  # hexadecimal digits of a generated password, which are 128 bits
MIN_NAME_PART_LENGTH = 4  # letters of a part of a user name: "lovelace" of "ada.lovelace"

# Digits and signs used instead of letters; 1 is used instead of i and l.
_LEET = tuple(
    str.maketrans(f"0{digit}345$7@", f"o{letter}eassta") for digit, letter in ("1i", "1l")
)
_NOT_WORDS = re.compile(r"[\W_]+")
_EDGES = re.compile(r"^[\W\d_]+|[\W\d_]+$")


def validate_password(
    password: str, *, username: str, minimum: int, field: str = "password"
) -> None:
    """Raise `ValidationFailed`, with advice, unless a new password is acceptable."""
    fault = _find_fault(normalize_password(password), username, minimum)
    if fault:
        raise ValidationFailed.at(field, fault)


def generate_password(*, username: str, minimum: int) -> str:
    """Return a random password that is acceptable for this user, in letters a to f and digits.

    A random one may be refused: it contains a user name such as "ada" by chance.
    """
    length = max(GENERATED_LENGTH, minimum)
    while True:
        password = secrets.token_hex(length)[:length]
        if _find_fault(password, username, minimum) is None:
            return password


def _find_fault(password: str, username: str, minimum: int) -> str | None:
    if len(password) < minimum:
        return f"Use {minimum} characters or more; a few words in a row are easy to remember."
    if len(password) > MAX_PASSWORD_LENGTH:
        return f"Use {MAX_PASSWORD_LENGTH} characters at most."
    if _is_common(password.casefold()):
        return "This is one of the first passwords that others would try."
    if any(_is_made_of(username, form) for form in _letter_forms(password)):
        return "Do not build it from your user name or the name of this service."
    if _is_predictable(password, min(MIN_UNPREDICTABLE_LENGTH, (minimum + 1) // 2)):
        return (
            "This is easy to guess: a common word counts as two characters; a sequence such as"
            " 1234, abcd or qwerty, and a repetition, as one. Use a few words in a row."
        )
    return None


def _is_common(password: str) -> bool:
    """Return whether it is a common password, also without the digits and signs around it."""
    return not common_passwords().isdisjoint({password, _EDGES.sub("", password)})


def _is_predictable(password: str, enough: int) -> bool:
    """Return whether it has too few unpredictable characters, also with digits read as letters."""
    lower = password.casefold()
    forms = {lower, *(lower.translate(table) for table in _LEET)}
    return any(unpredictable_length(form, enough=enough) < enough for form in forms)


def _is_made_of(username: str, form: str) -> bool:
    """Return whether a form of the password has too few letters beside the forbidden words."""
    remaining = form
    for word in sorted(_forbidden_words(username), key=len, reverse=True):
        remaining = remaining.replace(word, " ")
    return remaining != form and sum(char.isalpha() for char in remaining) < MIN_OTHER_LETTERS


def _forbidden_words(username: str) -> set[str]:
    local = username.partition("@")[0]
    parts = [part for part in re.split(r"[^A-Za-z]+", local) if len(part) >= MIN_NAME_PART_LENGTH]
    forms = {
        form for word in (SERVICE_NAME, username, local, *parts) for form in _letter_forms(word)
    }
    return {form for form in forms if len(form) >= MIN_WORD_LENGTH}


def _letter_forms(text: str) -> Iterator[str]:
    """Yield a text without signs, and then its letters with digits read as letters."""
    lower = text.casefold()
    yield _NOT_WORDS.sub("", lower)
    for table in _LEET:
        yield re.sub(r"[\W\d_]+", "", lower.translate(table))
