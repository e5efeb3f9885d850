"""The contract in short: addresses, names and answers as programs rely on them, written down.

If a change is meant, run this file with `ITEMSAPI_TEST_WRITE=1` to write the snapshot anew, and
tell of it in the changelog.
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
    """Tell each operation in a line, then each schema with its properties."""
    for path, operations in sorted(document["paths"].items()):
        for method in (method for method in METHODS if method in operations):
            yield " ".join((method.upper(), path, *told(operations[method], document)))
    for name, schema in sorted(document["components"]["schemas"].items()):
        required = set(schema.get("required", ()))
        properties = sorted(schema.get("properties", {}))
        yield f"{name}: " + " ".join(p if p in required else f"{p}?" for p in properties)


def told(operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    """Tell the name of an operation, what it takes and what it gives."""
    yield operation["operationId"]
    shared = document["components"].get("parameters", {})
    parameters = [
        shared.get(one.get("$ref", "")[24:], one) for one in operation.get("parameters", ())
    ]
    yield f"({', '.join(one['name'] for one in parameters)})"
    if "requestBody" in operation:
        yield f"<- {schema_name(operation['requestBody']['content'])}"
    good = [status for status in sorted(operation["responses"]) if status < "400"]
    for status in good:
        content = operation["responses"][status].get("content", {})
        yield f"-> {status} {schema_name(content) if content else ''}".strip()


def test_the_document_is_the_one_written_down(tmp_path: Path) -> None:
    """Names, fields and statuses that programs rely on do not change by accident."""
    app = create_app(Settings(data_dir=tmp_path, secret_key=SECRET))
    found = "\n".join(lines(json.loads(document_of(app).body))) + "\n"
    if os.environ.get("ITEMSAPI_TEST_WRITE"):
        SNAPSHOT.write_text(found, "utf-8")
    assert found == SNAPSHOT.read_text("utf-8")
