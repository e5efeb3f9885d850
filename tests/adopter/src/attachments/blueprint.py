"""Attachments: upload, list, download, rename and delete files of one's own."""

from collections.abc import Iterator
from typing import Any

from flask import Response, url_for
from marshmallow.validate import Length
from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from attachments.models import Attachment
from attachments.problems import FileTypeRefused
from itemsapi import (
    Blueprint,
    NotFound,
    PageQuery,
    Schema,
    Scope,
    current_caller,
    current_database,
    current_time,
    cut_page,
    documented_headers,
    fields,
    list_schema,
    new_id,
    repeated_id,
    requires,
)

MAX_UPLOAD_BYTES = 4 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
MEDIA_TYPES = {"application/pdf", "image/png", "text/plain"}

READ = Scope("attachments:read", "See your attachments")
WRITE = Scope("attachments:write", "Upload, rename and delete your attachments")

blueprint = Blueprint("attachments", __name__, url_prefix="/attachments")


class Upload(Schema):
    """The file."""

    file = fields.Upload(required=True)


class Description(Schema):
    """What an attachment is called."""

    name = fields.String(required=True, validate=Length(1, 200))


class AttachmentSchema(Description):
    """An attachment."""

    id = fields.Id(dump_only=True)
    media_type = fields.String(dump_only=True)
    size = fields.Integer(dump_only=True)
    created_at = fields.DateTime(dump_only=True)


@blueprint.post("/")
@requires(WRITE)
@blueprint.idempotent
@blueprint.arguments(Description(), location="form")
@blueprint.arguments(Upload(), location="files", max_body=MAX_UPLOAD_BYTES)
@blueprint.etag
@blueprint.response(201, AttachmentSchema(), headers=documented_headers("Location"))
@blueprint.alt_response(FileTypeRefused)
def upload_attachment(description: dict[str, Any], files: dict[str, Any]) -> object:
    """Upload a file."""
    file = files["file"]
    if file.mimetype not in MEDIA_TYPES:
        raise FileTypeRefused
    content = file.read()
    attachment = Attachment(
        id=new_id(),
        owner_id=current_caller().user_id,
        name=description["name"],
        media_type=file.mimetype,
        size=len(content),
        created_at=current_time(),
        version=1,
        content=content,
    )
    with current_database().transaction() as tx:
        if first_id := repeated_id(tx, attachment.id):
            attachment = _find(tx, first_id)
        else:
            tx.add(attachment)
    blueprint.set_etag(attachment.version)
    return attachment, {"Location": url_for(".show_attachment", attachment_id=attachment.id)}


@blueprint.get("/")
@requires(READ)
@blueprint.arguments(PageQuery(), location="query")
@blueprint.response(200, list_schema(AttachmentSchema(), "Attachments"))
def list_attachments(query: dict[str, Any]) -> object:
    """List your attachments, the oldest first."""
    owner, after = current_caller().user_id, query["cursor"] or ""
    mine = select(Attachment).where(Attachment.owner_id == owner, Attachment.id > after)
    with current_database().transaction() as tx:
        rows = tx.scalars(mine.order_by(Attachment.id).limit(query["limit"] + 1)).all()
    return cut_page(rows, query["limit"], cursor_after=lambda row: row.id)


@blueprint.get("/<id:attachment_id>")
@requires(READ)
@blueprint.etag
@blueprint.response(200, AttachmentSchema())
@blueprint.alt_response(NotFound)
def show_attachment(attachment_id: str) -> Attachment:
    """Show an attachment."""
    with current_database().transaction() as tx:
        attachment = _find(tx, attachment_id)
    blueprint.set_etag(attachment.version)
    return attachment


@blueprint.get("/<id:attachment_id>/content")
@requires(READ)
@blueprint.response(
    200, {"type": "string", "format": "binary"}, content_type="application/octet-stream"
)
@blueprint.alt_response(NotFound)
def download_attachment(attachment_id: str) -> Response:
    """Download the file."""
    statement = select(Attachment.content).where(*_is_mine(attachment_id))
    with current_database().reading() as connection:
        content = connection.scalar(statement)
    if content is None:
        raise NotFound
    return Response(_chunks(content), content_type="application/octet-stream")


@blueprint.patch("/<id:attachment_id>")
@requires(WRITE)
@blueprint.arguments(Description())
@blueprint.etag
@blueprint.response(200, AttachmentSchema())
@blueprint.alt_response(NotFound)
def rename_attachment(payload: dict[str, Any], attachment_id: str) -> Attachment:
    """Rename an attachment."""
    with current_database().transaction() as tx:
        attachment = _find(tx, attachment_id)
        blueprint.if_match().check(attachment.version)
        attachment.name = payload["name"]
        attachment.version += 1
    blueprint.set_etag(attachment.version)
    return attachment


@blueprint.delete("/<id:attachment_id>")
@requires(WRITE)
@blueprint.response(204)
@blueprint.alt_response(NotFound)
def delete_attachment(attachment_id: str) -> None:
    """Delete an attachment."""
    statement = delete(Attachment).where(*_is_mine(attachment_id)).returning(Attachment.id)
    with current_database().transaction() as tx:
        if tx.scalar(statement) is None:
            raise NotFound


def _chunks(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), CHUNK_BYTES):
        yield content[start : start + CHUNK_BYTES]


def _is_mine(attachment_id: str) -> tuple[ColumnElement[bool], ...]:
    return Attachment.id == attachment_id, Attachment.owner_id == current_caller().user_id


def _find(tx: Session, attachment_id: str) -> Attachment:
    """Return an attachment of the caller, locked until the end of the transaction."""
    statement = select(Attachment).where(*_is_mine(attachment_id)).with_for_update()
    attachment = tx.scalars(statement).one_or_none()
    if attachment is None:
        raise NotFound
    return attachment
