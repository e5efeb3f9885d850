"""What `itemsapi serve` does before it serves: check the application, set the service up."""

import os
import shlex
import shutil
import socket
import sys
from importlib.metadata import version
from pathlib import Path

import flask

from itemsapi.app import create_app
from itemsapi.cli.context import host_application, open_services, require_own_users
from itemsapi.cli.first_start import first_admin, prepare
from itemsapi.cli.terminal import print_lines
from itemsapi.cli.users import temporary_note
from itemsapi.composition import Services
from itemsapi.extension import AuthLayer
from itemsapi.observability.logging import log
from itemsapi.rest.openapi.document import document_of
from itemsapi.server.listening import listen
from itemsapi.server.metrics_folder import require_metrics
from itemsapi.services import EXTENSION
from itemsapi.settings import find_unknown_settings, not_a_setting


def set_up(host: str, port: int, admin: str | None) -> tuple[socket.socket, bool]:
    """Set the service up; return the socket to serve on, and whether its logs are JSON.

    An application that fails and a used port come before the files that `prepare` creates.
    """
    require_metrics()
    with open_services(check_schema_version=False) as services:
        if admin:
            require_own_users(services)
        host_app = host_application()
        app = host_app or create_app(services.settings)
        AuthLayer.seal(app)  # reports an invalid blueprint or rule once, here
        build_document(app, required=host_app is None)
        listener = listen(host, port)
        try:
            prepare(services)
            warn_of_unknown_settings()
            admin_credentials = first_admin(services, admin)
        except BaseException:
            listener.close()
            raise
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    _print_banner(services, app, admin_credentials, address)
    return listener, services.settings.logs_json


def warn_of_unknown_settings() -> None:
    """Write which variables of the environment are no setting; in production each is an error."""
    for name in find_unknown_settings(os.environ):
        print_lines(f"itemsapi: {name} {not_a_setting(name)}", err=True)


def build_document(app: flask.Flask, *, required: bool) -> None:
    """Build the OpenAPI document. Unless it is `required`, an error is only logged.

    A view of an application may be one that the document cannot express, and works without it.
    """
    try:
        document_of(app)
    except Exception as error:
        if required:
            raise
        log.error("document_not_built", error=error)


def _print_banner(
    services: Services, app: flask.Flask, admin_credentials: tuple[str, str] | None, listening: str
) -> None:
    settings, base_url = services.settings, services.base_url
    lines = [f"itemsapi {version('itemsapi')} ({settings.profile}) listens on {listening}", ""]
    if admin_credentials:
        note = [f"  {temporary_note(services)}"] * settings.production
        lines += [*_credential_lines(*admin_credentials), *note, ""]
    lines.append(f"  API        {settings.public_url}")
    if f"{EXTENSION}.docs" in app.blueprints:
        lines.append(f"  API docs   {base_url}/docs")
    if f"{EXTENSION}.console" in app.blueprints:
        lines.append(f"  Console    {base_url}/console")
    if not settings.production and (line := commands_elsewhere(settings.data_dir, sys.argv[0])):
        lines += ["", "  Commands in another terminal:", f"  {line}"]
    print_lines(*lines)
    sys.stdout.flush()


def commands_elsewhere(data_dir: Path, program: str) -> str | None:
    """Return the shell line after which a new terminal finds `itemsapi` and this service's data.

    None if `itemsapi` is on the path already, or if this is another command.
    """
    script = Path(program).absolute()
    found = shutil.which("itemsapi")
    if script.name != "itemsapi" or (found and Path(found).absolute() == script):
        return None
    folder = "" if data_dir.is_absolute() else f"cd {shlex.quote(str(Path.cwd()))}; "
    return f'{folder}export PATH={shlex.quote(str(script.parent))}:"$PATH"'


def _credential_lines(name: str, password: str) -> list[str]:
    return [f"  User       {name}", f"  Password   {password}   (shown this once)"]
