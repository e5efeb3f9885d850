"""Purge tables without the pauses."""

from itemsapi.issuer.retention import PurgeTarget, purge, purge_targets
from support.app_factory import Backend


def find_target(backend: Backend, name: str) -> PurgeTarget:
    """Return the purge target of this name."""
    return next(t for t in purge_targets(backend.services.issuer) if t.name == name)


def purge_without_pauses(backend: Backend, target: PurgeTarget) -> int:
    """Purge a target; return the number of deleted rows."""
    return purge(backend.services.issuer, target, pause=lambda _: None)
