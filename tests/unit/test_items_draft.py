"""Drafts: what a user says of an item is checked before it is stored."""

from typing import Any

import pytest

from itemsapi.items.draft import normalize_tag, normalize_tags
from itemsapi.problems import ValidationFailed
from support.item_store import draft


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 201),
        ("name", "a\0b"),
        ("name", "a\ud800"),
        ("description", "x" * 10_001),
        ("sku", ""),
        ("sku", "x" * 65),
        ("quantity", -1),
        ("quantity", 2**31),
        ("tags", ("",)),
        ("tags", ("  ",)),
        ("tags", ("x" * 41,)),
        ("tags", ("\0",)),
        ("tags", tuple(f"t{n}" for n in range(21))),
    ],
)
def test_a_draft_is_refused_when_a_field_is_out_of_bounds(field: str, value: Any) -> None:
    """S-101: each bound is kept, and the refusal names the field."""
    with pytest.raises(ValidationFailed) as refused:
        draft(**{field: value})
    assert [error["field"] for error in refused.value.errors or []] == [field]


def test_a_draft_names_all_its_faults_at_once() -> None:
    """Whoever fills in a form need not try again for each."""
    with pytest.raises(ValidationFailed) as refused:
        draft(name="", quantity=-1)
    assert len(refused.value.errors or []) == 2


def test_a_draft_takes_values_at_their_bounds() -> None:
    """The bounds themselves are in."""
    said = draft(name="x" * 200, description="x" * 10_000, sku="x" * 64, quantity=2**31 - 1)
    assert said.quantity == 2**31 - 1


def test_tags_have_one_spelling() -> None:
    """Width, case and spaces do not make another tag."""
    assert normalize_tags(["Red  Car", "\uff52\uff45\uff44\tcar ", "x"]) == ("red car", "x")


def test_a_tag_is_measured_in_its_one_spelling() -> None:
    """A character that unfolds to eighteen does not slip past the bound."""
    with pytest.raises(ValidationFailed):
        normalize_tag("\ufdfa" * 3)
