"""The HTTP layer of blueprints: strict JSON input, fast JSON output, problems, ETags, headers.

Blueprints use `Blueprint`, `Schema` and `fields`. `create_app` calls `install` before it puts the
layer on the application. The layer makes an `Api`, calls `describe` for its document, and then
registers its blueprints with it; `complete_documents` runs when the application is sealed.
"""

from itemsapi.rest import fields
from itemsapi.rest.api import Api, install
from itemsapi.rest.blueprint import Blueprint
from itemsapi.rest.default_headers import cors_of_application, documented_headers
from itemsapi.rest.idempotency import idempotency_key, repeated_id
from itemsapi.rest.openapi.document import describe, spec_options
from itemsapi.rest.openapi.host_documents import complete_documents
from itemsapi.rest.paging import PageQuery, list_schema, single_page
from itemsapi.rest.schema import Schema

__all__ = [
    "Api",
    "Blueprint",
    "PageQuery",
    "Schema",
    "complete_documents",
    "cors_of_application",
    "describe",
    "documented_headers",
    "fields",
    "idempotency_key",
    "install",
    "list_schema",
    "repeated_id",
    "single_page",
    "spec_options",
]
