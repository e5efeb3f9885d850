"""flask-headless-auth: `AuthSvc(app)`, as in its README; tokens in the body, for an API."""

import os

from flask import Flask, jsonify
from flask_headless_auth import AuthSvc, permission_required
from flask_jwt_extended import jwt_required

app = Flask(__name__)
app.config |= {
    "SECRET_KEY": os.urandom(32).hex(),
    "JWT_SECRET_KEY": os.urandom(32).hex(),
    "JWT_ACCESS_TOKEN_EXPIRES": int(os.environ["ACCESS_SECONDS"]),
    "AUTHSVC_TOKEN_DELIVERY": "body_only",
    "SQLALCHEMY_DATABASE_URI": "sqlite:///" + os.path.join(os.environ["FOLDER"], "app.db"),
}
auth = AuthSvc(app)


@app.get("/orders")
@jwt_required()
@permission_required("orders.read")
def orders():
    return jsonify(orders=[])


@app.get("/open")
def open_to_all():
    return jsonify(hello="world")


@app.get("/forgotten")
def forgotten():
    return jsonify(secret=1)


with app.app_context():
    auth.db.create_all()
    read = auth.permission_model(name="orders.read", resource="orders", action="read")
    reader = auth.role_model(name="reader", permissions=[read])
    auth.db.session.add(reader)
    auth.db.session.commit()
    for name in ("ada", "eve"):
        account = {"email": f"{name}@example.com", "password": os.environ["PASSWORD"]}
        app.test_client().post("/api/auth/register", json=account)
    ada = auth.db.session.query(auth.user_model).filter_by(email="ada@example.com").one()
    ada.role_id = reader.id
    auth.db.session.commit()
if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]))
