"""An application of somebody else with our layer around it; one fault on demand.

    python host_app.py PORT FAULT     FAULT: "wrong-scope", "clean", or "operators"

Flask-Smorest writes its document in OpenAPI 3.0.3, and the layer has a document of its own at
`/api/openapi.json`. The users are the application's, except with "operators", which are for users
of the layer. The database is in the current folder.
"""

import json
import sys
import uuid
from pathlib import Path
from typing import Any

import flask_smorest
from flask import Flask, Response, request
from flask.views import MethodView
from marshmallow import Schema, fields
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from werkzeug.security import generate_password_hash
from werkzeug.serving import make_server

from itemsapi import AuthLayer, Scope, SqlUsers, current_caller, public, requires, signed_in
from itemsapi.accounts.models import COMMAND_LINE
from itemsapi.db import upgrade
from itemsapi.composition import Services

PASSWORD = "plain horse battery staple"
SECRET = "t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz"
NAMES = ("ada", "eve")
READ, WRITE = Scope("pets:read", "See your pets"), Scope("pets:write", "Change your pets")
PETS: dict[str, dict[str, str]] = {}


class Base(DeclarativeBase):
    """The application's tables."""


class User(Base):
    """A user of the application."""

    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]


class Pet(Schema):
    """A pet, as clients see it."""

    id = fields.String(dump_only=True)
    name = fields.String(required=True)


pets: Any = flask_smorest.Blueprint("pets", __name__, url_prefix="/pets")


@pets.route("/")
class Pets(MethodView):
    """All pets of the caller."""

    @requires(READ)
    @pets.response(200, Pet(many=True))
    def get(self) -> object:
        """List your pets."""
        return [pet for pet in PETS.values() if pet["owner"] == current_caller().user_id]

    @requires(WRITE)
    @pets.arguments(Pet)
    @pets.response(201, Pet)
    def post(self, pet: dict[str, str]) -> object:
        """Create a pet."""
        number = str(uuid.uuid4())
        PETS[number] = {"id": number, "owner": current_caller().user_id, **pet}
        return PETS[number]


@pets.route("/<pet_id>")
class OnePet(MethodView):
    """A pet of the caller."""

    @requires(READ)
    @pets.response(200, Pet)
    def get(self, pet_id: str) -> object:
        """Show a pet."""
        pet = PETS.get(pet_id)
        if pet is None or pet["owner"] != current_caller().user_id:
            flask_smorest.abort(404)
        return pet


@pets.get("/count")
@signed_in
def count_pets() -> dict[str, int]:
    """Count your pets."""
    return {"count": sum(pet["owner"] == current_caller().user_id for pet in PETS.values())}


def with_wrong_scope(response: Response) -> Response:
    """Return the document with another scope than the gate demands."""
    if request.path == "/openapi.json":
        document = json.loads(response.get_data())
        document["paths"]["/pets/"]["get"]["x-access"] = "pets:write"
        response.set_data(json.dumps(document))
    return response


def people() -> SqlUsers:
    """Create the table of the application's users, and return how the layer reads it."""
    engine = create_engine(f"sqlite:///{Path.cwd() / 'people.db'}")
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        hashed = generate_password_hash(PASSWORD, "pbkdf2:sha256:1000")
        session.add_all(User(email=name, password_hash=hashed) for name in NAMES)
    return SqlUsers(sessionmaker(engine), User, username="email", scopes=lambda _: [READ, WRITE])


def create(fault: str) -> Flask:
    """Return the application with the layer under `/api`."""
    app = Flask(__name__, static_folder=None)
    app.config |= {
        "API_TITLE": "Pets",
        "API_VERSION": "1",
        "OPENAPI_VERSION": "3.0.3",
        "OPENAPI_URL_PREFIX": "/",
        "ITEMSAPI_DATA_DIR": str(Path.cwd()),
        "ITEMSAPI_SECRET_KEY": SECRET,
        "ITEMSAPI_RATE_LIMIT": "off",
    }
    flask_smorest.Api(app).register_blueprint(pets)
    options: dict[str, Any] = {"users": people(), "include": ["api_keys", "docs"]}
    if fault == "operators":
        options = {"include": ["api_keys", "docs", "operators"]}
    auth = AuthLayer(
        app, url_prefix="/api", rules={"api-docs.*": public("the document")}, **options
    )
    auth.seal(app)
    services: Services = app.extensions["itemsapi"]
    upgrade(services.database)
    if fault == "operators":
        for name in NAMES:
            services.users.create(COMMAND_LINE, name, PASSWORD, ["admin"])
    return app


def main(port: int, fault: str) -> None:
    """Serve the application."""
    app = create(fault)
    if fault == "wrong-scope":
        app.after_request(with_wrong_scope)
    make_server("127.0.0.1", port, app, threaded=True).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
