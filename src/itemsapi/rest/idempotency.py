"""`Idempotency-Key` for views that create something: a request that is sent again creates it once.

Requests differ by caller, method, host, path and key; a key that comes again with another query or
body is rejected (422). `itemsapi.idempotency` has the table and how races end.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import flask
from marshmallow import validate

from itemsapi.db import Session
from itemsapi.gate.caller import current_caller
from itemsapi.gate.decorators import NEEDS_CALLER
from itemsapi.idempotency import IdempotentRequest, store_counted_key
from itemsapi.problems import KeyReused, QuotaExceeded
from itemsapi.rest import fields
from itemsapi.rest.async_views import synchronous
from itemsapi.rest.json_provider import dumps
from itemsapi.rest.request import JSON, MULTIPART, json_body, multipart_body, read_body
from itemsapi.rest.schema import Schema
from itemsapi.services import services
from itemsapi.wrapping import wraps

View = TypeVar("View", bound=Callable[..., object])
KEY = "itemsapi_idempotency_key"  # of the request object
PROBLEMS = (KeyReused, QuotaExceeded)


class IdempotencyHeaders(Schema):
    """The key that identifies a retry of the same request."""

    key = fields.String(
        data_key="Idempotency-Key",
        load_default=None,
        validate=validate.Regexp(
            r"^[!-+\--~]{1,128}\Z", error="Not 1 to 128 visible ASCII characters."
        ),
        metadata={
            "description": "Any random text. If no response arrives, repeat the request with the"
            " same key and body: for a day it returns what was created first."
        },
    )


def keep_key(view: View) -> View:
    """Keep the key for `repeated_id`; the view does not get the parsed headers."""
    call = synchronous(view)

    @wraps(view)
    def keep(*args: Any, **kwargs: Any) -> object:
        """Keep the key and run the view without the headers."""
        *others, headers = args
        setattr(flask.request, KEY, headers["key"])
        return call(*others, **kwargs)

    setattr(keep, NEEDS_CALLER, "@blueprint.idempotent")
    return cast("View", keep)


def idempotency_key() -> str | None:
    """Return the `Idempotency-Key` of this request, or None if it has none.

    Raise `RuntimeError` in a view without `@blueprint.idempotent`.
    """
    try:
        key: str | None = getattr(flask.request, KEY)
    except AttributeError:
        msg = "this view does not read the header Idempotency-Key; add @blueprint.idempotent"
        raise RuntimeError(msg) from None
    return key


def repeated_id(tx: Session, resource_id: str, *, content: object = None) -> str | None:
    """Return the id of the resource that an earlier request with this key created.

        @blueprint.post("/")
        @requires(NOTES_WRITE)
        @blueprint.idempotent
        @blueprint.arguments(NoteSchema())
        @blueprint.response(201, NoteSchema())
        def create_note(payload):
            note = Note(id=new_id(), **payload)
            with current_database().transaction() as tx:
                if first_id := repeated_id(tx, note.id):
                    return find_note(tx, first_id)
                tx.add(note)
            return note

    Return None if this is the first request with the key, or if it has none; then create the
    resource with `resource_id`, which is stored with the key. `tx` is the transaction that creates
    it: both are committed, or neither is. Of several concurrent requests one gets None, the others
    wait for its commit. `content` is what a repeated request must have in common with the first:
    JSON data, by default the query and the body. If something else tells your tenants apart, such
    as a header or a claim, it belongs there, too.

    Raise `KeyReused` if the earlier request had other content, `QuotaExceeded` if the caller has
    used too many keys within a day.
    """
    key = idempotency_key()
    if key is None:
        return None
    request = IdempotentRequest(current_caller().user_id, _operation(), key, _content(content))
    limit, now = services().settings.idempotency_key_limit, services().clock()
    stored_id = store_counted_key(tx, request, resource_id, now, max_keys=limit)
    return None if stored_id == resource_id else stored_id


def _operation() -> str:
    """Return what a key is valid for: the method, and the host and path as the client asked.

    An application may serve each of its tenants on a host or below a path, and take their names out
    of the arguments before the view. The scheme, a default port and the dot of a complete name do
    not count: a proxy may change them.
    """
    request = flask.request
    host = request.host.lower().removesuffix(":80").removesuffix(":443")
    host = host.removesuffix(".").replace(".:", ":")
    return f"{request.method} {host}{request.root_path}{request.path}"


def _content(content: object) -> str:
    if content is None:
        parts = [flask.request.query_string, *_body_parts()]
        content = [hashlib.sha256(part).hexdigest() for part in parts]
    return dumps(content, sort_keys=True).decode()


def _body_parts() -> Iterator[bytes]:
    """Yield what two bodies of equal content have in common.

    The spelling of JSON does not count, and neither does the boundary of a multipart body, which
    clients choose anew for each attempt.
    """
    request = flask.request
    yield request.mimetype.encode()
    if request.mimetype == JSON and read_body(request):
        yield dumps(json_body(request), sort_keys=True)
    elif request.mimetype == MULTIPART:
        body = multipart_body(request)
        yield dumps(body.form, sort_keys=True)
        for name, files in sorted(body.files.items()):
            for file in files:
                yield dumps([name, file.filename, file.mimetype])
                yield _bytes_of(file.stream)
    else:
        yield read_body(request)


def _bytes_of(stream: Any) -> bytes:  # noqa: ANN401 - Werkzeug's file has no narrower type
    """Return all bytes of an uploaded file, and leave it as it was."""
    position = stream.tell()
    stream.seek(0)
    content: bytes = stream.read()
    stream.seek(position)
    return content
