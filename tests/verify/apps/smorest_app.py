"""Flask-Smorest with Flask-JWT-Extended, as their documentation teaches; one fault on demand.

python smorest_app.py PORT FAULT     FAULT: one of FAULTS, or "clean"
"""

import functools
import os
import sys
import uuid
from datetime import timedelta

from flask import Flask, request
from flask.views import MethodView
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    get_jwt,
    get_jwt_identity,
    jwt_required,
    verify_jwt_in_request,
)
from flask_smorest import Api, Blueprint, abort
from marshmallow import Schema, fields

FAULTS = (
    "open-route",
    "wrong-scope",
    "missing-401",
    "head-bypass",
    "foreign-object",
    "living-token",
    "query-token",
)
USERS = {"ada": "ada-password", "eve": "eve-password"}
SCOPES = ["pets:read", "pets:write"]
FAULT = sys.argv[-1]

app = Flask(__name__)
app.config.update(
    API_TITLE="Pets",
    API_VERSION="1",
    OPENAPI_VERSION="3.1.0",
    OPENAPI_URL_PREFIX="/",
    API_SPEC_OPTIONS={
        "components": {"securitySchemes": {"jwt": {"type": "http", "scheme": "bearer"}}}
    },
    JWT_SECRET_KEY="a secret of the test that is long enough",
    JWT_TOKEN_LOCATION=["headers", "query_string"] if FAULT == "query-token" else ["headers"],
    JWT_QUERY_STRING_NAME="access_token",
)
jwt = JWTManager(app)
BLOCKLIST: set[str] = set()
PETS: dict[str, dict[str, str]] = {}


@jwt.token_in_blocklist_loader
def is_revoked(header: dict, payload: dict) -> bool:
    """Tell whether a token signed out."""
    return FAULT != "living-token" and payload["jti"] in BLOCKLIST


def scope_required(scope: str):
    """Demand a token with a scope."""

    def decorate(view):
        @functools.wraps(view)
        def checked(*args, **kwargs):
            if FAULT == "head-bypass" and request.method == "HEAD":
                return view(*args, **kwargs)
            verify_jwt_in_request()
            if scope not in get_jwt().get("scope", "").split():
                abort(403)
            return view(*args, **kwargs)

        return checked

    return decorate


def documented(scope: str | None, *, complete: bool = True):
    """Describe who may call an operation."""
    responses = {"403": {"description": "No right"}} if scope else {}
    if complete:
        responses["401"] = {"description": "No token"}
    return {"security": [{"jwt": [scope] if scope else []}], "responses": responses}


class Credentials(Schema):
    username = fields.String(required=True)
    password = fields.String(required=True)


class Pet(Schema):
    id = fields.String(dump_only=True)
    name = fields.String(required=True)


auth = Blueprint("auth", __name__)
pets = Blueprint("pets", __name__, url_prefix="/pets")


@auth.post("/login")
@auth.arguments(Credentials)
def log_in(credentials):
    """Sign in."""
    name = credentials["username"]
    if USERS.get(name) != credentials["password"]:
        abort(401)
    claims = {"scope": " ".join(SCOPES)}
    return {
        "access_token": create_access_token(name, additional_claims=claims),
        "refresh_token": create_refresh_token(name, additional_claims=claims),
    }


@auth.delete("/logout")
@auth.doc(**documented(None))
@jwt_required()
def log_out():
    """Sign out."""
    BLOCKLIST.add(get_jwt()["jti"])
    return {"signed_out": True}


@auth.get("/health")
def show_health():
    """Tell that the service is up."""
    return {"up": True}


READ = "pets:write" if FAULT == "wrong-scope" else "pets:read"


@pets.route("/")
class Pets(MethodView):
    @pets.doc(**documented("pets:read", complete=FAULT != "missing-401"))
    @scope_required(READ)
    @pets.response(200, Pet(many=True))
    def get(self):
        """List your pets."""
        return [pet for pet in PETS.values() if pet["owner"] == get_jwt_identity()]

    @pets.doc(**documented("pets:write"))
    @scope_required("pets:write")
    @pets.arguments(Pet)
    @pets.response(201, Pet)
    def post(self, pet):
        """Create a pet."""
        number = str(uuid.uuid4())
        PETS[number] = {"id": number, "owner": get_jwt_identity(), **pet}
        return PETS[number]


def owned(number: str) -> dict[str, str]:
    """Return a pet of the caller."""
    pet = PETS.get(number)
    if pet is None or (FAULT != "foreign-object" and pet["owner"] != get_jwt_identity()):
        abort(404)
    return pet


@pets.route("/<pet_id>")
class OnePet(MethodView):
    @pets.doc(**documented("pets:read"))
    @scope_required("pets:read")
    @pets.response(200, Pet)
    def get(self, pet_id):
        """Show a pet."""
        return owned(pet_id)

    def delete_if_there(self, pet_id):
        PETS.pop(pet_id, None)

    @pets.doc(**documented("pets:write"))
    @pets.response(204)
    def delete(self, pet_id):
        """Delete a pet."""
        if FAULT != "open-route":
            scope_required("pets:write")(lambda: owned(pet_id))()
        self.delete_if_there(pet_id)


api = Api(app)
api.register_blueprint(auth)
api.register_blueprint(pets)


if __name__ == "__main__":
    app.run(port=int(sys.argv[1]), threaded=True)
