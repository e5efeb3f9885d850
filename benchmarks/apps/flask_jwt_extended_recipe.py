"""Flask-Smorest and Flask-JWT-Extended, put together from the pages of their documentation."""

import os
from datetime import UTC, datetime

import marshmallow as ma
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from bench.dataset import PASSWORD, rows_of, user_names
from flask import Flask, abort
from flask.views import MethodView
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    get_jwt_identity,
    jwt_required,
)
from flask_smorest import Api, Blueprint, Page
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config |= {
    "API_TITLE": "Items",
    "API_VERSION": "v1",
    "OPENAPI_VERSION": "3.0.3",
    "JWT_SECRET_KEY": os.environ["BENCH_SECRET"],
    "JWT_ACCESS_TOKEN_EXPIRES": 3600,
    "SQLALCHEMY_DATABASE_URI": os.environ["BENCH_DATABASE"].replace(
        "postgresql:", "postgresql+psycopg:"
    ),
}
db = SQLAlchemy(app)
api = Api(app)
jwt = JWTManager(app)
hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
blp = Blueprint("items", "items")


class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    username = db.Column(db.String(80), unique=True, nullable=False)
    password_hash = db.Column(db.Text, nullable=False)


class Item(db.Model):
    id = db.Column(db.String(36), primary_key=True)
    owner_id = db.Column(db.ForeignKey(User.id), nullable=False)
    name = db.Column(db.String(200), nullable=False)
    description = db.Column(db.Text, nullable=False)
    sku = db.Column(db.String(64))
    price = db.Column(db.String(20), nullable=False)
    currency = db.Column(db.String(3), nullable=False)
    quantity = db.Column(db.Integer, nullable=False)
    tags = db.Column(db.JSON, nullable=False)
    created_at = db.Column(db.DateTime, nullable=False)
    updated_at = db.Column(db.DateTime, nullable=False)
    __table_args__ = (db.Index("item_by_owner", "owner_id", "created_at", "id"),)


class TokenBlocklist(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    jti = db.Column(db.String(36), nullable=False, index=True)
    created_at = db.Column(db.DateTime, nullable=False)


@jwt.token_in_blocklist_loader
def check_if_token_revoked(_header, payload):
    token = db.session.query(TokenBlocklist.id).filter_by(jti=payload["jti"]).scalar()
    return token is not None


class LoginSchema(ma.Schema):
    username = ma.fields.String(required=True)
    password = ma.fields.String(required=True)


class ItemSchema(ma.Schema):
    id = ma.fields.UUID()
    owner_id = ma.fields.Integer()
    name = ma.fields.String()
    description = ma.fields.String()
    sku = ma.fields.String()
    price = ma.fields.String()
    currency = ma.fields.String()
    quantity = ma.fields.Integer()
    tags = ma.fields.List(ma.fields.String())
    created_at = ma.fields.DateTime()
    updated_at = ma.fields.DateTime()


class SQLCursorPage(Page):
    @property
    def item_count(self):
        return self.collection.count()


@blp.route("/login")
class Login(MethodView):
    @blp.arguments(LoginSchema)
    def post(self, data):
        user = User.query.filter_by(username=data["username"]).one_or_none()
        try:
            hasher.verify(user.password_hash, data["password"])
        except (AttributeError, VerifyMismatchError):
            abort(401)
        identity = str(user.id)
        access, refresh = create_access_token(identity), create_refresh_token(identity)
        return {"access_token": access, "refresh_token": refresh}


@blp.route("/refresh")
class Refresh(MethodView):
    @jwt_required(refresh=True)
    def post(self):
        return {"access_token": create_access_token(get_jwt_identity())}


@blp.route("/items")
class Items(MethodView):
    @jwt_required()
    @blp.response(200, ItemSchema(many=True))
    @blp.paginate(SQLCursorPage)
    def get(self):
        mine = Item.query.filter_by(owner_id=int(get_jwt_identity()))
        return mine.order_by(Item.created_at.desc(), Item.id.desc())


@blp.route("/items/<item_id>")
class ItemById(MethodView):
    @jwt_required()
    @blp.response(200, ItemSchema)
    def get(self, item_id):
        owner = int(get_jwt_identity())
        return Item.query.filter_by(id=item_id, owner_id=owner).one_or_none() or abort(404)


api.register_blueprint(blp)


def fill():
    password_hash = hasher.hash(PASSWORD)
    with app.app_context():
        db.create_all()
        db.session.add(TokenBlocklist(jti="revoked", created_at=datetime.now(UTC)))
        for number, name in enumerate(user_names(int(os.environ["BENCH_USERS"]))):
            db.session.add(User(id=number, username=name, password_hash=password_hash))
            db.session.flush()
            rows = rows_of(number, int(os.environ["BENCH_ITEMS"]), number)
            db.session.execute(db.insert(Item), rows)
        db.session.commit()


if __name__ == "__main__":
    fill()
