"""The applications of `tests/adoption`: each rule that they were given is enforced."""

from pathlib import Path

import pytest

from itemsapi.testing import assert_every_rule_is_enforced, close_database, create_tables
from support.adoption import APPS, close_own_database, load

NAMES = sorted(file.name.removesuffix("_after.py") for file in APPS.glob("*_after.py"))
GUARDED = {"office": "POST /api/rooms", "pets": "POST /pets/", "shop": "POST /api/orders"}


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_of_an_adopted_application_is_enforced(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were not written for the layer: users, hooks and limits of their own."""
    monkeypatch.setenv("ITEMSAPI_DATA_DIR", str(tmp_path))
    module = load(name, "after")
    app = module.create_app()
    create_tables(app)
    report = assert_every_rule_is_enforced(app)
    close_database(app)
    close_own_database(module, app)
    assert report.admitted == len(report.guarded)
    assert GUARDED[name] in report.guarded
