"""Pets, as the documentation of Flask-Smorest teaches."""

import uuid

import marshmallow as ma
from flask import Flask
from flask.views import MethodView
from flask_smorest import Api, Blueprint, abort


class PetSchema(ma.Schema):
    id = ma.fields.UUID(dump_only=True)
    name = ma.fields.String(required=True)
    age = ma.fields.Integer()


class PetQueryArgsSchema(ma.Schema):
    name = ma.fields.String()


class Store:
    """A model, with the functions that the documentation leaves out."""

    def __init__(self):
        self.pets = {}
        self.create({"name": "Whiskers"})

    def create(self, data):
        key = uuid.UUID(int=len(self.pets))
        self.pets[key] = {"id": key, **data}
        return self.pets[key]

    def get(self, key):
        if key not in self.pets:
            abort(404, message="Item not found.")
        return self.pets[key]


store = Store()
blp = Blueprint("pets", "pets", url_prefix="/pets", description="Operations on pets")


@blp.route("/")
class Pets(MethodView):
    @blp.arguments(PetQueryArgsSchema, location="query")
    @blp.response(200, PetSchema(many=True))
    @blp.paginate()
    def get(self, args, pagination_parameters):
        """List pets"""
        found = [pet for pet in store.pets.values() if args.get("name", pet["name"]) == pet["name"]]
        pagination_parameters.item_count = len(found)
        first = pagination_parameters.first_item
        return found[first : first + pagination_parameters.page_size]

    @blp.arguments(PetSchema)
    @blp.response(201, PetSchema)
    def post(self, new_data):
        """Add a new pet"""
        return store.create(new_data)


@blp.route("/<uuid:pet_id>")
class PetsById(MethodView):
    @blp.etag
    @blp.response(200, PetSchema)
    def get(self, pet_id):
        """Get pet by ID"""
        return store.get(pet_id)

    @blp.etag
    @blp.arguments(PetSchema)
    @blp.response(200, PetSchema)
    def put(self, update_data, pet_id):
        """Update existing pet"""
        pet = store.get(pet_id)
        blp.check_etag(pet, PetSchema)
        pet.update(update_data)
        return pet

    @blp.etag
    @blp.response(204)
    def delete(self, pet_id):
        """Delete pet"""
        pet = store.get(pet_id)
        blp.check_etag(pet, PetSchema)
        del store.pets[pet_id]


def create_app(**settings):
    store.__init__()
    app = Flask(__name__)
    app.config.update(
        API_TITLE="My API", API_VERSION="v1", OPENAPI_VERSION="3.0.2", OPENAPI_URL_PREFIX="/",
        OPENAPI_SWAGGER_UI_PATH="/swagger-ui", OPENAPI_SWAGGER_UI_URL="https://cdn.example/", **settings
    )
    api = Api(app)
    api.register_blueprint(blp)
    return app
