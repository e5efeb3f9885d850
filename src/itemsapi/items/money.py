"""Money: amounts are exact decimal strings outside and whole numbers inside.

Every amount is stored as ten-thousandths of its unit, the finest any currency has, so that one
column sorts and compares all of them; how many decimals are shown is a matter of the currency
(ISO 4217, list one with its minor units; metals, test codes and the like are left out).
"""

import re
from typing import Final

from itemsapi.problems import Invalid

PLACES: Final = 4
LARGEST: Final = "999999999999.9999"
_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,11})(?:\.([0-9]{1,4}))?")

_WITHOUT = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_TWO = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD
    CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS
    GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD
    LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB
    PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP
    SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW
    ZWG
"""
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_FOUR = "CLF UYW"

DECIMALS: Final[dict[str, int]] = {
    code: places
    for places, codes in ((0, _WITHOUT), (2, _TWO), (3, _THREE), (4, _FOUR))
    for code in codes.split()
}
# where an amount with all its places ends in each currency; without places the point goes too
_END: Final = {code: places - PLACES - (places == 0) or None for code, places in DECIMALS.items()}


def scaled(amount: str, field: str = "price") -> int:
    """Return a decimal string as ten-thousandths. Raises `Invalid`, naming `field`."""
    found = _AMOUNT.fullmatch(amount)
    if found is None:
        raise _wrong(field, f"write a decimal from 0 to {LARGEST}, such as 12.50")
    whole, fraction = found.group(1), found.group(2) or ""
    return int(whole + fraction.ljust(PLACES, "0"))


def priced(price: str, currency: str) -> int:
    """Return a price as ten-thousandths. Raises `Invalid` if the currency has no such price."""
    if currency not in DECIMALS:
        raise _wrong("currency", "no currency of ISO 4217")
    amount = scaled(price)
    if len(price.partition(".")[2]) > DECIMALS[currency]:
        raise _wrong("price", f"{currency} has {DECIMALS[currency]} decimals")
    return amount


def shown(amount: int, currency: str) -> str:
    """Return ten-thousandths as a decimal string with the decimals of the currency."""
    whole, fraction = divmod(amount, 10**PLACES)
    return f"{whole}.{fraction:04d}"[: _END[currency]]


def _wrong(field: str, message: str) -> Invalid:
    return Invalid(errors=[{"field": field, "message": message}])
