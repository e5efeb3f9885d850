"""The log records of a test, whatever handlers the process has."""

import logging


class LogRecords(logging.Handler):
    """Keeps the records of the layer, whoever else writes them."""

    def __init__(self) -> None:
        """Start without records."""
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)

    def lines(self) -> list[str]:
        """Return the messages, each with its traceback."""
        return [f"{one.getMessage()} {one.exc_text or ''}" for one in self.records]
