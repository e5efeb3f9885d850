from pathlib import Path

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from werkzeug.security import generate_password_hash

from itemsapi import Scope, current_caller, requires

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{Path('shop.db').absolute()}"
app.config["ITEMSAPI_PUBLIC_URL"] = "http://localhost:5000"
db = SQLAlchemy(app)


class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    email = db.Column(db.String(120), unique=True, nullable=False)
    password_hash = db.Column(db.String(255))
    active = db.Column(db.Boolean, nullable=False, default=True)
    scopes = ("orders:read",)
    __table_args__ = {"sqlite_autoincrement": True}


@app.get("/orders")
@requires(Scope("orders:read", "See your orders"))
def list_orders():
    return {"orders": [], "owner": current_caller().user_id}


with app.app_context():
    db.create_all()
    if not db.session.query(User).count():
        hashed = generate_password_hash("horse", "pbkdf2:sha256:1000")
        db.session.add(User(email="ada@shop.example", password_hash=hashed))
        db.session.commit()
