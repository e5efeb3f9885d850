"""The application: plain Flask, with a route of its own, the layer and the blueprint."""

from flask import Flask

from attachments.blueprint import blueprint
from itemsapi import AuthLayer, Settings, current_caller, public, signed_in


def create_app(settings: Settings | None = None) -> Flask:
    """Return the application; by default the settings come from the environment."""
    app = Flask(__name__, static_folder=None)

    @app.get("/")
    @public("everybody may see what this is")
    def show_name() -> dict[str, str]:
        return {"name": "attachments"}

    @app.get("/whoami")
    @signed_in
    def show_caller() -> dict[str, str]:
        return {"user_id": current_caller().user_id}

    app.register_blueprint(blueprint)
    auth = AuthLayer(app, settings=settings, include=["docs"])
    auth.seal(app)
    return app
