"""fastapi-users: bearer transport and JWT strategy, as in its full example."""

import os
import uuid
from contextlib import asynccontextmanager

import uvicorn
from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

SECRET = os.urandom(32).hex()
engine = create_async_engine(f"sqlite+aiosqlite:///{os.environ['FOLDER']}/app.db")
new_session = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTableUUID, Base):
    pass


class UserCreate(schemas.BaseUserCreate):
    pass


class UserManager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    reset_password_token_secret = verification_token_secret = SECRET


async def user_database():
    async with new_session() as session:
        yield SQLAlchemyUserDatabase(session, User)


async def user_manager(database=Depends(user_database)):
    yield UserManager(database)


def strategy():
    return JWTStrategy(secret=SECRET, lifetime_seconds=int(os.environ["ACCESS_SECONDS"]))


backend = AuthenticationBackend("jwt", BearerTransport(tokenUrl="login"), strategy)
auth = FastAPIUsers[User, uuid.UUID](user_manager, [backend])


@asynccontextmanager
async def lifespan(_app):
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with new_session() as session:
        manager = UserManager(SQLAlchemyUserDatabase(session, User))
        for name in ("ada", "eve"):
            email, password = f"{name}@example.com", os.environ["PASSWORD"]
            user = UserCreate(email=email, password=password, is_superuser=name == "ada")
            await manager.create(user)
    yield


app = FastAPI(lifespan=lifespan)
app.include_router(auth.get_auth_router(backend))


@app.get("/orders")
async def orders(_user=Depends(auth.current_user(active=True, superuser=True))):
    return {"orders": []}


@app.get("/open")
async def open_to_all():
    return {"hello": "world"}


@app.get("/forgotten")
async def forgotten():
    return {"secret": 1}


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning")
