"""Why a run cannot start or go on; each error says in one line what to do next."""


class CannotVerify(Exception):
    """The run cannot start or go on: the settings, the document or the service do not allow it."""
