"""The bytes of an answer: decompressed and parsed within bounds, whoever sends them. Pure.

What an answer costs is known before anything is built of it: by compression a few bytes can say
gigabytes, some megabytes can be gigabytes of objects, or be nested deeper than a parser can follow.
"""

import json
import math
import zlib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn

# An answer holds so much for itself, and so much for each record that was asked for. Of a page of
# 999 issues with mails of 20 KB for bodies that uses a third, and a quarter of the values.
BYTES, BYTES_A_RECORD = 32 * 2**20, 32 * 2**10
VALUES, VALUES_A_RECORD = 200_000, 800
MOST_RECORDS = 999
# Records come to about 10. Twice as deep is refused at the latest: Python's own bound differs by
# version, SQLite's is 1,000.
DEEPEST = 200
# Python reads a number in a time that grows with the square of its digits, and none of more than
# 4,300; what is longer than this is kept as text.
LONGEST_NUMBER = 300
# So many digits any float gives back as they were.
EXACT = 15
# How much is decompressed at once.
PIECE = 2**18

# The one compression that is asked for: any Python can stop it in the middle.
ACCEPTED = "gzip"
_GZIP = frozenset(("gzip", "x-gzip"))
_PLAIN = frozenset(("", "identity"))

_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * LONGEST_NUMBER
_INSIGNIFICANT = bytes(set(range(256)) - set(b'"[]{},'))


class TooLarge(Exception):
    """More than what was asked for can fill; `str()` tells what there is too much of."""


class TooDeep(Exception):
    """Nested deeper than any record."""


class Torn(Exception):
    """Not compressed as it says, or not whole."""


class Compressed(Exception):
    """Compressed in a way that was not asked for; `str()` names it."""


class Bounds(NamedTuple):
    """What an answer may come to: bytes when decompressed, and values of its JSON."""

    size: int
    values: int


def bounds_of(limit: int) -> Bounds:
    """The bounds of an answer to a question for so many records; 0: the endpoint decides."""
    records = min(limit or MOST_RECORDS, MOST_RECORDS)
    return Bounds(BYTES + records * BYTES_A_RECORD, VALUES + records * VALUES_A_RECORD)


def decompressed(chunks: Iterable[bytes], encoding: str, bounds: Bounds) -> Iterator[bytes]:
    """A body that comes in `chunks`, compressed as its header tells. Raises TooLarge before there
    is more than the bounds allow, Compressed, or Torn."""
    encoding = encoding.strip().lower()
    if encoding not in _GZIP | _PLAIN:
        raise Compressed(encoding)
    came = _bounded(chunks, bounds.size)
    if encoding in _PLAIN:
        return came
    # What comes can say nothing for ever, too.
    return _bounded(_gunzipped(came), bounds.size)


def _bounded(chunks: Iterable[bytes], most: int) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise TooLarge(f"{most:,} bytes")
        yield chunk


def _gunzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
    is_begun = False
    try:
        for chunk in chunks:
            while chunk and not decoder.eof:
                is_begun = True
                yield decoder.decompress(chunk, PIECE)
                chunk = decoder.unconsumed_tail
        yield decoder.flush()
    except zlib.error as error:
        raise Torn(str(error)) from None
    if is_begun and not decoder.eof:
        raise Torn("its compression ends too early")


def parsed(body: bytes, bounds: Bounds) -> Any:
    """The JSON of a body. Raises TooLarge or TooDeep before it is built, ValueError where it is no
    JSON. Numbers that Python would change are given as text."""
    _measure(body, bounds.values)
    text = body.decode("utf-8-sig", errors="surrogatepass")
    # A regular expression took 15 s to find that 60 MB of 299 digits each have none of 300.
    parse_int = _integer if _LONG_NUMBER in body.translate(_ZEROS) else None
    return json.loads(text, parse_int=parse_int, parse_float=_number, parse_constant=_no_constant)


def _measure(body: bytes, most: int) -> None:
    """Count the values of a body, and how deep they are nested, at the speed of memory."""
    # A backslash escapes what follows it, so pairs of them go first.
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Of each value there can be a name, and each has two quotation marks.
    is_large = plain.count(b'"') > 4 * most
    if not is_large:
        outside = b"".join(plain.translate(None, _INSIGNIFICANT).split(b'"')[::2])
        is_large = sum(map(outside.count, (b",", b"[", b"{"))) > most
    if is_large:
        raise TooLarge(f"{most:,} values")
    # What encloses nothing is peeled off, level by level.
    brackets = outside.translate(None, b",")
    for _ in range(DEEPEST):
        size = len(brackets)
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(brackets) == size:
            break
    if not brackets:
        return
    if len(brackets) == size:
        raise ValueError("its brackets do not match")
    raise TooDeep


def _integer(text: str) -> int | str:
    return int(text) if len(text) <= LONGEST_NUMBER else text


def _number(text: str) -> float | str:
    """A number with a fraction or an exponent, as a float where that is what it says."""
    if len(text) > LONGEST_NUMBER:
        return text
    number = float(text)
    if len(text) <= EXACT and "e" not in text.lower():
        return number
    return number if math.isfinite(number) and Decimal(repr(number)) == Decimal(text) else text


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
