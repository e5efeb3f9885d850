"""The secret keys of the settings: what encrypts the signing keys, and signs refresh tokens.

While the secret is rotated there are two, the current and the previous one. Both are accepted; the
keys in the database tell which one is in use: new keys and refresh tokens are made with the secret
that encrypts them. So all processes change over at the same moment (docs/adr/0014).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from itemsapi.command_line import command_line
from itemsapi.secret_key import create_secret
from itemsapi.settings import Settings, SettingsError
from itemsapi.tokens.keys import Key, KeyEncryption, derive_key, symmetric_key


@dataclass(frozen=True, slots=True)
class SecretKey:
    """What is derived from one secret: the encryption at rest, and the key of refresh tokens."""

    encryption: KeyEncryption
    refresh_key: Key
    is_previous: bool = False


class SecretKeys:
    """The current secret, made at its first use in development, and the previous one."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings; read no file yet."""
        self._settings = settings

    @cached_property
    def current(self) -> SecretKey:
        """The current secret. Raise `SettingsError` if it is in no setting and in no file."""
        secret = self._settings.with_secrets().secret_key
        if not secret:
            words = f"there is no secret key in {self._settings.secret_file}"
            advice = "put back that of the keys in the database"
            revoke = command_line("secret revoke")
            raise SettingsError(f"{words}; {advice}, or, if it is lost, run {revoke}")
        return _derived(secret)

    @cached_property
    def previous(self) -> SecretKey | None:
        """The secret that was in use before the current one; None if there is none."""
        secret = self._settings.with_secrets().secret_key_previous
        return _derived(secret, is_previous=True) if secret else None

    def create_if_missing(self) -> None:
        """Make the file of the secret in development, for a database that has no keys yet.

        Raise `SettingsError` in production, and if the file cannot be written.
        """
        settings = self._settings
        if not settings.with_secrets().secret_key:
            create_secret(settings.secret_file)

    def decrypt(self, kid: str, alg: str, encrypted: str) -> tuple[Key, SecretKey]:
        """Return a key, and the secret that encrypts it. Raise `SettingsError` for another one."""
        if self.previous is not None:
            try:
                return self.previous.encryption.decrypt(kid, alg, encrypted), self.previous
            except SettingsError:
                pass  # the other one tells what is wrong
        return self.current.encryption.decrypt(kid, alg, encrypted), self.current

    def find_refresh_key(self, kid: str) -> Key | None:
        """Return the key that verifies refresh tokens with this `kid`: that of either secret."""
        for secret in filter(None, (self.current, self.previous)):
            if secret.refresh_key.kid == kid:
                return secret.refresh_key
        return None


def secret_in_use(secrets: Iterable[SecretKey]) -> SecretKey | None:
    """Return which of the secrets that encrypt keys is in use; None without keys.

    A rotation encrypts all keys again in one transaction: with one under the previous secret, it
    was not made yet.
    """
    return max(secrets, key=lambda secret: secret.is_previous, default=None)


def _derived(secret: str, *, is_previous: bool = False) -> SecretKey:
    refresh_key = symmetric_key(derive_key(secret, "refresh tokens"))
    return SecretKey(KeyEncryption(secret), refresh_key, is_previous)
