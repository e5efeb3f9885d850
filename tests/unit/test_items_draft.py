"""Item drafts: the fields that a user sends are validated before they are stored."""

from typing import Any

import pytest

from itemsapi.items.models import normalize_tag, normalize_tags
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
def test_a_draft_is_rejected_when_a_field_is_out_of_bounds(field: str, value: Any) -> None:
    """S-101: each limit is enforced, and the error names the field."""
    with pytest.raises(ValidationFailed) as raised:
        draft(**{field: value})
    assert [error["field"] for error in raised.value.errors or []] == [field]


def test_an_invalid_draft_lists_all_its_errors() -> None:
    """A user who fills in a form need not try again for each error."""
    with pytest.raises(ValidationFailed) as raised:
        draft(name="", quantity=-1)
    assert len(raised.value.errors or []) == 2


def test_a_draft_is_accepted_when_its_values_are_at_their_limits() -> None:
    """The limits are inclusive."""
    accepted = draft(name="x" * 200, description="x" * 10_000, sku="x" * 64, quantity=2**31 - 1)
    assert accepted.quantity == 2**31 - 1


def test_equal_tags_are_merged_when_their_spelling_differs() -> None:
    """Width, case and spaces do not make another tag."""
    assert normalize_tags(["Red  Car", "\uff52\uff45\uff44\tcar ", "x"]) == ("red car", "x")


def test_the_length_of_a_tag_is_checked_after_normalisation() -> None:
    """A character that normalises to eighteen does not get past the limit."""
    with pytest.raises(ValidationFailed):
        normalize_tag("\ufdfa" * 3)


def test_a_draft_is_accepted_when_its_values_are_the_shortest() -> None:
    """One character, or none where a text may be empty."""
    shortest = draft(name="x", sku="x", description="", tags=("x",))
    assert (shortest.quantity, shortest.tags) == (0, ("x",))


def test_a_draft_may_have_twenty_tags_of_forty_characters() -> None:
    """Equal ones count once."""
    tags = tuple(f"{n:02}" + "x" * 38 for n in range(20))
    assert draft(tags=tags + tags).tags == tags
