"""A shop, as many Flask applications are: pages for people, an API, users in Flask-SQLAlchemy."""

import csv
import datetime
import decimal
import io

from flask import (
    Blueprint, Flask, Response, abort, flash, g, jsonify, redirect, render_template_string, request,
    session, stream_with_context, url_for,
)
from flask.json.provider import DefaultJSONProvider
from flask_sqlalchemy import SQLAlchemy
from itemsapi import AuthLayer, Scope, SqlUsers, public, requires
from werkzeug.exceptions import HTTPException
from werkzeug.security import check_password_hash, generate_password_hash

db = SQLAlchemy()


class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    email = db.Column(db.String(120), unique=True, nullable=False)
    password_hash = db.Column(db.String(200), nullable=False)
    active = db.Column(db.Boolean, default=True, nullable=False)
    is_staff = db.Column(db.Boolean, default=False, nullable=False)

    @property
    def scopes(self):
        return ["shop:read", "shop:write"] if self.is_staff else ["shop:read"]


class Product(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(80), nullable=False)
    price = db.Column(db.Numeric(10, 2), nullable=False)


class Order(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    product_id = db.Column(db.ForeignKey("product.id"), nullable=False)
    quantity = db.Column(db.Integer, nullable=False)
    placed_on = db.Column(db.Date, nullable=False)


class ShopJSON(DefaultJSONProvider):
    """Dates as people write them here, amounts as text, and a line break at the end."""

    sort_keys = False

    @staticmethod
    def default(o):
        if isinstance(o, datetime.date):
            return o.strftime("%d.%m.%Y")
        return f"{o:.2f}" if isinstance(o, decimal.Decimal) else DefaultJSONProvider.default(o)


api = Blueprint("api", __name__, url_prefix="/api")
pages = Blueprint("pages", __name__)


@api.errorhandler(ValueError)
def wrong_value(error):
    return jsonify(ok=False, error=str(error)), 422


def product_json(product):
    return {"id": product.id, "name": product.name, "price": product.price}


@api.get("/products")
def list_products():
    query = db.session.query(Product).order_by(Product.id)
    if "q" in request.args:
        query = query.filter(Product.name.contains(request.args["q"]))
    return jsonify([product_json(product) for product in query])


@api.post("/products")
def add_product():
    data = request.get_json()
    product = Product(name=data["name"], price=decimal.Decimal(data["price"]))
    db.session.add(product)
    db.session.commit()
    return jsonify(product_json(product)), 201, {"Location": f"/api/products/{product.id}"}


@api.get("/products/<int:number>")
def show_product(number):
    return jsonify(product_json(db.get_or_404(Product, number)))


@api.put("/products/<int:number>")
def change_product(number):
    product = db.get_or_404(Product, number)
    product.name = request.get_json()["name"]
    db.session.commit()
    return jsonify(product_json(product))


@api.delete("/products/<int:number>")
def remove_product(number):
    db.session.delete(db.get_or_404(Product, number))
    db.session.commit()
    return "", 204


@api.get("/products.csv")
def export_products():
    @stream_with_context
    def rows():
        for product in db.session.query(Product).order_by(Product.id):
            line = io.StringIO()
            csv.writer(line).writerow([product.id, product.name, product.price])
            yield line.getvalue()

    return Response(rows(), mimetype="text/csv")


@api.get("/orders")
def list_orders():
    return jsonify([{"id": o.id, "placed_on": o.placed_on} for o in db.session.query(Order)])


@api.post("/orders")
def place_order():
    quantity = int(request.form["quantity"])
    if quantity < 1:
        raise ValueError("at least one")
    order = Order(product_id=1, quantity=quantity, placed_on=datetime.date(2026, 11, 28))
    db.session.add(order)
    db.session.commit()
    return jsonify(id=order.id, placed_on=order.placed_on), 201


@api.get("/orders/<int:number>")
def show_order(number):
    order = db.get_or_404(Order, number)
    return jsonify(id=order.id, quantity=order.quantity, placed_on=order.placed_on)


@api.delete("/orders/<int:number>")
def cancel_order(number):
    db.session.delete(db.get_or_404(Order, number))
    db.session.commit()
    return jsonify(ok=True)


@api.post("/products/<int:number>/picture")
def add_picture(number):
    picture = request.files["picture"]
    return jsonify(number=number, name=picture.filename, size=len(picture.read()))


@api.route("/echo", methods=["GET", "POST", "PATCH"])
def echo():
    return jsonify(method=request.method, args=request.args.to_dict(flat=False), size=len(request.data))


@api.get("/stats")
def stats():
    return jsonify(products=db.session.query(Product).count(), at=datetime.date(2026, 11, 28))


@api.get("/slow/")
def with_slash():
    return jsonify(slash=True)


@api.get("/teapot")
def teapot():
    abort(418)


@pages.get("/")
def home():
    return render_template_string("<h1>Shop</h1>{{ seen }} pages seen", seen=g.seen)


@pages.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "POST":
        user = db.session.query(User).filter_by(email=request.form["email"]).first()
        if user and user.active and check_password_hash(user.password_hash, request.form["password"]):
            session["user"] = user.id
            return redirect(url_for("pages.account"))
        flash("Wrong e-mail or password")
    return render_template_string("{{ get_flashed_messages() }}<form method=post></form>")


@pages.get("/account")
def account():
    if "user" not in session:
        return redirect(url_for("pages.login"))
    return f"Account of {db.session.get(User, session['user']).email}"


@pages.post("/logout")
def logout():
    session.clear()
    return redirect(url_for("pages.home"))


@pages.get("/about/")
def about():
    return "About us"


@pages.get("/catalogue/<path:name>")
def catalogue(name):
    return f"Catalogue {name}"


@pages.get("/old")
def old():
    return redirect("/", 301)


@pages.get("/download")
def download():
    return Response(b"%PDF", mimetype="application/pdf", headers={"Cache-Control": "max-age=60"})


@pages.get("/bad")
def bad():
    return str(1 // 0)


@pages.get("/forbidden")
def forbidden():
    abort(403, "Staff only")


@pages.get("/language/<any(de, fr, en):code>")
def language(code):
    response = redirect("/")
    response.set_cookie("language", code)
    return response


@pages.get("/robots.txt")
def robots():
    return Response("User-agent: *\n", mimetype="text/plain")


@pages.get("/status")
def status():
    return {"up": True, "since": datetime.date(2026, 11, 1)}


@pages.post("/hook")
def hook():
    return jsonify(got=request.get_json(force=True, silent=True))


def create_app(database="sqlite://", **settings):
    app = Flask(__name__)
    app.json = ShopJSON(app)
    app.config.update(
        SECRET_KEY="the shop's own", SQLALCHEMY_DATABASE_URI=database, MAX_CONTENT_LENGTH=5_000, **settings
    )
    db.init_app(app)

    @app.before_request
    def count():
        g.seen = session["seen"] = session.get("seen", 0) + 1

    @app.after_request
    def sign(response):
        response.headers["X-Shop"] = "1"
        return response

    @app.errorhandler(404)
    def missing(error):
        return render_template_string("<h1>Nothing here</h1>"), 404

    @app.errorhandler(Exception)
    def failed(error):
        code = error.code if isinstance(error, HTTPException) else 500
        return render_template_string("<h1>Sorry ({{ code }})</h1>", code=code), code

    app.register_blueprint(api)
    app.register_blueprint(pages)
    users = SqlUsers(db.session, User, username="email", enabled="active",
                     scopes=lambda user: user.scopes, read_only=True)  # the page /login checks the hashes too
    auth = AuthLayer(app, users=users, rules={
        "/api/*": requires(Scope("shop:read", "See products and orders")),
        "POST,PUT,PATCH,DELETE /api/*": requires(Scope("shop:write", "Change products and orders")),
        "/*": public("the pages have a session of their own"),
    })
    auth.seal(app)
    return app


def fill(app):
    """Create the tables with two users and two products."""
    with app.app_context():
        db.create_all()
        password_hash = generate_password_hash("horse", "pbkdf2:sha256:1000")
        for name, is_staff in (("ada@shop.example", True), ("bob@shop.example", False)):
            db.session.add(User(email=name, password_hash=password_hash, is_staff=is_staff))
        db.session.add(Product(name="Lamp", price=decimal.Decimal("19.90")))
        db.session.add(Product(name="Desk", price=decimal.Decimal("149.00")))
        db.session.commit()
