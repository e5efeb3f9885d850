"""Money: amounts are exact decimal strings in the API and integers in the database.

Every amount is stored in ten-thousandths of its unit, the smallest minor unit of any currency, so
that one column sorts and compares all of them. The currency decides how many decimals are shown
(ISO 4217, list one with its minor units; metals, test codes and similar codes are omitted).
"""

import re
from typing import Final

from itemsapi.problems import ValidationFailed

DECIMAL_PLACES: Final = 4
MAX_AMOUNT: Final = "999999999999.9999"
_AMOUNT_PATTERN = re.compile(r"(0|[1-9][0-9]{0,11})(?:\.([0-9]{1,4}))?")

_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_TWO_DECIMALS = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD
    CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS
    GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD
    LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB
    PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP
    SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW
    ZWG
"""
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DECIMALS = "CLF UYW"

CURRENCY_DECIMALS: Final[dict[str, int]] = {
    code: places
    for places, codes in (
        (0, _NO_DECIMALS),
        (2, _TWO_DECIMALS),
        (3, _THREE_DECIMALS),
        (4, _FOUR_DECIMALS),
    )
    for code in codes.split()
}
# The end of the slice that removes the unused decimals (of four) of a currency's amount; without
# decimals it removes the point too.
_CUT_INDEX: Final = {
    code: places - DECIMAL_PLACES - (places == 0) or None
    for code, places in CURRENCY_DECIMALS.items()
}


def parse_amount(amount: str, field: str = "price") -> int:
    """Return a decimal string as ten-thousandths. Raise `ValidationFailed`, which names `field`."""
    match = _AMOUNT_PATTERN.fullmatch(amount)
    if match is None:
        raise _invalid(field, f"write a decimal from 0 to {MAX_AMOUNT}, such as 12.50")
    whole, fraction = match.group(1), match.group(2) or ""
    return int(whole + fraction.ljust(DECIMAL_PLACES, "0"))


def parse_price(price: str, currency: str) -> int:
    """Return a price as ten-thousandths.

    Raise `ValidationFailed` if the currency is unknown or has fewer decimals than the price.
    """
    if currency not in CURRENCY_DECIMALS:
        raise _invalid("currency", "is not a currency of ISO 4217")
    amount = parse_amount(price)
    if len(price.partition(".")[2]) > CURRENCY_DECIMALS[currency]:
        raise _invalid("price", f"{currency} has {CURRENCY_DECIMALS[currency]} decimals")
    return amount


def format_amount(amount: int, currency: str) -> str:
    """Return an amount in ten-thousandths as a string with the decimals of its currency."""
    digits = f"{amount:05d}"  # one before the point, and `DECIMAL_PLACES` after it
    return f"{digits[:-4]}.{digits[-4:]}"[: _CUT_INDEX[currency]]


def _invalid(field: str, message: str) -> ValidationFailed:
    return ValidationFailed(errors=[{"field": field, "message": message}])
