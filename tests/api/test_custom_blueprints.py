"""The example of the README: a custom blueprint behind the gate."""

import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from itemsapi.settings import SettingsError
from support.app_factory import Backend

pytestmark = pytest.mark.dialect("sqlite")  # custom blueprints do not depend on the database

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module of the README, importable as `orders`."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    (tmp_path / "orders.py").write_text(blocks[0], "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    spec = importlib.util.find_spec("orders")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["orders"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["orders"]


@pytest.fixture(params=["blueprints=", "ITEMSAPI_BLUEPRINTS"])
def shop(
    request: pytest.FixtureRequest, example: ModuleType, make_backend: Callable[..., Backend]
) -> Backend:
    """A backend with the blueprint, registered in either way."""
    if request.param == "blueprints=":
        return make_backend(example.orders)
    return make_backend(blueprints=("orders:orders",))


def test_a_custom_blueprint_is_rejected_without_a_token(shop: Backend) -> None:
    """The gate stands before it as before every route (S-001)."""
    assert shop.client().get("/orders").status_code == 401


def test_a_custom_blueprint_is_forbidden_without_its_scope(shop: Backend) -> None:
    """Members have the item scopes and not those of the blueprint (S-009)."""
    response = shop.signed_in_client("ada", "member").get("/orders")
    assert response.status_code == 403
    assert 'scope="orders:read"' in response.headers["WWW-Authenticate"]


def test_a_custom_blueprint_responds_with_its_scope(shop: Backend, example: ModuleType) -> None:
    """An admin has the scopes of blueprints too; the view knows its caller."""
    client = shop.signed_in_client("root", "admin")
    example.ORDERS.append({"number": 7, "owner": client.get("/me").get_json()["id"]})
    assert client.get("/orders").json == [{"number": 7}]


def test_a_custom_blueprint_is_documented_with_its_scope(shop: Backend) -> None:
    """The document contains the rule that is enforced (S-080)."""
    document = shop.client().get("/openapi.json").get_json()
    assert document["paths"]["/orders"]["get"]["security"] == [{"bearer": ["orders:read"]}]


@pytest.mark.parametrize("name", ["nowhere:page", "json:loads", "orders"])
def test_the_start_fails_when_a_blueprint_cannot_be_loaded(
    name: str, make_backend: Callable[..., Backend]
) -> None:
    """One line names the setting and the entry (R-24)."""
    with pytest.raises(SettingsError, match="ITEMSAPI_BLUEPRINTS"):
        make_backend(blueprints=(name,))
