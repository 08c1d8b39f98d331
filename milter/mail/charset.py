"""Octets to text, whatever the mail says about its charset.

A declared charset is a hint: mailers declare us-ascii and send UTF-8, declare iso-8859-1 and mean
windows-1252, or name one that nobody knows. Decoding never fails; at worst a letter is lost.
"""

from __future__ import annotations

import codecs
from encodings import normalize_encoding
from encodings.aliases import aliases
from functools import lru_cache

# Codecs that a mail may ask for, by Python's canonical name: linear in time, and text only (bytes
# decoders such as punycode are neither). Others are taken for undeclared.
_KNOWN = frozenset(
    (
        "utf-8 utf-7 utf-16 utf-16-le utf-16-be utf-32 ascii cp1250 cp1251 cp1252 cp1253 "
        "cp1254 cp1257 cp437 cp850 koi8-r koi8-u mac-roman iso8859-1 iso8859-2 iso8859-5 "
        "iso8859-7 iso8859-9 iso8859-13 iso8859-15 iso2022_jp euc_jp shift_jis cp932 gb2312 "
        "gbk gb18030 big5 euc_kr iso2022_kr"
    ).split()
)
_LOOKED_UP = frozenset(aliases) | {name.replace("-", "_") for name in (*_KNOWN, *aliases.values())}
# Charsets in which any octets decode, so that success proves nothing; windows-1252 contains
# iso-8859-1's printable part, and mailers (and browsers) take the one for the other.
_WEAK = frozenset({"ascii", "iso8859-1", "iso8859-15", "cp1252"})
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@lru_cache(maxsize=256)
def _canonical(declared: str) -> str:
    """The codec's canonical name, or an empty string for none that may be used.

    Only names that Python knows are looked up: it remembers every one that it does not, for ever.
    """
    if normalize_encoding(declared).lower() not in _LOOKED_UP:
        return ""
    try:
        name = codecs.lookup(declared).name
    except (LookupError, ValueError):
        return ""
    return name if name in _KNOWN else ""


def decode(octets: bytes, declared: str = "") -> str:
    """The text of ``octets``, which are declared to be in the charset ``declared``."""
    for bom, codec in _BOMS:
        if octets.startswith(bom):
            return octets.decode(codec, "replace")
    codec = _canonical(declared)
    if b"\0" in octets and not codec.startswith("utf-32"):
        codec = _utf16_by_zeros(octets) or codec
    elif octets.isascii() and codec not in ("utf-7", "iso2022_jp", "iso2022_kr"):
        return octets.decode("ascii")
    if codec == "utf-16":  # without a mark it is big-endian (RFC 2781 4.3)
        codec = "utf-16-be"
    if codec in _WEAK or not codec or codec == "utf-8":
        return _utf8_or(octets, "iso8859-15" if codec == "iso8859-15" else "cp1252")
    return octets.decode(codec, "replace")


def _utf8_or(octets: bytes, fallback: str) -> str:
    """UTF-8 where it is valid (other charsets hardly ever are by chance), else ``fallback``."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        # One bad octet late in a long UTF-8 text (a cut-off letter) does not make it cp1252.
        if error.start > 0 and not octets[: error.start].isascii():
            return octets.decode("utf-8", "replace")
        return octets.decode(fallback, "replace")


def _utf16_by_zeros(octets: bytes) -> str:
    """UTF-16 without a mark shows in which octet of each pair is zero."""
    zeros = octets.count(b"\0")
    if zeros * 4 < len(octets):
        return ""
    return "utf-16-le" if octets[1::2].count(b"\0") > zeros // 2 else "utf-16-be"
