"""The parameters of `paginate`, as strict as those of `arguments`."""

# ruff: noqa: ANN401 - the signatures are Flask-Smorest's

import functools
from typing import Any

from flask_smorest.pagination import PaginationMixin
from marshmallow import Schema
from marshmallow.validate import Range

from itemsapi.rest import fields
from itemsapi.rest.parser import StrictParser

MAX_NUMBER = 2**31 - 1  # the product of two such numbers, an OFFSET, has less than 64 bits


@functools.cache
def strict_pages(schema: type[Schema]) -> Schema:
    """Return Flask-Smorest's schema of `page` and `page_size` with strict integers."""
    integers = {
        name: fields.Integer(
            load_default=field.load_default,
            validate=[*field.validators, Range(max=MAX_NUMBER)],
        )
        for name, field in schema().fields.items()
    }
    strict: type[Schema] = type(schema.__name__, (schema,), dict(integers))
    return strict()


class PageParser(StrictParser):
    """Parses the parameters of `paginate`."""

    def parse(self, argmap: Any, *args: Any, **options: Any) -> Any:
        """Parse the query with the strict schema."""
        return super().parse(strict_pages(argmap), *args, **options)


class Pages(PaginationMixin):  # type: ignore[misc]  # Flask-Smorest has no types
    """The page numbers of a blueprint."""

    PAGINATION_ARGUMENTS_PARSER = PageParser()

    def _prepare_pagination_doc(self, doc: Any, doc_info: Any, **kwargs: Any) -> Any:
        """Document the strict schema."""
        if pagination := doc_info.get("pagination"):
            parameters = pagination["parameters"]
            parameters["schema"] = strict_pages(parameters["schema"])
        return super()._prepare_pagination_doc(doc, doc_info, **kwargs)
