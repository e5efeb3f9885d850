"""What goes in and out as JSON: marshmallow schemas that take nothing they do not know."""

# ruff: noqa: ANN401 - the signatures are marshmallow's

from collections.abc import Mapping
from typing import Any, ClassVar

import marshmallow
from marshmallow import RAISE


class Schema(marshmallow.Schema):
    """The base of our schemas: unknown fields are refused, values are read by plain `getattr`.

    In the document every field of an answer is required and none is sent beside them; one that may
    be missing says so with `metadata={"optional": True}`. A partial schema is named `...Patch`.
    """

    class Meta:
        """How every schema behaves."""

        unknown: ClassVar[str] = RAISE

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Read one value; marshmallow's own way raises and catches once per field of a row."""
        if isinstance(obj, Mapping):
            return obj.get(attr, default)
        return getattr(obj, attr, default)
