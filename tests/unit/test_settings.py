"""Settings: how text becomes a value, and how a secret is created."""

import base64
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path

import pytest
from sqlalchemy import make_url

from itemsapi.secret_key import create_secret
from itemsapi.settings import Settings, SettingsError, not_a_setting
from itemsapi.tokens.secret_keys import SecretKeys


class Key(str, Enum):  # noqa: UP042 - its text is not its value
    """An enum of texts, as applications have them."""

    RSA = "RS256"


SECRET = "t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz"


def load(**variables: str) -> Settings:
    """Load settings from an environment with these variables and a secret."""
    environ = {"ITEMSAPI_SECRET_KEY": SECRET}
    return Settings.from_environment(
        environ | {f"ITEMSAPI_{name.upper()}": value for name, value in variables.items()}
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), (" 10m ", 600), ("12h", 43_200), ("14d", 1_209_600)],
)
def test_a_duration_is_seconds_or_has_a_suffix(text: str, seconds: int) -> None:
    """The notation of the guide."""
    assert load(session_max_idle=text).session_max_idle.total_seconds() == seconds


@pytest.mark.parametrize("text", ["on", "True", " yes", "1"])
def test_a_switch_is_on_for_each_common_word(text: str) -> None:
    """Several words are accepted."""
    assert load(debug=text).debug


@pytest.mark.parametrize("text", ["off", "FALSE", "no ", "0"])
def test_a_switch_is_off_for_each_common_word(text: str) -> None:
    """Several words are accepted."""
    assert not load(docs=text).docs


@pytest.mark.parametrize(
    ("text", "value"),
    [("600/minute", "600/minute"), ("5 per 2 seconds", "5 per 2 seconds"), ("Off", None)],
)
def test_a_rate_has_the_notation_of_its_library(text: str, value: str | None) -> None:
    """`off` disables the limit."""
    assert load(rate_limit=text).rate_limit == value


def test_a_list_is_separated_by_commas() -> None:
    """Blanks are ignored."""
    assert load(blueprints="a:b, c:d,").blueprints == ("a:b", "c:d")


@pytest.mark.parametrize(("text", "hops"), [("2", 2), ("0", 0), (" none ", None)])
def test_the_number_of_proxies_is_a_count_or_none(text: str, hops: int | None) -> None:
    """A 0 may be an oversight; `none` confirms that there are none."""
    assert load(trusted_proxies=text).trusted_proxies == hops


def test_header_names_keep_their_spelling() -> None:
    """Any name that a page may use is accepted (RFC 9110 section 5.6.2)."""
    names = "traceparent, tracestate, sentry-trace, baggage, X-Requested-With"
    assert load(allow_headers=names).allow_headers == tuple(names.split(", "))
    assert load(expose_headers="X_Build").expose_headers == ("X_Build",)


def test_the_secret_is_not_in_the_repr() -> None:
    """S-148."""
    assert SECRET not in repr(load())


def test_processes_share_one_secret_when_they_start_together(tmp_path: Path) -> None:
    """The first one creates it, the others read it."""
    environ = {"ITEMSAPI_DATA_DIR": str(tmp_path / "data")}
    processes = [SecretKeys(Settings.from_environment(environ)) for _ in range(64)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(SecretKeys.create_if_missing, processes))
    assert len({each.current.refresh_key.kid for each in processes}) == 1
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret.key"]


def test_the_start_fails_when_the_secret_cannot_be_written(tmp_path: Path) -> None:
    """One line names the setting and the reason (R-24)."""
    (tmp_path / "file").touch()
    environ = {"ITEMSAPI_DATA_DIR": str(tmp_path / "file" / "data")}
    with pytest.raises(SettingsError, match="ITEMSAPI_DATA_DIR cannot be written"):
        SecretKeys(Settings.from_environment(environ)).create_if_missing()


def test_the_secret_is_kept_when_another_process_created_it_first(tmp_path: Path) -> None:
    """The second process had checked before the file existed."""
    path = tmp_path / "secret.key"
    path.write_text(SECRET, "utf-8")
    create_secret(path)
    assert path.read_text("utf-8") == SECRET
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["there/data", " there/data ", "there/data\r", "there/data\n"])
def test_blanks_and_line_ends_around_a_path_are_removed(text: str) -> None:
    """An environment file may have been written on Windows."""
    assert load(data_dir=text).data_dir == Path("there/data")


@pytest.mark.parametrize("name", ["data_dir", "secret_key_file"])
@pytest.mark.parametrize("text", ["", "  ", "\r\n", "a\0b"])
def test_the_error_names_the_setting_when_a_path_is_invalid(name: str, text: str) -> None:
    """Nothing is created in the current directory of the command (R-24)."""
    with pytest.raises(SettingsError, match=f"ITEMSAPI_{name.upper()} (is empty|contains a NUL)"):
        load(**{name: text})


@pytest.mark.parametrize("made", ["folder", "empty", "blank", "loop", "x" * 300])
def test_the_error_names_the_setting_when_the_secret_file_has_no_secret(
    made: str, tmp_path: Path
) -> None:
    """Keys are never encrypted with an empty secret (S-148)."""
    path = tmp_path / made
    if made == "folder":
        path.mkdir()
    elif made == "loop":
        path.symlink_to(path)
    elif made in {"empty", "blank"}:
        path.write_text(" \n" * (made == "blank"))
    with pytest.raises(SettingsError, match=r"\AITEMSAPI_SECRET_KEY.*\Z"):
        Settings.from_environment({"ITEMSAPI_SECRET_KEY_FILE": str(path)})


def test_the_start_fails_when_a_folder_has_the_name_of_the_secret(tmp_path: Path) -> None:
    """No other secret is created."""
    (tmp_path / "secret.key").mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        Settings.from_environment({"ITEMSAPI_DATA_DIR": str(tmp_path)})


@pytest.mark.parametrize("text", ["auto", "on", "off"])
def test_the_pooler_setting_is_one_of_three_words(text: str) -> None:
    """One of three words."""
    assert load(database_pooler=text).database_pooler == text


def of_application(config: dict[str, object], **variables: str) -> Settings:
    """Read the settings of an application with this configuration."""
    environ = {f"ITEMSAPI_{name.upper()}": value for name, value in variables.items()}
    return Settings.of_application({"ITEMSAPI_SECRET_KEY": SECRET} | config, environ)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("DEBUG", True, "on"),
        ("SESSION_LIMIT", 7, "7"),
        ("ACCESS_TTL", timedelta(minutes=5), "5m"),
        ("ALLOWED_ORIGINS", ["https://a.example", "https://b.example"], None),
        ("DATA_DIR", Path("elsewhere"), "elsewhere"),
        ("RATE_LIMIT_URL", None, Settings.rate_limit_url),
        ("SESSION_LIMIT", Decimal(7), "7"),
        ("DOCS", False, "off"),
        ("AUDIENCE", b"the shop", "the shop"),
        ("SIGNING_ALG", Key.RSA, "RS256"),
        ("ALLOWED_ORIGINS", frozenset({"https://b.example", "https://a.example"}), None),
    ],
)
def test_a_value_of_the_application_is_a_value_of_python(
    name: str, value: object, text: str | None
) -> None:
    """It means what the text of the variable means."""
    text = text or "https://a.example,https://b.example"
    assert of_application({f"ITEMSAPI_{name}": value}) == load(**{name.lower(): text})


def test_the_environment_comes_before_the_application() -> None:
    """Who runs the application decides."""
    config: dict[str, object] = {"ITEMSAPI_AUDIENCE": "written", "SECRET_KEY": "the host's own"}
    assert of_application(config, audience="run").audience == "run"
    assert of_application(config).audience == "written"


def test_an_unknown_setting_of_the_application_is_rejected() -> None:
    """In every profile: in the code it is a misspelled one (S-103)."""
    with pytest.raises(SettingsError, match=r"ITEMSAPI_AUDIENZ in app\.config is not a setting"):
        of_application({"ITEMSAPI_AUDIENZ": "app"})


def test_a_wrong_setting_of_the_application_is_rejected() -> None:
    """As one of the environment."""
    with pytest.raises(SettingsError, match="ITEMSAPI_ACCESS_TTL must be between"):
        of_application({"ITEMSAPI_ACCESS_TTL": timedelta(days=2)})


@pytest.mark.parametrize(
    "value",
    [{"a": 1}, object(), make_url("sqlite:///x.db"), b"\xff", [b"\xff"], [["a"]], iter("ab")],
    ids=["dict", "object", "URL", "bytes", "list of bytes", "list of lists", "iterator"],
)
def test_a_value_without_a_text_is_rejected(value: object) -> None:
    """Each prints as something, a URL without its password; that would be another setting."""
    with pytest.raises(SettingsError, match=r"\AITEMSAPI_DATABASE_URL (is of the type|has bytes)"):
        of_application({"ITEMSAPI_DATABASE_URL": value})


def test_a_secret_of_random_bytes_is_their_base64() -> None:
    """`os.urandom(32)`, as the guide of Flask has it for its own key (S-148)."""
    secret = b"\xff" * 8 + bytes(range(24))
    settings = of_application({"ITEMSAPI_SECRET_KEY": secret})
    assert settings.secret_key == base64.b64encode(secret).decode()


def test_a_secret_of_bytes_that_are_a_text_is_that_text() -> None:
    """As from the environment, without the line end of a file."""
    assert of_application({"ITEMSAPI_SECRET_KEY": f"{SECRET}\n".encode()}).secret_key == SECRET


@pytest.mark.parametrize("secret", [b"", b"\xff" * 24, b"\xff" + bytes(range(30)), b"short"])
def test_a_secret_of_too_few_bytes_is_rejected(secret: bytes) -> None:
    """Their base64 is longer, and no stronger (S-148)."""
    with pytest.raises(SettingsError, match=r"\AITEMSAPI_SECRET_KEY is weak"):
        of_application({"ITEMSAPI_SECRET_KEY": secret})


def test_the_setting_that_a_misspelled_one_resembles_is_named() -> None:
    """The list is long."""
    with pytest.raises(SettingsError, match=r"did you mean ITEMSAPI_AUDIENCE\?"):
        of_application({"ITEMSAPI_AUDIENZ": "app"})


@pytest.mark.parametrize("name", ["ITEMSAPI_TYPO", "ITEMSAPI_X"])
def test_no_setting_is_guessed_when_only_the_prefix_is_alike(name: str) -> None:
    """The advice would be wrong (R-24)."""
    assert not_a_setting(name) == "is not a setting; remove it; `itemsapi check` lists the settings"


@pytest.mark.parametrize("duration", [timedelta(seconds=1.5), timedelta(milliseconds=400)])
def test_a_part_of_a_second_is_rejected(duration: timedelta) -> None:
    """It would be rounded, and 0.4 s to nothing."""
    with pytest.raises(SettingsError, match="ITEMSAPI_REVOCATION_LAG must be whole seconds"):
        of_application({"ITEMSAPI_REVOCATION_LAG": duration})


@pytest.mark.parametrize(
    ("name", "value", "type_name"),
    [
        ("secret_key", b"\x00" * 32, "str"),
        ("allowed_origins", "https://shop.example", "tuple"),
        ("data_dir", "data", "Path"),
        ("session_limit", "3", "int"),
        ("trusted_proxies", "1", "int or None"),
    ],
    ids=["bytes", "one origin", "text of a path", "text of a number", "text beside None"],
)
def test_settings_of_code_say_which_type_a_field_has(
    name: str, value: object, type_name: str
) -> None:
    """In one line: each letter of a text would be an origin."""
    with pytest.raises(TypeError, match=rf"\ASettings: {name}= is of .* give it as {type_name}\Z"):
        Settings(**{name: value})  # type: ignore[arg-type]


def test_a_profile_of_code_that_is_none_is_rejected() -> None:
    """`prod` would be no production, and would not fail."""
    with pytest.raises(SettingsError, match=r"\AITEMSAPI_PROFILE must be one of"):
        Settings(profile="prod", secret_key=SECRET)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["ITEMSAPI_SECRET_KEY", "ITEMSAPI_DATABASE_URL"])
def test_bytes_that_are_no_text_are_refused(name: str) -> None:
    """In one line: no secret, URL or path can be made of them."""
    environ = {"ITEMSAPI_SECRET_KEY": SECRET, name: f"\udcff{SECRET}"}
    with pytest.raises(SettingsError, match=f"^{name} has bytes that are no text in UTF-8$"):
        Settings.from_environment(environ)
