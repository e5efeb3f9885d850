"""Run the code samples of the document: only what a reader fills in is replaced."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any

import requests

from support.real_server import PASSWORD, running_server

TIMEOUT_SECONDS = 60
# What is filled in, by language: `NAME='...'`, `name = "..."` and `const name = "...";`.
PLACEHOLDERS = {
    "Shell": re.compile(r"^(?P<start>(?P<name>\w+)=)'\.\.\.'$", re.MULTILINE),
    "Python": re.compile(r'^(?P<start>(?P<name>\w+) = )"\.\.\."$', re.MULTILINE),
    "JavaScript": re.compile(r'^(?P<start>const (?P<name>\w+) = )"\.\.\."(?=;$)', re.MULTILINE),
}
# The status goes to standard error, as the last line.
SHOW_STATUS = {
    "Shell": "",  # curl does it by a file of options
    "Python": "\nimport sys\nprint(response.status_code, file=sys.stderr)\n",
    "JavaScript": "\nconsole.error(response.status);\n",
}
COMMANDS = {
    "Shell": ["sh", "-c"],
    "Python": [sys.executable, "-c"],
    "JavaScript": ["node", "--input-type=module", "--eval"],
}
ADA_PASSWORD = "correct horse battery staple"  # in the examples
CURL_OPTIONS = 'silent\nshow-error\nwrite-out = "%{stderr}%{http_code}"\n'


def variables(sample: Mapping[str, str]) -> set[str]:
    """Return the names of what a reader fills in, as in Python."""
    found = PLACEHOLDERS[sample["lang"]].finditer(sample["source"])
    return {_in_python(match["name"]) for match in found}


def _in_python(name: str) -> str:
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()


def fill_in(sample: Mapping[str, str], values: Mapping[str, str]) -> str:
    """Return the source of a sample with the values of its variables, named as in Python."""

    def filled(found: re.Match[str]) -> str:
        value = values[_in_python(found["name"])]
        is_shell = sample["lang"] == "Shell"
        return found["start"] + (
            shlex.quote(value) if is_shell else json.dumps(value, ensure_ascii=False)
        )

    return PLACEHOLDERS[sample["lang"]].sub(filled, sample["source"])


def run(sample: Mapping[str, str], values: Mapping[str, str], folder: Path) -> tuple[str, str]:
    """Run a sample as a process in a folder; return its output, and the status that it got."""
    language = sample["lang"]
    (folder / ".curlrc").write_text(CURL_OPTIONS)
    done = subprocess.run(  # noqa: S603 - our own document
        [*COMMANDS[language], fill_in(sample, values) + SHOW_STATUS[language]],
        cwd=folder,
        env={**os.environ, "CURL_HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return done.stdout, done.stderr.strip().rpartition("\n")[2]


def sample_of(operation: Mapping[str, Any], language: str) -> Mapping[str, str]:
    """Return the sample of an operation in one language."""
    (found,) = (one for one in operation["x-codeSamples"] if one["lang"] == language)
    return dict(found)


@dataclass
class Service:
    """A running service with an admin, and the values that a reader of its document fills in."""

    url: str
    folder: Path
    numbers: Iterator[int] = field(default_factory=count)
    tokens: dict[str, str] = field(default_factory=dict)  # of the admin

    def statuses(self, language: str) -> dict[str, tuple[str, list[str]]]:
        """Run every sample in a language; return the status and the documented ones, by id.

        First comes `ada`, of the example, whom others need.
        """
        found = {}
        for operation in sorted(
            self._operations(), key=lambda o: o["operationId"] != "create_user"
        ):
            sample, name = sample_of(operation, language), operation["operationId"]
            _, status = run(sample, self._values(name, sample), self.folder)
            found[name] = status, [code for code in operation["responses"] if code < "300"]
        return found

    def _operations(self) -> list[dict[str, Any]]:
        document = requests.get(f"{self.url}/openapi.json", timeout=TIMEOUT_SECONDS).json()
        return [operation for path in document["paths"].values() for operation in path.values()]

    def _values(self, operation: str, sample: Mapping[str, str]) -> dict[str, str]:
        """Return what the reader of a sample fills in; a refresh token is one of a new session."""
        needed = variables(sample)
        if "refresh_token" in needed or not self._is_signed_in():
            self.tokens = self._login("wire", PASSWORD)
        values = {"token": self.tokens["access_token"], "name": "helpdesk", **self.tokens}
        if operation == "change_password":  # the password of the example is hers
            values |= self._login("ada", ADA_PASSWORD)
        makers = {"item_id": self._item, "user_id": self._user, "key_id": self._key}
        for make in (make for name, make in makers.items() if name in needed):
            values |= make()
        if operation == "delete_user_session":
            values |= self._session_of_a_user()
        return values

    def _item(self) -> dict[str, str]:
        """Return the id and the ETag of the item that the sample before created."""
        (item,) = self._call("GET", "/items?limit=1").json()["items"]
        etag = self._call("GET", f"/items/{item['id']}").headers["ETag"]
        return {"item_id": item["id"], "etag": etag}

    def _user(self) -> dict[str, str]:
        body = {"username": f"user{next(self.numbers)}", "password": PASSWORD}
        answer = self._call("POST", "/users", body)
        return {"user_id": answer.json()["id"], "etag": answer.headers["ETag"]}

    def _session_of_a_user(self) -> dict[str, str]:
        name = f"user{next(self.numbers)}"
        user = self._call("POST", "/users", {"username": name, "password": PASSWORD}).json()
        return {
            "user_id": user["id"],
            "session_id": self._login(name, PASSWORD)["session_id"],
        }

    def _key(self) -> dict[str, str]:
        body = {"name": "k", "scopes": ["items:read"]}
        return {"key_id": self._call("POST", "/me/api-keys", body).json()["id"]}

    def _is_signed_in(self) -> bool:
        if not self.tokens:
            return False
        return self._call("GET", "/auth/sessions", check=False).status_code == HTTPStatus.OK

    def _login(self, name: str, password: str) -> dict[str, str]:
        body = {"username": name, "password": password}
        answer = requests.post(f"{self.url}/auth/login", json=body, timeout=TIMEOUT_SECONDS)
        return {key: str(value) for key, value in answer.json().items()}

    def _call(
        self, method: str, path: str, body: object = None, *, check: bool = True
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}"}
        address = f"{self.url}{path}"
        answer = requests.request(
            method, address, json=body, headers=headers, timeout=TIMEOUT_SECONDS
        )
        if check:
            answer.raise_for_status()
        return answer


@contextmanager
def documented_service(folder: Path) -> Iterator[Service]:
    """Run the service; its document has its own address."""
    with running_server(folder) as wire:
        yield Service(f"http://127.0.0.1:{wire.port}", folder)
