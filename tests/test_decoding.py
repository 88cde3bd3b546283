"""What an answer may come to, before anything is built of it, and what is built of it."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pylon_to_sqlite.decoding import (
    DEEPEST,
    Bounds,
    Compressed,
    TooDeep,
    TooLarge,
    Torn,
    bounds_of,
    decompressed,
    parsed,
)

MANY = Bounds(10**8, 10**6)
FEW = Bounds(10**5, 1_000)


def bomb(megabytes: int) -> bytes:
    """Spaces, packed a thousand to one."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return b"".join(packer.compress(b" " * 2**20) for _ in range(megabytes)) + packer.flush()


def pieces(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


@pytest.mark.parametrize("size", [1, 7, 10**6])
@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        *(("", bytes), ("identity", bytes), (" GZIP ", gzip.compress), ("x-gzip", gzip.compress)),
        ("gzip", lambda body: gzip.compress(body, 0, mtime=0)),
    ],
)
def test_a_body_comes_out_as_it_went_in(
    encoding: str, pack: Callable[[bytes], bytes], size: int
) -> None:
    body = json.dumps({"data": list(range(500))}).encode()
    assert b"".join(decompressed(pieces(pack(body), size), encoding, MANY)) == body


def test_a_bomb_is_stopped_while_it_is_small() -> None:
    """60 MB in 60 KB: no more is unpacked than may be, whatever the pieces it comes in."""
    packed = bomb(60)
    assert len(packed) < 80_000
    tracemalloc.start()
    for size in (16_384, len(packed)):
        with pytest.raises(TooLarge, match="100,000 bytes"):
            b"".join(decompressed(pieces(packed, size), "gzip", FEW))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * 2**20


def test_what_says_nothing_for_ever_is_stopped_too() -> None:
    """Empty blocks: what comes is counted as well as what it unpacks to."""

    def blocks() -> Iterator[bytes]:
        yield gzip.compress(b"", mtime=0)[:10]
        while True:
            yield b"\x00\x00\x00\xff\xff" * 1_000

    with pytest.raises(TooLarge):
        b"".join(decompressed(blocks(), "gzip", FEW))


@pytest.mark.parametrize(
    "encoding", ["br", "zstd", "deflate", "gzip, gzip", "gzip,br", "identity, gzip", "\x1b[31m"]
)
def test_what_was_not_asked_for_is_not_unpacked(encoding: str) -> None:
    with pytest.raises(Compressed):
        b"".join(decompressed([gzip.compress(gzip.compress(b"{}"), mtime=0)], encoding, FEW))


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        gzip.compress(b"{}" * 99, mtime=0)[:-1],
        gzip.compress(b"x", mtime=0)[:12],
        b"\x1f\x8b\x08\xff",
    ],
)
def test_what_is_not_compressed_as_it_says_is_torn(body: bytes) -> None:
    with pytest.raises(Torn):
        b"".join(decompressed([body], "gzip", FEW))


def test_an_answer_without_a_body_is_not_torn() -> None:
    assert b"".join(decompressed([], "gzip", FEW)) == b""


@pytest.mark.parametrize(
    "unit", [b"{},", b"[],", b'"",', b"0,", b'{"a":1},', b'{"\\"":{}},', b"[[[]]],", b'"\\\\",']
)
def test_more_values_than_records_can_hold_are_never_built(unit: bytes) -> None:
    """Megabytes of empty objects are gigabytes of memory."""
    body = b'{"data": [' + unit * 400_000 + b"0]}"
    tracemalloc.start()
    with pytest.raises(TooLarge, match="1,000 values"):
        parsed(body, Bounds(10**8, 1_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * len(body)


@pytest.mark.parametrize(
    "words", ['{}[],:"' * 5_000, "\\" * 5_001, '\\"[' * 5_000, '",' * 5_000, "é\U0001f600[{" * 999]
)
def test_words_are_no_values_whatever_signs_they_hold(words: str) -> None:
    value = {"data": [{"id": "1", words: words}]}
    for ensure_ascii in (True, False):
        body = json.dumps(value, ensure_ascii=ensure_ascii).encode()
        assert parsed(body, Bounds(10**8, 10)) == value


@pytest.mark.parametrize("opens", ["[", '{"a":', '[{"a":', '[[],{"b":[[]],"a":'])
def test_what_is_nested_deeper_than_any_record_is_refused(opens: str) -> None:
    """On every Python at the same depth, and before anything follows it down."""
    closes = {"[": "]", '{"a":': "}", '[{"a":': "}]"}.get(opens, "}]")
    for times in (2 * DEEPEST + 1, 1_000, 100_000):
        body = f"{opens * times}[]{closes * times}".encode()
        with pytest.raises(TooDeep):
            parsed(body, MANY)
    times = DEEPEST // 2 - 1
    assert parsed(f"{opens * times}[]{closes * times}".encode(), MANY)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", b"[" * 100_000, b"]" * 100_000, b"[}", b'{"a": [}', b'"', b'{"a"}'),
        *(b"NaN", b"[Infinity]", b'{"a": -Infinity}', b'{"a": "\xff"}', b"[1] 2", b"'a'", b"[1,]"),
        "[]".encode("utf-16"),
    ],
)
def test_what_is_no_json_is_told_so(body: bytes) -> None:
    with pytest.raises((ValueError,)):
        parsed(body, MANY)


@pytest.mark.parametrize(
    ("number", "value"),
    [
        *(("7", 7), ("-7", -7), ("0.5", 0.5), ("1e3", 1000.0), ("-0.0", -0.0), ("1e300", 1e300)),
        ("9" * 300, int("9" * 300)),
        ("9" * 301, "9" * 301),
        ("-" + "9" * 1_000_000, "-" + "9" * 1_000_000),
        ("1e999", "1e999"),
        ("-1E999", "-1E999"),
        ("1e-999", "1e-999"),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        ("0." + "1" * 1_000_000, "0." + "1" * 1_000_000),
        ("0.30000000000000004", 0.1 + 0.2),
    ],
)
def test_a_number_is_what_it_says_or_text(number: str, value: Any) -> None:
    """What Python would read as another number, or in hours, is kept by its digits."""
    found = parsed(f'{{"n": {number}}}'.encode(), MANY)["n"]
    assert (type(found), found) == (type(value), value)


def test_of_two_fields_of_one_name_the_last_counts() -> None:
    assert parsed(b'\xef\xbb\xbf{"a": 1, "a": 2}', MANY) == {"a": 2}


def test_the_bounds_are_those_of_what_was_asked_for() -> None:
    """A page of 999 long mails fits; one record may not be as large as a page."""
    assert bounds_of(0) == bounds_of(999) == bounds_of(10**9)
    assert bounds_of(1).size < bounds_of(100).size < bounds_of(999).size < 2**26
    page = {"data": [{"id": str(n), "body_html": "<p>,{</p>" * 2_500} for n in range(999)]}
    assert len(parsed(json.dumps(page).encode(), bounds_of(999))["data"]) == 999
