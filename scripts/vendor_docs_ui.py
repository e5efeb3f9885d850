"""Download ReDoc and Swagger UI from npm and put them into the folder of the docs pages.

 python scripts/vendor_docs_ui.py

The bundles refer to source maps that are not shipped, and ReDoc's requests a logo from another
host. Such places are replaced; their number is asserted, so that a changed new version is noticed.
`npm pack` uses the configured registry; the package must have the hash below.
"""

import base64
import hashlib
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).parents[1] / "src/itemsapi/endpoints/static"
EMPTY_IMAGE = b"data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="


@dataclass(frozen=True)
class Bundle:
    """A package, the files taken from it, and the changes to them, each at exactly one place."""

    package: str
    version: str
    sha512: str
    license: str
    folder: str
    files: Mapping[str, str]
    changes: tuple[tuple[str, bytes, bytes], ...]


BUNDLES = (
    Bundle(
        package="redoc",
        version="2.5.4",
        sha512="M6jWhG1qoBnH6TFmzJnstyCZ87HmOY/UzDm78mHiYihEdlV/YcS9ogOo1NlElnJMeLsyxHFe2yFc4sNjHTrABQ==",
        license="MIT",
        folder="redoc",
        files={
            "redoc.js": "package/bundles/redoc.standalone.js",
            "redoc.js.LICENSE.txt": "package/bundles/redoc.standalone.js.LICENSE.txt",
            "LICENSE": "package/LICENSE",
        },
        changes=(
            ("redoc.js", b"https://cdn.redoc.ly/redoc/logo-mini.svg", EMPTY_IMAGE),
            ("redoc.js", b"\n//# sourceMappingURL=redoc.standalone.js.map", b""),
        ),
    ),
    Bundle(
        package="swagger-ui-dist",
        version="5.35.0",
        sha512="U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ==",
        license="Apache-2.0",
        folder="swagger",
        files={
            "swagger-ui.js": "package/swagger-ui-bundle.js",
            "swagger-ui.js.LICENSE.txt": "package/swagger-ui-bundle.js.LICENSE.txt",
            "swagger-ui.css": "package/swagger-ui.css",
            "LICENSE": "package/LICENSE",
            "NOTICE": "package/NOTICE",
        },
        changes=(("swagger-ui.css", b"\n/*# sourceMappingURL=swagger-ui.css.map*/", b""),),
    ),
)


def main() -> None:
    """Write the files of each bundle, and a record of their origin."""
    for bundle in BUNDLES:
        with tempfile.TemporaryDirectory() as folder:
            contents = apply_changes(bundle, unpack(bundle, fetch(bundle, Path(folder))))
        target = STATIC / bundle.folder
        target.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (target / name).write_bytes(content)
            print(f"{bundle.folder}/{name}: {len(content)} bytes")
        written = json.dumps(record(bundle, contents), indent=2) + "\n"
        (target / "VENDORED.json").write_text(written, "utf-8")


def fetch(bundle: Bundle, folder: Path) -> Path:
    """Return the package as fetched by npm, after checking its hash."""
    subprocess.run(  # noqa: S603 - a fixed command
        ["npm", "pack", "--silent", f"{bundle.package}@{bundle.version}"],  # noqa: S607 - whichever npm there is
        cwd=folder,
        check=True,
    )
    archive = folder / f"{bundle.package}-{bundle.version}.tgz"
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != bundle.sha512:
        raise SystemExit(f"{archive.name} has the hash {found}, not {bundle.sha512}")
    return archive


def unpack(bundle: Bundle, archive: Path) -> dict[str, bytes]:
    """Return the files that we ship."""
    with tarfile.open(archive) as package:
        members = {name: package.extractfile(path) for name, path in bundle.files.items()}
        return {name: member.read() for name, member in members.items() if member is not None}


def apply_changes(bundle: Bundle, contents: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files with our changes, each made exactly once."""
    for name, old, new in bundle.changes:
        if contents[name].count(old) != 1:
            raise SystemExit(
                f"{old!r} occurs {contents[name].count(old)} times in {name}, not once"
            )
        contents[name] = contents[name].replace(old, new)
    return contents


def record(bundle: Bundle, contents: dict[str, bytes]) -> dict[str, object]:
    """Return the source of the files, the changes and their hashes."""
    return {
        "package": bundle.package,
        "version": bundle.version,
        "license": bundle.license,
        "npm_integrity": f"sha512-{bundle.sha512}",
        "replaced": {old.decode().strip(): new.decode() for _, old, new in bundle.changes},
        "sha256": {n: hashlib.sha256(content).hexdigest() for n, content in contents.items()},
    }


if __name__ == "__main__":
    main()
