"""Flask-Security: its token authentication, as in its quick start with SQLAlchemy."""

import os

from bench.dataset import PAGE, PASSWORD, rows_of, user_names
from flask import Flask, jsonify, request
from flask_security import (
    Security,
    SQLAlchemyUserDatastore,
    auth_token_required,
    current_user,
    hash_password,
)
from flask_security.models import fsqla_v3 as fsqla
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config |= {
    "SECRET_KEY": os.environ["BENCH_SECRET"],
    "SECURITY_PASSWORD_SALT": "146585145368132386173505678016728509634",
    "SECURITY_PASSWORD_HASH": "argon2",
    "SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS": {
        "argon2__time_cost": 2,
        "argon2__memory_cost": 19456,
        "argon2__parallelism": 1,
    },
    "SECURITY_TOKEN_AUTHENTICATION_HEADER": "Authorization",
    "SECURITY_EMAIL_VALIDATOR_ARGS": {"check_deliverability": False},
    "SQLALCHEMY_DATABASE_URI": os.environ["BENCH_DATABASE"].replace(
        "postgresql:", "postgresql+psycopg:"
    ),
    "WTF_CSRF_ENABLED": False,
}
db = SQLAlchemy(app)
fsqla.FsModels.set_db_info(db)


class Role(db.Model, fsqla.FsRoleMixin):
    pass


class User(db.Model, fsqla.FsUserMixin):
    pass


class Item(db.Model):
    id = db.Column(db.String(36), primary_key=True)
    owner_id = db.Column(db.ForeignKey("user.id"), nullable=False)
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

    def to_dict(self):
        fields = {column.name: getattr(self, column.name) for column in self.__table__.columns}
        moments = ("created_at", "updated_at")
        return fields | {name: fields[name].isoformat() + "Z" for name in moments}


users = SQLAlchemyUserDatastore(db, User, Role)
app.security = Security(app, users)


@app.get("/items")
@auth_token_required
def list_items():
    mine = Item.query.filter_by(owner_id=current_user.id)
    ordered = mine.order_by(Item.created_at.desc(), Item.id.desc())
    page = ordered.limit(PAGE).offset(request.args.get("offset", 0, int))
    return jsonify(items=[item.to_dict() for item in page])


@app.get("/items/<item_id>")
@auth_token_required
def show_item(item_id):
    item = Item.query.filter_by(id=item_id, owner_id=current_user.id).one_or_404()
    return jsonify(item.to_dict())


def fill():
    with app.app_context():
        db.create_all()
        password = hash_password(PASSWORD)
        for number, name in enumerate(user_names(int(os.environ["BENCH_USERS"]))):
            user = users.create_user(email=f"{name}@example.com", password=password)
            db.session.flush()
            rows = rows_of(number, int(os.environ["BENCH_ITEMS"]), user.id)
            db.session.execute(db.insert(Item), rows)
        db.session.commit()


if __name__ == "__main__":
    fill()
