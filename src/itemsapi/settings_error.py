"""The error of a setting, which names the setting as an operator writes it."""

from itemsapi.operator_error import OperatorError

ENV_PREFIX = "ITEMSAPI_"


class SettingsError(OperatorError, ValueError):
    """A setting is missing, wrong or unsafe; the message is the one line the operator sees."""


def setting_error(name: str, message: str) -> SettingsError:
    """Return the error of the setting of a field; `message` completes a sentence with its name."""
    return SettingsError(f"{ENV_PREFIX}{name.upper()} {message}")
