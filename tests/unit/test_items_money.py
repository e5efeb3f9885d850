"""Prices: exact, with the decimals of their currency."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemsapi.items.money import (
    CURRENCY_DECIMALS,
    DECIMAL_PLACES,
    format_amount,
    parse_amount,
    parse_price,
)
from itemsapi.problems import ValidationFailed


@pytest.mark.parametrize(
    ("price", "currency"),
    [("100", "JPY"), ("0.05", "EUR"), ("1.234", "BHD"), ("999999999999.9999", "CLF")],
)
def test_a_price_is_unchanged_when_it_is_parsed_and_formatted(price: str, currency: str) -> None:
    """Each currency has its own number of decimals (ISO 4217)."""
    assert format_amount(parse_price(price, currency), currency) == price


@pytest.mark.parametrize(
    ("price", "currency"), [("1.5", "JPY"), ("1.005", "EUR"), ("1.000", "USD"), ("1.2345", "BHD")]
)
def test_a_price_is_rejected_when_its_currency_has_fewer_decimals(
    price: str, currency: str
) -> None:
    """Prices are never rounded."""
    with pytest.raises(ValidationFailed) as raised:
        parse_price(price, currency)
    assert raised.value.errors == [
        {"field": "price", "message": f"{currency} has {CURRENCY_DECIMALS[currency]} decimals"}
    ]


@pytest.mark.parametrize(
    "price", ["", "-1", "1e3", "1.", ".5", "01", "1,5", "NaN", "1_0", "\u0661", "1000000000000"]
)
def test_a_price_is_rejected_when_it_is_no_plain_decimal(price: str) -> None:
    """S-156: no exponent, no underscore, no digits of other scripts."""
    with pytest.raises(ValidationFailed):
        parse_price(price, "EUR")


@pytest.mark.parametrize("currency", ["XXX", "eur", "XAU", ""])
def test_a_currency_is_rejected_when_it_is_no_means_of_payment(currency: str) -> None:
    """Only codes of ISO 4217 as they are written, without metals and test codes."""
    with pytest.raises(ValidationFailed) as raised:
        parse_price("1", currency)
    assert raised.value.errors == [
        {"field": "currency", "message": "is not a currency of ISO 4217"}
    ]


@given(st.sampled_from(sorted(CURRENCY_DECIMALS)), st.integers(0, 10**16 - 1))
def test_formatting_and_parsing_are_inverse(currency: str, units: int) -> None:
    """Every amount that a currency can express survives."""
    amount = (
        units
        // 10 ** (DECIMAL_PLACES - CURRENCY_DECIMALS[currency])
        * 10 ** (DECIMAL_PLACES - CURRENCY_DECIMALS[currency])
    )
    assert parse_amount(format_amount(amount, currency)) == amount
