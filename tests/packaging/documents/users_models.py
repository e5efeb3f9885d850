from flask import Flask
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__, static_folder=None)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///shop.db"
db = SQLAlchemy(app)


class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    email = db.Column(db.String(120), unique=True, nullable=False)
    password = db.Column(db.String(255))
    active = db.Column(db.Boolean, nullable=False, default=True)
    roles = ()
