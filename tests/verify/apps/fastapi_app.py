"""FastAPI with fastapi-users (database tokens on SQLite); one fault on demand.

    python fastapi_app.py PORT FAULT     FAULT: one of FAULTS, or "clean"

The database is the file `fastapi.db` of the current folder.
"""

import asyncio
import os
import secrets
import sys
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Response, Security
from fastapi.security import SecurityScopes
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users_db_sqlalchemy.access_token import (
    SQLAlchemyAccessTokenDatabase,
    SQLAlchemyBaseAccessTokenTableUUID,
)
from pydantic import BaseModel
from sqlalchemy import String, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

FAULTS = (
    "open-route",
    "wrong-scope",
    "missing-401",
    "head-bypass",
    "foreign-object",
    "living-token",
    "expired-token",
)
FAULT = sys.argv[-1]
LIFETIME_SECONDS = 600
PEOPLE = {"ada": "ada@example.com", "eve": "eve@example.com"}


class Base(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTableUUID, Base):
    pass


class AccessToken(SQLAlchemyBaseAccessTokenTableUUID, Base):
    scopes: Mapped[str] = mapped_column(String(200), default="notes:read notes:write")


class NoteRow(Base):
    __tablename__ = "note"
    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    text: Mapped[str]


engine = create_async_engine("sqlite+aiosqlite:///fastapi.db")
sessions = async_sessionmaker(engine, expire_on_commit=False)


async def database():
    async with sessions() as session:
        yield session


Database = Annotated[AsyncSession, Depends(database)]


async def user_database(session: Database):
    yield SQLAlchemyUserDatabase(session, User)


async def token_database(session: Database):
    yield SQLAlchemyAccessTokenDatabase(session, AccessToken)


class UserManager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    reset_password_token_secret = verification_token_secret = "a secret of the test"


async def user_manager(users=Depends(user_database)):
    yield UserManager(users)


class LivingTokens(DatabaseStrategy):
    async def destroy_token(self, token, user):
        """Forget to end the token."""


def strategy(tokens=Depends(token_database)):
    kind = LivingTokens if FAULT == "living-token" else DatabaseStrategy
    return kind(tokens, lifetime_seconds=None if FAULT == "expired-token" else LIFETIME_SECONDS)


transport = BearerTransport(tokenUrl="auth/login")
backend = AuthenticationBackend(name="database", transport=transport, get_strategy=strategy)
users = FastAPIUsers[User, uuid.UUID](user_manager, [backend])
signed_in = users.authenticator.current_user_token(active=True)


async def caller(scopes: SecurityScopes, session: Database, user_token=Depends(signed_in)):
    """Return the user, if the token has the scopes of the operation."""
    user, token = user_token
    row = await session.get(AccessToken, token)
    needed = {
        "notes:write" if FAULT == "wrong-scope" and s == "notes:read" else s for s in scopes.scopes
    }
    if not needed <= set(row.scopes.split()):
        raise HTTPException(403)
    return user


Reader = Annotated[User, Security(caller, scopes=["notes:read"])]
Writer = Annotated[User, Security(caller, scopes=["notes:write"])]
REFUSALS = {401: {"description": "No token"}, 403: {"description": "No right"}}
NO_REFUSALS = {403: {"description": "No right"}} if FAULT == "missing-401" else REFUSALS


class NoteIn(BaseModel):
    text: str = "Buy milk"


class Note(NoteIn):
    id: str


@asynccontextmanager
async def lifespan(app: FastAPI):
    """Create the tables and both users."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with sessions() as session:
        manager = UserManager(SQLAlchemyUserDatabase(session, User))
        for name, email in PEOPLE.items():
            await manager.create(schemas.BaseUserCreate(email=email, password=f"{name}-password"))
    yield


app = FastAPI(lifespan=lifespan)
app.include_router(users.get_auth_router(backend), prefix="/auth")


@app.get("/notes", responses=NO_REFUSALS)
async def list_notes(user: Reader, session: Database) -> list[Note]:
    found = await session.scalars(select(NoteRow).where(NoteRow.owner == str(user.id)))
    return [Note(id=row.id, text=row.text) for row in found]


if FAULT == "head-bypass":

    @app.head("/notes", include_in_schema=False)
    async def count_notes(session: Database) -> Response:
        found = await session.scalars(select(NoteRow))
        return Response(headers={"X-Count": str(len(list(found)))})


@app.post("/notes", status_code=201, responses=REFUSALS)
async def create_note(note: NoteIn, user: Writer, session: Database) -> Note:
    row = NoteRow(id=str(uuid.uuid4()), owner=str(user.id), text=note.text)
    session.add(row)
    await session.commit()
    return Note(id=row.id, text=row.text)


async def owned(note_id: str, user: User, session: AsyncSession) -> NoteRow:
    row = await session.get(NoteRow, note_id)
    if row is None or (FAULT != "foreign-object" and row.owner != str(user.id)):
        raise HTTPException(404)
    return row


@app.get("/notes/{note_id}", responses=REFUSALS)
async def show_note(note_id: str, user: Reader, session: Database) -> Note:
    row = await owned(note_id, user, session)
    return Note(id=row.id, text=row.text)


@app.put("/notes/{note_id}", responses=REFUSALS)
async def change_note(note_id: str, note: NoteIn, user: Writer, session: Database) -> Note:
    row = await owned(note_id, user, session)
    row.text = note.text
    await session.commit()
    return Note(id=row.id, text=row.text)


async def erase(note_id: str, session: AsyncSession) -> None:
    row = await session.get(NoteRow, note_id)
    if row is not None:
        await session.delete(row)
        await session.commit()


if FAULT == "open-route":
    # The document still says that a token is needed: somebody wrote it there by hand.
    OPEN = {"security": [{"OAuth2PasswordBearer": ["notes:write"]}]}

    @app.delete("/notes/{note_id}", status_code=204, responses=REFUSALS, openapi_extra=OPEN)
    async def delete_any_note(note_id: str, session: Database) -> None:
        await erase(note_id, session)

else:

    @app.delete("/notes/{note_id}", status_code=204, responses=REFUSALS)
    async def delete_note(note_id: str, user: Writer, session: Database) -> None:
        await owned(note_id, user, session)
        await erase(note_id, session)


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
