"""How pages speak HTTP: strict JSON in, fast JSON out, problems, versions, lists, headers.

Pages use `Blueprint`, `Schema` and `fields`; the application calls `install` first, and
`describe` when all pages are in.
"""

from itemsapi.rest import fields
from itemsapi.rest.blueprint import Blueprint
from itemsapi.rest.etags import etag
from itemsapi.rest.install import install
from itemsapi.rest.openapi.document import describe
from itemsapi.rest.paging import PageQuery, list_schema, whole
from itemsapi.rest.schema import Schema

__all__ = [
    "Blueprint",
    "PageQuery",
    "Schema",
    "describe",
    "etag",
    "fields",
    "install",
    "list_schema",
    "whole",
]
