from flask import Flask

from itemsapi import AuthLayer, Scope, requires

READ = Scope("items:read", "See the items")
WRITE = Scope("items:write", "Delete items")
ITEMS = [{"id": 1, "name": "Desk lamp"}, {"id": 2, "name": "Blue chair"}]


def create_app(**layer):
    app = Flask(__name__, static_folder=None)
    auth = AuthLayer(app, **layer)

    @app.get("/items")
    @requires(READ)
    def list_items():
        return {"items": ITEMS, "count": len(ITEMS)}

    @app.delete("/items/<int:number>")
    @requires(WRITE)
    def delete_item(number):
        ITEMS[:] = [item for item in ITEMS if item["id"] != number]
        return "", 204

    auth.seal(app)
    return app
