"""Flask-Security: token authentication, as in its quick start with SQLAlchemy."""

import os

from flask import Flask, jsonify
from flask_security import (
    Security,
    SQLAlchemyUserDatastore,
    auth_token_required,
    hash_password,
    permissions_required,
)
from flask_security.models import fsqla_v3 as fsqla
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config |= {
    "SECRET_KEY": os.urandom(32).hex(),
    "SECURITY_PASSWORD_SALT": "146585145368132386173505678016728509634",
    "SECURITY_TOKEN_MAX_AGE": int(os.environ["ACCESS_SECONDS"]),
    "SECURITY_EMAIL_VALIDATOR_ARGS": {"check_deliverability": False},
    "SQLALCHEMY_DATABASE_URI": "sqlite:///" + os.path.join(os.environ["FOLDER"], "app.db"),
    "WTF_CSRF_ENABLED": False,
}
db = SQLAlchemy(app)
fsqla.FsModels.set_db_info(db)


class Role(db.Model, fsqla.FsRoleMixin):
    pass


class User(db.Model, fsqla.FsUserMixin):
    pass


users = SQLAlchemyUserDatastore(db, User, Role)
app.security = Security(app, users)
with app.app_context():
    db.create_all()
    reader = users.create_role(name="reader", permissions={"orders:read"})
    for name, roles in (("ada", [reader]), ("eve", [])):
        password = hash_password(os.environ["PASSWORD"])
        users.create_user(email=f"{name}@example.com", password=password, roles=roles)
    db.session.commit()


@app.get("/orders")
@auth_token_required
@permissions_required("orders:read")
def orders():
    return jsonify(orders=[])


@app.get("/open")
def open_to_all():
    return jsonify(hello="world")


@app.get("/forgotten")
def forgotten():
    return jsonify(secret=1)


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]))
