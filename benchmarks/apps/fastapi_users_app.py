"""fastapi-users: bearer transport and JWT strategy, as in its full example."""

import asyncio
import os
import uuid
from datetime import datetime
from typing import Annotated

from bench.dataset import PAGE, PASSWORD, rows_of, user_names
from fastapi import Depends, FastAPI, HTTPException
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users.password import PasswordHelper
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import BaseModel, ConfigDict
from sqlalchemy import JSON, ForeignKey, Index, insert, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SECRET = os.environ["BENCH_SECRET"]
DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
dialect, _, place = os.environ["BENCH_DATABASE"].partition(":")
engine = create_async_engine(f"{DRIVERS[dialect]}:{place}")
new_session = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
argon2 = Argon2Hasher(time_cost=2, memory_cost=19456, parallelism=1)
passwords = PasswordHelper(PasswordHash((argon2,)))


class Base(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTableUUID, Base):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("user.id"))
    name: Mapped[str]
    description: Mapped[str]
    sku: Mapped[str | None]
    price: Mapped[str]
    currency: Mapped[str]
    quantity: Mapped[int]
    tags: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    __table_args__ = (Index("item_by_owner", "owner_id", "created_at", "id"),)


class ItemRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: uuid.UUID
    owner_id: uuid.UUID
    name: str
    description: str
    sku: str | None
    price: str
    currency: str
    quantity: int
    tags: list[str]
    created_at: datetime
    updated_at: datetime


async def session():
    async with new_session() as made:
        yield made


Session = Annotated[AsyncSession, Depends(session)]


class UserManager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    reset_password_token_secret = verification_token_secret = SECRET


async def user_manager(made: Session):
    yield UserManager(SQLAlchemyUserDatabase(made, User), passwords)


def strategy():
    return JWTStrategy(secret=SECRET, lifetime_seconds=3600)


backend = AuthenticationBackend("jwt", BearerTransport(tokenUrl="login"), strategy)
auth = FastAPIUsers[User, uuid.UUID](user_manager, [backend])
CurrentUser = Annotated[User, Depends(auth.current_user(active=True))]
app = FastAPI()
app.include_router(auth.get_auth_router(backend))


@app.get("/items", response_model=list[ItemRead])
async def list_items(user: CurrentUser, made: Session, offset: int = 0):
    mine = select(Item).where(Item.owner_id == user.id)
    ordered = mine.order_by(Item.created_at.desc(), Item.id.desc())
    return (await made.scalars(ordered.limit(PAGE).offset(offset))).all()


@app.get("/items/{item_id}", response_model=ItemRead)
async def show_item(item_id: uuid.UUID, user: CurrentUser, made: Session):
    found = select(Item).where(Item.id == str(item_id), Item.owner_id == user.id)
    item = (await made.scalars(found)).one_or_none()
    if item is None:
        raise HTTPException(404)
    return item


async def fill():
    password = passwords.hash(PASSWORD)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with new_session() as made:
        for number, name in enumerate(user_names(int(os.environ["BENCH_USERS"]))):
            user = User(email=f"{name}@example.com", hashed_password=password)
            made.add(user)
            await made.flush()
            rows = rows_of(number, int(os.environ["BENCH_ITEMS"]), user.id)
            rows = [
                row | {k: row[k].replace(tzinfo=None) for k in ("created_at", "updated_at")}
                for row in rows
            ]
            await made.execute(insert(Item), rows)
        await made.commit()
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(fill())
