"""Settings: how text becomes a value, and how a secret is made."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from itemsapi.settings import Settings, SettingsError, _create_secret

SECRET = "t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz"


def read(**given: str) -> Settings:
    """Read settings as from an environment that holds these and a secret."""
    environ = {"ITEMSAPI_SECRET_KEY": SECRET}
    return Settings.from_environment(
        environ | {f"ITEMSAPI_{name.upper()}": value for name, value in given.items()}
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), (" 10m ", 600), ("12h", 43_200), ("14d", 1_209_600)],
)
def test_a_duration_is_seconds_or_has_a_suffix(text: str, seconds: int) -> None:
    """As the guide says."""
    assert read(session_max_idle=text).session_max_idle.total_seconds() == seconds


@pytest.mark.parametrize("text", ["on", "True", " yes", "1"])
def test_a_switch_is_on(text: str) -> None:
    """In the words that people use."""
    assert read(debug=text).debug


@pytest.mark.parametrize("text", ["off", "FALSE", "no ", "0"])
def test_a_switch_is_off(text: str) -> None:
    """In the words that people use."""
    assert not read(docs=text).docs


@pytest.mark.parametrize(
    ("text", "value"),
    [("600/minute", "600/minute"), ("5 per 2 seconds", "5 per 2 seconds"), ("Off", None)],
)
def test_a_rate_is_in_the_words_of_its_library(text: str, value: str | None) -> None:
    """Or off."""
    assert read(rate_limit=text).rate_limit == value


def test_a_list_is_parted_by_commas() -> None:
    """Blanks do not count."""
    assert read(blueprints="a:b, c:d,").blueprints == ("a:b", "c:d")


@pytest.mark.parametrize(("text", "hops"), [("2", 2), ("0", 0), (" none ", None)])
def test_proxies_are_counted_or_said_not_to_be_there(text: str, hops: int | None) -> None:
    """A 0 may be an oversight; `none` is not."""
    assert read(trusted_proxies=text).trusted_proxies == hops


def test_headers_are_listed_as_they_are_spelled() -> None:
    """Any name that a page may use (RFC 9110 section 5.6.2)."""
    names = "traceparent, tracestate, sentry-trace, baggage, X-Requested-With"
    assert read(allow_headers=names).allow_headers == tuple(names.split(", "))
    assert read(expose_headers="X_Build").expose_headers == ("X_Build",)


def test_the_secret_is_not_in_what_is_printed() -> None:
    """S-148."""
    assert SECRET not in repr(read())


def test_processes_that_start_together_have_one_secret(tmp_path: Path) -> None:
    """The first one makes it, the others read it."""
    environ = {"ITEMSAPI_DATA_DIR": str(tmp_path / "data")}
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Settings.from_environment(environ).secret_key, range(64)))
    assert len(set(made)) == 1
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret.key"]


def test_a_secret_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    """One line that names the setting and the reason (R-24)."""
    (tmp_path / "file").touch()
    environ = {"ITEMSAPI_DATA_DIR": str(tmp_path / "file" / "data")}
    with pytest.raises(SettingsError, match="ITEMSAPI_DATA_DIR cannot be written"):
        Settings.from_environment(environ)


def test_the_secret_of_the_first_process_stays(tmp_path: Path) -> None:
    """The second had looked before it was there."""
    path = tmp_path / "secret.key"
    path.write_text(SECRET, "utf-8")
    _create_secret(path)
    assert path.read_text("utf-8") == SECRET
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["there/data", " there/data ", "there/data\r", "there/data\n"])
def test_a_path_has_no_blanks_and_line_ends_around_it(text: str) -> None:
    """A file of settings may have been written on Windows."""
    assert read(data_dir=text).data_dir == Path("there/data")


@pytest.mark.parametrize("name", ["data_dir", "secret_key_file"])
@pytest.mark.parametrize("text", ["", "  ", "\r\n", "a\0b"])
def test_a_path_that_is_none_is_named(name: str, text: str) -> None:
    """Nothing is made in the folder that the command happens to run in (R-24)."""
    with pytest.raises(SettingsError, match=f"ITEMSAPI_{name.upper()} (is empty|contains a NUL)"):
        read(**{name: text})


@pytest.mark.parametrize("made", ["folder", "empty", "blank", "loop", "x" * 300])
def test_a_secret_file_that_holds_none_is_named(made: str, tmp_path: Path) -> None:
    """Keys are never sealed with nothing (S-148)."""
    path = tmp_path / made
    if made == "folder":
        path.mkdir()
    elif made == "loop":
        path.symlink_to(path)
    elif made in {"empty", "blank"}:
        path.write_text(" \n" * (made == "blank"))
    with pytest.raises(SettingsError, match=r"\AITEMSAPI_SECRET_KEY.*\Z"):
        Settings.from_environment({"ITEMSAPI_SECRET_KEY_FILE": str(path)})


def test_a_folder_in_the_place_of_the_secret_is_named(tmp_path: Path) -> None:
    """It is not made anew beside it."""
    (tmp_path / "secret.key").mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        Settings.from_environment({"ITEMSAPI_DATA_DIR": str(tmp_path)})


@pytest.mark.parametrize("text", ["auto", "on", "off"])
def test_what_is_said_about_a_pooler(text: str) -> None:
    """One of three words."""
    assert read(database_pooler=text).database_pooler == text
