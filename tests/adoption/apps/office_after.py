"""An office tool: Flask-Admin, Flask-Limiter and another WSGI application under `/reports`."""

from flask import Flask, jsonify, request
from flask_admin import Admin, BaseView, expose
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from itemsapi import AuthLayer, Scope, public, requires
from werkzeug.middleware.dispatcher import DispatcherMiddleware

limiter = Limiter(get_remote_address, default_limits=["100 per minute"], storage_uri="memory://")


class TeamView(BaseView):
    @expose("/")
    def index(self):
        return self.render_text("The team")

    @expose("/add", methods=["POST"])
    def add(self):
        return self.render_text(f"Added {request.form['name']}"), 201

    def render_text(self, text):
        return f"<p>{text}</p>"


def reports(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"report of " + environ["PATH_INFO"].encode()]


def create_app(**settings):
    app = Flask(__name__)
    app.config.update(SECRET_KEY="the office's own", **settings)
    limiter.init_app(app)
    admin = Admin(app, name="Office")
    admin.add_view(TeamView(name="Team", endpoint="team"))

    @app.get("/")
    def home():
        return "Office"

    @app.get("/api/rooms")
    @limiter.limit("3 per minute")
    def rooms():
        return jsonify(rooms=["blue", "green"])

    @app.post("/api/rooms")
    def book():
        return jsonify(booked=request.get_json()["room"]), 201

    office = requires(Scope("office:use", "Use the office"))
    auth = AuthLayer(app, rules={
        "/": public("the first page"), "static": public("files"), "admin.static": public("files"),
        "/api/*": office, "/admin/*": requires(Scope("office:admin", "Manage the office")),
    })
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/reports": auth.wsgi_guard(reports, office)})
    auth.seal(app)
    return app
