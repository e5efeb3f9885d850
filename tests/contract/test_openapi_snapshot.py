"""A snapshot of the API contract: paths, names, statuses and schemas that programs rely on.

If a change is intended, run this file with `ITEMSAPI_TEST_WRITE=1` to write the snapshot again, and
describe the change in the changelog.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from itemsapi import create_app
from itemsapi.rest.openapi.document import document_of
from itemsapi.settings import Settings

SNAPSHOT = Path(__file__).with_name("openapi.txt")
SECRET = "t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz"
METHODS = ("get", "post", "put", "patch", "delete")


def schema_name(content: Mapping[str, Any]) -> str:
    """Return the name of the schema of a body, or its media type."""
    ((media, body),) = content.items() if len(content) == 1 else (("several", {}),)
    return str(body.get("schema", {}).get("$ref", media)).rpartition("/")[2]


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each operation, then a line for each schema with its properties."""
    for path, operations in sorted(document["paths"].items()):
        for method in (method for method in METHODS if method in operations):
            yield " ".join((method.upper(), path, *describe(operations[method], document)))
    for name, schema in sorted(document["components"]["schemas"].items()):
        required = set(schema.get("required", ()))
        properties = sorted(schema.get("properties", {}))
        yield f"{name}: " + " ".join(p if p in required else f"{p}?" for p in properties)


def describe(operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the id, the parameters, the request body and the responses of an operation."""
    yield operation["operationId"]
    shared = document["components"].get("parameters", {})
    parameters = [shared.get(p.get("$ref", "")[24:], p) for p in operation.get("parameters", ())]
    yield f"({', '.join(parameter['name'] for parameter in parameters)})"
    if "requestBody" in operation:
        yield f"<- {schema_name(operation['requestBody']['content'])}"
    successes = [status for status in sorted(operation["responses"]) if status < "400"]
    for status in successes:
        content = operation["responses"][status].get("content", {})
        yield f"-> {status} {schema_name(content) if content else ''}".strip()


def test_document_matches_the_snapshot(tmp_path: Path) -> None:
    """Names, fields and statuses that programs rely on do not change by accident."""
    app = create_app(Settings(data_dir=tmp_path, secret_key=SECRET))
    snapshot = "\n".join(lines(json.loads(document_of(app).body))) + "\n"
    if os.environ.get("ITEMSAPI_TEST_WRITE"):
        SNAPSHOT.write_text(snapshot, "utf-8")
    assert snapshot == SNAPSHOT.read_text("utf-8")
