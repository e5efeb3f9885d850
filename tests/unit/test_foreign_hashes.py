"""Password hashes that other libraries made: known answers, limits of work, decoys."""

# ruff: noqa: E501 - a hash is one line

import importlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType

import pytest

from itemsapi.accounts import foreign_hashes
from itemsapi.accounts.foreign_hashes import FORMATS, ForeignHash, identify
from itemsapi.accounts.passwords import PasswordService
from itemsapi.settings import Settings

PASSWORD = "l\N{LATIN SMALL LETTER E WITH GRAVE}tmein"
SETTINGS = Settings(secret_key="t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz")

# Made by Werkzeug 3.1.9, Django 5.2.19, libpass 1.9.4, bcrypt 5.0.0 and argon2-cffi 25.1.0.
KNOWN_HASHES = {
    "werkzeug scrypt": "scrypt:1024:8:1$5NlVbxpVigzrAU9M$9eba78ffafd281070acbc72fbc025eb355605ab27f1f8f90232011fb6d745e9e95baa99b89ad97d5841deaabe8a8b90b57ed394ccba0de09d1f234885e1f8826",
    "werkzeug sha256": "pbkdf2:sha256:1000$xFI1SRnlSYETqKOO$4231b05999713990788870a49fb8dddf19597c50f68ebd71a4419065df5a73f6",
    "werkzeug sha1": "pbkdf2:sha1:1000$eVYINA8FFfpi2AR3$f3ad127b92832ef51bd3335757ef17b787a351e9",
    "werkzeug sha512": "pbkdf2:sha512:1000$LZKWMXQwcQ4PijsO$619922aff07cb209963a33ed500454ed52a235417c2b23c29e5b49747a646366fe752e6b5b349639e205057c5cd7b9f16258e7056968d73b3c27cd8c4fb64708",
    "django pbkdf2": "pbkdf2_sha256$1000$YjVZhdCkf9zhRlg6WBtJKs$ZrzKIXGBC/TENLJDbXlnKD3qaB9yDpy3WcMlLsaLEUA=",
    "django sha1": "pbkdf2_sha1$1000$xcgUFEyk2uZMLUeHbAQIr1$PikhF5w1RTn3+cdfkLU0Xy9sTaI=",
    "django argon2": "argon2$argon2id$v=19$m=64,t=1,p=1$cUJuN0VsSUdkeDdjUFQ0eHZ2TnRHcQ$rzqDDs8vpbJ3oHTYTgYMZNRZ9/K2agPtvGM028HceoE",
    "django bcrypt": "bcrypt$$2b$04$EFmApqfdV1vVT1oegcZ0/uyGSEErzue1wLsI/myn/N929lmz7oyDG",
    "django bcrypt_sha256": "bcrypt_sha256$$2b$04$WN7rPFz7.phUUqvhZ88g2uC8dwrvkYAlUCWoHrLJHzWtIY4CVsHPq",
    "django scrypt": "scrypt$16$YOI6bMwjdcLVrinNZoSh4L$8$1$UyvPktc/vbbDvoQ0BzqugcInkXqP1ntvaN0044xyUPMx7YkUD8+ayhzNGtdtELABs3oIbsaqDP7PWktCN82jsQ==",
    "bcrypt 2a": "$2a$04$IWFnv.6FCoxcyKQkVrA6HOtOEja8LUmEAvCYhoYZToqDe5FbHvS.S",
    "bcrypt 2b": "$2b$04$YGkdwvQWVWArYuqCCtLusOhm83lLKZmaxws5NeQ9T1zPRdSy.yOhO",
    "bcrypt 2y": "$2y$04$YGkdwvQWVWArYuqCCtLusOhm83lLKZmaxws5NeQ9T1zPRdSy.yOhO",  # of PHP: the same
    "passlib bcrypt_sha256": "$bcrypt-sha256$v=2,t=2b,r=4$kjL8LEqo5D24tpIkyFAXs.$.NlqvhjVXLIvMHU.O5z.6M0kB/m4ECi",
    "passlib pbkdf2": "$pbkdf2$1000$CqEUonTufQ.hlJKyFmLs3Q$XOD54HUPJts762ot3RY9MqbkR8I",
    "passlib sha256": "$pbkdf2-sha256$1000$XQvhnDOmlLJWqtU6pxQiZA$3Epi99ZtQJdNWZTKC9VVN3ys15DSMFo24tuGAljCn2k",
    "passlib sha512": "$pbkdf2-sha512$1000$hfA.x7jX.p.TEoKQEgKgNA$KErUE3CMqwZyWxkGfGQUCAidL8SYYdjYD/kXs7f4EF.ETtgw8HO0PfI6Z4/R.C8Z7y3AqDWFMJHoEL3IvhA4CA",
    "passlib scrypt": "$scrypt$ln=4,r=8,p=1$YiyFUOr9X6tVKkXonfP+Xw$6oXO0V+Vt/eyVU5IJo7AhzS/N4qQRlbRZtmuhYIivkY",
    "sha256_crypt": "$5$rounds=1000$eI7QuGvdqjSSoGju$.yiBRqq0lamJT6qsQGOlGCCxNEMcgnc1m7XrsbkAjRA",
    "sha512_crypt": "$6$rounds=1000$hIkbemfcmKLOlkMi$6Rx.tOxUUpWkuIBzOGTSv.6sjWRBuDDTC7IGgo5uRJUMbUmxykDCzNbxf3fTyaJ5mxORIK0TcjQBsOGX3a9KS.",
    "sha512_crypt without rounds": "$6$uZ.FDClIhEO4eNPo$oCngjep/V3EogiIv7/itqIsAZR/WpU1kR4a52aFTpze1f/9CBryyF8nAUVlX28/iJjtKk7ZNA/qfAKSP30Ik4/",
    "argon2d": "$argon2d$v=19$m=64,t=1,p=1$k8CwLPT+pXm/5VesM4JuHg$9t2FxgBGx7BBKsK7Ctx72fuZZ6OM16JLE+o3OWIUGRg",
    "argon2i": "$argon2i$v=19$m=64,t=1,p=1$2C2zNGOG/UoA1jbhS3jrhg$ygFMUu2vdm3IQWqk9wRTwjEQIQrZZLC01cIIF/o5/8U",
}
# Each asks for much more work than is accepted.
ABSURD_HASHES = {
    "scrypt": re.sub("1024", "1073741824", KNOWN_HASHES["werkzeug scrypt"]),
    "pbkdf2": re.sub("1000", "999999999999", KNOWN_HASHES["werkzeug sha256"]),
    "django": re.sub("1000", "4000001", KNOWN_HASHES["django pbkdf2"]),
    "django scrypt": KNOWN_HASHES["django scrypt"].replace("$8$1$", "$8$99999999$"),
    "argon2 passes": KNOWN_HASHES["argon2i"].replace("t=1,", "t=99999999,"),
    "argon2 memory": KNOWN_HASHES["django argon2"].replace("m=64", "m=999999999"),
    "argon2 lanes": KNOWN_HASHES["argon2i"].replace("p=1", "p=65"),
    "argon2id": KNOWN_HASHES["django argon2"].removeprefix("argon2").replace("t=1,", "t=99999999,"),
    "argon2id lanes": KNOWN_HASHES["django argon2"].removeprefix("argon2").replace("p=1", "p=99"),
    "bcrypt": KNOWN_HASHES["bcrypt 2b"].replace("$04$", "$31$"),
    "bcrypt_sha256": KNOWN_HASHES["passlib bcrypt_sha256"].replace("r=4", "r=31"),
    "passlib scrypt": KNOWN_HASHES["passlib scrypt"].replace("ln=4", "ln=40"),
    "passlib pbkdf2": KNOWN_HASHES["passlib sha512"].replace("1000", "999999999"),
    "sha512_crypt": KNOWN_HASHES["sha512_crypt"].replace("1000", "999999999"),
}


@pytest.fixture
def passwords() -> PasswordService:
    """The password service with default settings."""
    return PasswordService(SETTINGS)


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """As if the extra `hashes` were not installed; the hints that were logged."""
    hints: list[str] = []
    load = importlib.import_module

    def import_module(name: str) -> ModuleType:
        if name in {"passlib.hash", "bcrypt"}:
            raise ImportError(name)
        return load(name)

    monkeypatch.setattr(importlib, "import_module", import_module)
    warning = "itemsapi.accounts.foreign_hashes.log.warning"
    monkeypatch.setattr(warning, lambda _, hint: hints.append(hint))
    _forget()
    yield hints
    _forget()


def _forget() -> None:
    """Forget what a process remembers: the libraries that are there, and what it warned of."""
    foreign_hashes._handler.cache_clear()  # noqa: SLF001 - there is no other way
    foreign_hashes._warn_once.cache_clear()  # noqa: SLF001


@pytest.mark.parametrize("name", KNOWN_HASHES)
def test_a_password_matches_the_hash_of_another_library(
    passwords: PasswordService, name: str
) -> None:
    """And no other password does; the next sign-in replaces the hash (S-047)."""
    stored = KNOWN_HASHES[name]
    assert passwords.matches(PASSWORD, stored)
    assert passwords.needs_rehash(stored, PASSWORD)
    assert not passwords.matches("letmein", stored)


@pytest.mark.parametrize("name", KNOWN_HASHES)
def test_no_password_with_nul_matches(passwords: PasswordService, name: str) -> None:
    """The new hash would be one of another password than the user's: NUL is padding to HMAC."""
    assert not passwords.matches(f"{PASSWORD}\0", KNOWN_HASHES[name])


@pytest.mark.parametrize("name", ["django bcrypt", "bcrypt 2a", "bcrypt 2b", "bcrypt 2y"])
@pytest.mark.parametrize(("length", "is_replaced"), [(70, True), (71, False)])
def test_a_bcrypt_hash_is_replaced_only_when_the_whole_password_counts(
    passwords: PasswordService, name: str, length: int, is_replaced: bool
) -> None:
    """It reads 72 bytes, and the first letter here is two: the others may be mistyped (S-040)."""
    password = f"\u00e8{'x' * length}"
    assert passwords.needs_rehash(KNOWN_HASHES[name], password) is is_replaced


def test_no_other_format_cuts_a_password() -> None:
    """Those with SHA-256 before bcrypt read all of it."""
    cutting = {form.name for form in FORMATS if form.max_bytes < len("x" * 1000)}
    assert cutting == {"bcrypt"}


def test_every_format_has_a_known_answer() -> None:
    """A format without one is not tested at all."""
    found = [[form.pattern.fullmatch(text) for text in KNOWN_HASHES.values()] for form in FORMATS]
    assert [sum(map(bool, matches)) > 0 for matches in found] == [True] * len(FORMATS)
    assert {sum(map(bool, column)) for column in zip(*found, strict=True)} == {1}


def test_the_password_is_not_normalized_when_the_hash_is_foreign(
    passwords: PasswordService,
) -> None:
    """The other library hashed what the user wrote: here an accent of its own."""
    assert not passwords.matches("le\u0300tmein", KNOWN_HASHES["werkzeug sha1"])


@pytest.mark.parametrize("name", ABSURD_HASHES)
def test_a_hash_that_asks_for_absurd_work_matches_no_password(
    passwords: PasswordService, name: str
) -> None:
    """At once: a row that somebody wrote must not stop the service (S-048)."""
    started = time.monotonic()
    assert not passwords.matches(PASSWORD, ABSURD_HASHES[name])
    assert time.monotonic() - started < 30


def test_more_lanes_or_work_than_the_limit_are_accepted_when_the_settings_have_them() -> None:
    """The operator knows the machine."""
    lanes = PasswordService(replace(SETTINGS, argon2_parallelism=65))
    assert lanes.matches("x", lanes.hash("x"))


@pytest.mark.parametrize(
    "stored", ["$1$salt$8dgKVpIvNqxFXqJvpA2gD0", "plain", "pbkdf2_md5$1$a$b", "scrypt:1:1:1$a$b"]
)
def test_a_hash_of_an_unknown_format_matches_no_password(
    passwords: PasswordService, stored: str
) -> None:
    """Neither a weak one nor a password that was stored as it is (S-047)."""
    assert not passwords.matches(stored, stored)


@pytest.mark.parametrize("password", ["x" * 80, "\N{SNOWMAN}" * 30])
def test_bcrypt_compares_the_first_72_bytes(passwords: PasswordService, password: str) -> None:
    """The hash was made of those; version 5 of the library raises for more."""
    bcrypt = importlib.import_module("bcrypt")
    stored = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
    assert passwords.matches(password, stored)
    assert not passwords.matches("y" + password[1:], stored)


@pytest.mark.parametrize("name", KNOWN_HASHES)
def test_a_password_with_nul_does_not_match(passwords: PasswordService, name: str) -> None:
    """Some libraries raise an error, which is no 500."""
    assert not passwords.matches(f"{PASSWORD}\0x", KNOWN_HASHES[name])


@pytest.mark.parametrize("name", KNOWN_HASHES)
def test_a_decoy_takes_the_work_of_the_hash(name: str) -> None:
    """S-113: it has the same parameters, and is not rejected for its form."""
    stored = identify(KNOWN_HASHES[name])
    assert stored is not None
    decoy = identify(stored.decoy)
    assert decoy is not None
    assert (decoy.parameters, decoy.matches(PASSWORD)) == (stored.parameters, False)


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parameters of all foreign hashes and decoys that are verified."""
    parameters: list[str] = []
    original: Callable[[ForeignHash, str], bool] = ForeignHash.matches

    def matches(self: ForeignHash, password: str) -> bool:
        parameters.append(self.parameters)
        return original(self, password)

    monkeypatch.setattr(ForeignHash, "matches", matches)
    return parameters


def test_an_unknown_user_costs_the_work_of_a_foreign_hash(
    passwords: PasswordService, verified: list[str]
) -> None:
    """S-113: once a sample of the stored hashes was loaded."""
    passwords.refresh_parameters(lambda: [KNOWN_HASHES["werkzeug scrypt"], "unknown"])
    passwords.matches(PASSWORD, None)
    passwords.matches(PASSWORD, KNOWN_HASHES["werkzeug scrypt"])
    assert verified == ["werkzeug-scrypt:1024:8:1"] * 2


def test_a_foreign_hash_costs_the_work_of_argon2id_too(
    passwords: PasswordService, verified: list[str]
) -> None:
    """S-113: users whose hash was replaced already take as long as those whose was not."""
    own = passwords.hash("x")
    passwords.matches(PASSWORD, KNOWN_HASHES["bcrypt 2b"])
    passwords.matches("x", own)
    assert verified == ["bcrypt:04"] * 2


def test_a_hash_is_rejected_and_the_log_names_the_extra_when_it_is_missing(
    without_extra: list[str],
) -> None:
    """Once, not at each sign-in."""
    passwords = PasswordService(SETTINGS)
    for _ in range(2):
        assert not passwords.matches(PASSWORD, KNOWN_HASHES["bcrypt 2b"])
    assert without_extra == [
        "a password hash (bcrypt) needs the package passlib; install itemsapi with its extra `hashes`"
    ]


def test_werkzeug_and_django_pbkdf2_need_no_extra(without_extra: list[str]) -> None:
    """They need only the standard library and Werkzeug."""
    passwords = PasswordService(SETTINGS)
    names = ("werkzeug scrypt", "django pbkdf2", "django scrypt", "django argon2")
    assert all(passwords.matches(PASSWORD, KNOWN_HASHES[name]) for name in names)
    assert without_extra == []
