"""The programs that are measured, and the server that the documentation of each recommends."""

from dataclasses import dataclass, replace

from bench import clients
from bench.clients import Client
from itemsapi.cli.serve import DEFAULT_THREADS

# As many threads as ours has by default; one worker process each.
GUNICORN = (
    *("-m", "gunicorn", "--workers", "1", "--threads", str(DEFAULT_THREADS)),
    *("--worker-class", "gthread", "--bind", "127.0.0.1:PORT", "--log-level", "warning"),
)
UVICORN = ("-m", "uvicorn", "--port", "PORT", "--log-level", "warning", "--no-access-log")
GRANIAN = ("-m", "granian", "--workers", "1", "--port", "PORT", "--log-level", "warning")
WSGI = (*GRANIAN, "--interface", "wsgi", "--blocking-threads", str(DEFAULT_THREADS))


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A program in `apps/`, and how it is run.

    `fill` is the program that makes its data. `server` are the words after `python`. With
    `requirements` it has an environment of its own, else that of the benchmark. `loads_user` tells
    whether each request reads the user from the database, `only_sqlite` that it has no other one.
    """

    title: str
    client: Client
    fill: str
    server: tuple[str, ...]
    requirements: tuple[str, ...] = ()
    packages: tuple[str, ...]
    loads_user: bool = False
    only_sqlite: bool = False


SERVICE = Contestant(
    title="itemsapi",
    client=clients.SERVICE,
    fill="service",
    server=("-m", "itemsapi", "serve", "--port", "PORT"),
    packages=("itemsapi", "flask", "granian"),
)
FIRST_USE = replace(SERVICE, title="each token used once", client=clients.FIRST_USE)
WITHOUT_GATE = Contestant(
    title="without the gate",
    client=clients.WITHOUT_GATE,
    fill="service",
    server=(
        *("-m", "itemsapi", "--app", "service_without_gate:create_open_app"),
        *("serve", "--port", "PORT"),
    ),
    packages=("itemsapi", "flask", "granian"),
)
FLOOR = Contestant(
    title="WSGI without a framework",
    client=clients.FLOOR,
    fill="wsgi_floor",
    server=(*WSGI, "wsgi_floor:application"),
    packages=("granian", "orjson", "pyjwt"),
)
FLOOR_DECODING = replace(
    FLOOR,
    title="WSGI without a framework, each token decoded",
    server=(*WSGI, "wsgi_floor:decoding_application"),
)
PLAIN_FLASK = Contestant(
    title="plain Flask, no auth",
    client=clients.PLAIN,
    fill="wsgi_floor",
    server=(*WSGI, "plain_flask:app"),
    packages=("granian", "flask"),
)
FLOORS = {"wsgi": FLOOR, "wsgi-decoding": FLOOR_DECODING, "plain-flask": PLAIN_FLASK}
PEERS = {
    "recipe": Contestant(
        title="Flask-Smorest + Flask-JWT-Extended",
        client=clients.RECIPE,
        fill="flask_jwt_extended_recipe",
        server=(*GUNICORN, "flask_jwt_extended_recipe:app"),
        requirements=(
            "flask-smorest", "flask-jwt-extended", "flask-sqlalchemy", "argon2-cffi", "gunicorn",
            "psycopg[binary]",
        ),
        packages=("flask-smorest", "flask-jwt-extended", "sqlalchemy", "gunicorn"),
    ),
    "flask-security": Contestant(
        title="Flask-Security",
        client=clients.FLASK_SECURITY,
        fill="flask_security_app",
        server=(*GUNICORN, "flask_security_app:app"),
        requirements=(
            "flask-security[common]", "flask-sqlalchemy", "argon2-cffi", "libpass", "gunicorn",
            "psycopg[binary]",
        ),
        packages=("flask-security", "sqlalchemy", "gunicorn"),
        loads_user=True,
    ),
    "fastapi-users": Contestant(
        title="FastAPI + fastapi-users",
        client=clients.FASTAPI_USERS,
        fill="fastapi_users_app",
        server=(*UVICORN, "fastapi_users_app:app"),
        requirements=("fastapi-users[sqlalchemy]", "aiosqlite", "asyncpg", "uvicorn[standard]"),
        packages=("fastapi", "fastapi-users", "sqlalchemy", "uvicorn"),
        loads_user=True,
    ),
    "by-hand": Contestant(
        title="FastAPI by hand",
        client=clients.BY_HAND,
        fill="fastapi_by_hand",
        server=(*GRANIAN, "--interface", "asgi", "--no-ws", "fastapi_by_hand:app"),
        requirements=("fastapi", "granian[uvloop]", "orjson", "pyjwt", "argon2-cffi"),
        packages=("fastapi", "granian"),
        only_sqlite=True,
    ),
    "django": Contestant(
        title="Django REST framework + simplejwt",
        client=clients.DJANGO,
        fill="django_simplejwt",
        server=(*GUNICORN, "django_simplejwt:application"),
        requirements=(
            "djangorestframework", "djangorestframework-simplejwt", "argon2-cffi", "gunicorn",
            "psycopg[binary]",
        ),
        packages=("django", "djangorestframework", "djangorestframework-simplejwt", "gunicorn"),
        loads_user=True,
    ),
}  # fmt: skip
