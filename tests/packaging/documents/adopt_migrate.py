from pathlib import Path

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from itemsapi import AuthLayer, public

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{Path('shop.db').absolute()}"
app.config["ITEMSAPI_DATABASE_URL"] = app.config["SQLALCHEMY_DATABASE_URI"]
db = SQLAlchemy(app)
AuthLayer(app, rules={"static": public("files")})
