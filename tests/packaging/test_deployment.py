"""The files for operators: the systemd unit, the image and the containers beside it.

The commands that these files contain are run from the installed wheel, in an environment without
anything else, on a root file system that is read-only where this machine allows to make it so.
"""

import configparser
import json
import os
import re
import shutil
import sqlite3
import subprocess
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its types are no dependency of ours

from itemsapi.settings import Settings
from support.command_line import SECRET
from support.free_port import free_port
from support.installed import TIMEOUT_SECONDS, wait_for_status

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "itemsapi.service"
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
READ_ONLY_ROOT = ["unshare", "--mount", "sh", "-c", 'mount -o remount,bind,ro / && exec "$@"', "sh"]
BUILTINS = ("export ", "IFS= read ", "[ ", "case ")  # of a shell: they are no processes
# What a unit of the night has in another way than that of the service.
NIGHTLY = {"Description", "After", "Type", "ExecStart", "ExecStartPost", "StateDirectory"}
EXPIRED_ATTEMPT = "INSERT INTO itemsapi_attempt VALUES ('k', '2001-01-01 00:00:00.000000', 1)"
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


def on_read_only_root(command: list[str]) -> list[str]:
    """Return a command with a read-only root, as in the unit and in the containers, if possible."""
    tried = subprocess.run([*READ_ONLY_ROOT, "true"], capture_output=True, check=False)
    return [*READ_ONLY_ROOT, *command] if tried.returncode == 0 else command


@contextmanager
def running(command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run a command in `/`, with this environment alone, until the block ends."""
    with subprocess.Popen(
        on_read_only_root(command), cwd="/", env=environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=TIMEOUT_SECONDS)


def environment_file(path: Path) -> dict[str, str]:
    """Return the variables of a file as systemd reads it."""
    lines = path.read_text("utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


@pytest.fixture
def unit() -> configparser.ConfigParser:
    """The unit."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(UNIT.read_text("utf-8"))
    return parser


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    """A secret that only its owner can read."""
    file = tmp_path / "secret.key"
    file.touch(mode=0o600)
    file.write_text(f"{SECRET}\n")
    return file


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
def test_the_unit_starts_with_postgresql_and_a_secret_file(
    unit: configparser.ConfigParser, installed: Path, database_url: str, secret_file: Path
) -> None:
    """Nothing else is needed: no data directory, no folder that can be written (R-24)."""
    port = free_port()
    variables = environment_file(ROOT / "deploy" / "environment")
    variables["ITEMSAPI_DATABASE_URL"] = database_url
    variables["ITEMSAPI_SECRET_KEY_FILE"] = str(secret_file)
    command = unit["Service"]["ExecStart"].replace("/opt/itemsapi/bin", str(installed))
    words = command.replace("--port 8000", f"--port {port}").split()
    with running(words, variables | {"PATH": SYSTEM_PATH}) as process:
        assert wait_for_status(port, "/health/ready", process) == 200


def traced_steps(line: str, folder: Path) -> list[str]:
    """Run a line with a shell that traces it; return the steps that it wrote."""
    done = subprocess.run(
        ["/bin/sh", "-c", line], cwd=folder, check=True, timeout=TIMEOUT_SECONDS,
        capture_output=True, text=True,
    )  # fmt: skip
    return [each[2:] for each in done.stderr.splitlines() if each.startswith("+ ")]


def test_a_command_runs_with_the_settings_of_the_unit(installed: Path, tmp_path: Path) -> None:
    """As the guide shows it; a password of the database may have signs that a shell would read.

    No program gets the settings as arguments, where every user of the machine could read them.
    """
    guide = (ROOT / "docs" / "operations.md").read_text("utf-8")
    (line,) = re.findall(r"^sudo -u itemsapi (sh -c .*)$", guide, re.MULTILINE)
    file, database = tmp_path / "environment", tmp_path / "a$b & *.db"
    file.write_text(f"# a comment\nITEMSAPI_DATABASE_URL=sqlite:///{database}")
    line = line.replace("/etc/itemsapi/environment", str(file))
    line = line.replace("/opt/itemsapi/bin", str(installed))
    line = line.replace("users add admin --role admin", "db upgrade")
    steps = traced_steps(line.replace("sh -c", "sh -xc"), tmp_path)
    assert database.exists()
    assert not [step for step in steps if str(database) in step and not step.startswith(BUILTINS)]


def test_systemd_accepts_the_units(installed: Path, tmp_path: Path) -> None:
    """Every line of them, with the command where it is here."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    units = sorted(UNIT.parent.glob("itemsapi*.[st]*"))
    assert len(units) == 5
    copies = [tmp_path / unit.name for unit in units]
    for unit, copy in zip(units, copies, strict=True):
        copy.write_text(unit.read_text("utf-8").replace("/opt/itemsapi/bin", str(installed)))
    found = subprocess.run(
        ["systemd-analyze", "verify", *map(str, copies)],  # noqa: S607
        capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False,
    )  # fmt: skip
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


def run_unit(name: str, installed: Path, folder: Path) -> None:
    """Run the commands of a unit one after another, with SQLite, as systemd does."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string((UNIT.parent / name).read_text("utf-8"))
    service = parser["Service"]
    for command in filter(None, (service.get("ExecStart"), service.get("ExecStartPost"))):
        here = command.replace("/opt/itemsapi/bin", str(installed))
        subprocess.run(
            here.replace("/var/lib/itemsapi", str(folder)).split(),
            cwd="/", env={"PATH": SYSTEM_PATH, "ITEMSAPI_DATA_DIR": str(folder)},
            check=True, timeout=TIMEOUT_SECONDS,
        )  # fmt: skip


@pytest.fixture
def data_dir(installed: Path, tmp_path: Path) -> Path:
    """The folder of the service, with a database."""
    (tmp_path / "backups").mkdir()
    environment = {"PATH": SYSTEM_PATH, "ITEMSAPI_DATA_DIR": str(tmp_path)}
    subprocess.run([installed / "itemsapi", "db", "upgrade"], env=environment, check=True)
    return tmp_path


def test_the_backup_of_each_night_replaces_those_that_are_two_weeks_old(
    installed: Path, data_dir: Path
) -> None:
    """It keeps the others, and files with other names; what a killed one left goes too."""
    kept = {"2026-01-02T030000.000001Z.backup": 13, "monday.backup": 99, "notes.part": 99}
    old = "2026-01-01T030000.000001Z.backup"
    ages = {old: 15, f"{old}.0a1b.part": 15} | kept
    for name, days in ages.items():
        (data_dir / "backups" / name).touch()
        os.utime(data_dir / "backups" / name, times=(time.time() - days * 86_400,) * 2)
    run_unit("itemsapi-backup.service", installed, data_dir)
    (new,) = {file.name for file in (data_dir / "backups").iterdir()} - set(ages)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d{6}\.\d{6}Z\.backup", new)
    assert [name for name in ages if (data_dir / "backups" / name).exists()] == list(kept)


def test_expired_data_is_deleted_each_night(installed: Path, data_dir: Path) -> None:
    """With no more than the settings of the service."""
    database = data_dir / "itemsapi.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute(EXPIRED_ATTEMPT)
        run_unit("itemsapi-purge.service", installed, data_dir)
        assert connection.execute("SELECT count(*) FROM itemsapi_attempt").fetchone() == (0,)


@pytest.mark.parametrize("name", ["backup", "purge"])
def test_the_units_of_the_night_may_do_no_more_than_the_service(name: str) -> None:
    """The same user and settings, and a file system that is read-only."""
    service, nightly = (
        set((UNIT.parent / f"itemsapi{end}.service").read_text("utf-8").splitlines())
        for end in ("", f"-{name}")
    )
    different = {line.partition("=")[0] for line in nightly - service if line[:1] != "#"}
    assert different <= NIGHTLY


def words_of(instruction: str) -> list[str]:
    """Return the words of an instruction of the image; that of the health check is indented."""
    (found,) = re.findall(rf"^{instruction} (\[.*\])$", DOCKERFILE, re.MULTILINE)
    words = json.loads(found)
    assert isinstance(words, list)
    return words


def test_the_image_is_ready_when_its_health_check_says_so(installed: Path, tmp_path: Path) -> None:
    """The command of the image, and after it the one of the health check."""
    port = str(free_port())
    entry, serve, check = (words_of(name) for name in ("ENTRYPOINT", "CMD", "    CMD"))
    environment = {
        "PATH": f"{installed}:{SYSTEM_PATH}",
        "ITEMSAPI_DATA_DIR": str(tmp_path / "data"),
    }
    command = [word.replace("8000", port).replace("0.0.0.0", "127.0.0.1") for word in entry + serve]  # noqa: S104 - it is replaced
    health = [word.replace("8000", port) for word in check]
    pause, ends = threading.Event(), time.monotonic() + TIMEOUT_SECONDS
    with running(command, environment) as process:
        while not is_healthy(health, environment):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < ends, "the health check does not succeed"
            pause.wait(0.2)
    assert not is_healthy(health, environment)


def is_healthy(command: list[str], environment: Mapping[str, str]) -> bool:
    """Return whether the health check succeeds."""
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    return done.returncode == 0


def test_the_image_is_built_with_the_uv_of_the_lock() -> None:
    """A new uv is tried before images are built with it."""
    locked = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]
    (version,) = (package["version"] for package in locked if package["name"] == "uv")
    assert f"uv=={version}\n" in DOCKERFILE


def test_what_the_image_copies_is_sent_to_the_builder() -> None:
    """All other files stay where they are: a secret of this folder is in no image."""
    first, *others = (ROOT / ".dockerignore").read_text("utf-8").splitlines()[1:]
    copied = re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    wanted = {name for line in copied for name in line.split()}
    assert (first, {line[1:] for line in others if line[0] == "!"}) == ("*", wanted)
    assert all((ROOT / name).exists() for name in wanted)


def test_the_image_gets_each_file_that_the_wheel_includes() -> None:
    """Without one of them the wheel cannot be built, and so the image neither."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    copied = re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    assert set(included) <= {name for line in copied for name in line.split()}


@pytest.fixture
def containers() -> dict[str, Any]:
    """The services of compose.yaml."""
    services: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))[
        "services"
    ]
    return services


def with_values(value: str, values: Mapping[str, str]) -> str:
    """Return a value of compose.yaml with its variables replaced, the inner ones first."""
    found = r"\$\{(\w+)(?::[?-]([^{}]*))?\}"
    while re.search(found, value):
        value = re.sub(found, lambda m: values.get(m[1]) or m[2], value)
    return value


def test_the_settings_of_the_containers_are_those_of_production(
    containers: dict[str, Any], secret_file: Path
) -> None:
    """The service would start with them; every variable is a setting (S-148)."""
    values = {"SITE": "api.example", "DATABASE_PASSWORD": "from-the-file"}
    given = containers["itemsapi"]["environment"]
    environ = {name: with_values(value, values) for name, value in given.items()}
    settings = Settings.from_environment(environ | {"ITEMSAPI_SECRET_KEY_FILE": str(secret_file)})
    assert settings.production
    assert settings.allowed_origins == ("https://api.example",)


def test_the_containers_have_both_secrets_while_the_secret_is_rotated(
    containers: dict[str, Any],
) -> None:
    """The file beside compose.yaml adds the previous one, and changes nothing else."""
    more = yaml.safe_load((ROOT / "deploy" / "rotation.yaml").read_text("utf-8"))
    added = more["services"]["itemsapi"]
    files = {f"/run/secrets/{name}" for name in added["secrets"]}
    settings = containers["itemsapi"]["environment"] | added["environment"]
    assert files == {path for name, path in settings.items() if name.endswith("_FILE")}
    assert set(more["secrets"]) == {"previous_key"}
    assert set(added) == {"environment", "secrets"}


def test_only_the_proxy_can_be_reached_from_outside(containers: dict[str, Any]) -> None:
    """Whoever else reached the service could write `X-Forwarded-For`."""
    reachable = {name for name, one in containers.items() if "ports" in one}
    outside = {name for name, one in containers.items() if "outside" in one["networks"]}
    assert reachable == outside == {"proxy"}


def test_the_service_cannot_write_to_its_container(containers: dict[str, Any]) -> None:
    """It has no capability either, and gets the time that requests in flight have."""
    service = containers["itemsapi"]
    limits = [service[name] for name in ("read_only", "cap_drop", "stop_grace_period")]
    assert limits == [True, ["ALL"], "40s"]


@pytest.mark.slow
def test_the_image_becomes_healthy() -> None:
    """Built and run as the guide does, where there is a builder."""
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        pytest.skip("there is no Docker engine")

    def call(*words: str) -> str:
        """Return what a command of Docker writes."""
        done = subprocess.run(
            [docker, *words], capture_output=True, text=True, check=True, cwd=ROOT
        )
        return done.stdout.strip()

    image = call("build", "--quiet", ".")
    limits = ["--read-only", "--cap-drop=ALL", "--tmpfs=/data:uid=10001,mode=0700"]
    container = call("run", "--detach", *limits, image)
    try:
        pause, ends = threading.Event(), time.monotonic() + TIMEOUT_SECONDS
        while (
            state := call("inspect", "--format={{.State.Health.Status}}", container)
        ) != "healthy":
            assert time.monotonic() < ends, (state, call("logs", container))
            pause.wait(0.5)
        assert call("exec", container, "id", "-u") == "10001"
    finally:
        call("rm", "--force", container)
