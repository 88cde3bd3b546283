"""Addresses in whatever they are written in: found whole, and nobody else's with them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon_to_sqlite.mentions import addresses_in, replaced

ANN = "ann.o'hara+x@mail.example.com"


def without(text: str, *addresses: str) -> str:
    return replaced(text, {*addresses}.__contains__, "[…]")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("ann@x.example", "[…]"),
        ("Ann@X.Example", "[…]"),
        ("Write to ann@x.example.", "Write to […]."),
        ("(ann@x.example), <ann@x.example>; 'ann@x.example'", "([…]), <[…]>; '[…]'"),
        ("mailto:ann@x.example?subject=Hi", "mailto:[…]?subject=Hi"),
        ("https://a.example/?to=ann%40x.example&b=1", "https://a.example/?to=[…]&b=1"),
        ("https://a.example/ann@x.example/y", "https://a.example/[…]/y"),
        ("%3Cann%40x.example%3E", "%3C[…]%3E"),
        ("&lt;ann&#64;x.example&gt; &#x40; ann&#X0040;x.example", "&lt;[…]&gt; &#x40; […]"),
        ("ann&commat;x.example", "[…]"),
        ("_ann@x.example_ **ann@x.example** --ann@x.example", "_[…]_ **[…]** --[…]"),
        ('{"to": ["ann@x.example", "bo@x.example"]}', '{"to": ["[…]", "bo@x.example"]}'),
        (r'"first line\nann@x.example\tmore"', r'"first line\n[…]\tmore"'),
        ("ann@x.example,ann@x.exampleann@x.example", "[…],ann@x.exampleann@x.example"),
        ("ann@x.example ann@x.example", "[…] […]"),
        # Somebody else's.
        ("joann@x.example", "joann@x.example"),
        ("jo.ann@x.example jo-ann@x.example", "jo.ann@x.example jo-ann@x.example"),
        ("ann@x.example.org ann@mail.x.example", "ann@x.example.org ann@mail.x.example"),
        ("ann+other@x.example", "ann+other@x.example"),
        ("ann at x.example, @ann, ann@", "ann at x.example, @ann, ann@"),
        ("éann@x.example", "éann@x.example"),
    ],
)
def test_an_address_is_found_whatever_stands_around_it(text: str, left: str) -> None:
    assert without(text, "ann@x.example") == left


def test_signs_that_end_others_may_be_in_one() -> None:
    assert without(f"<{ANN}> '{ANN}' x={ANN}", ANN) == "<[…]> '[…]' x=[…]"
    assert without("émilie@x.example ÉMILIE@x.example", "émilie@x.example") == "[…] […]"


def test_the_longest_is_taken() -> None:
    assert without("a'ann@x.example", "ann@x.example", "a'ann@x.example") == "[…]"
    assert addresses_in('["A@x.example", "<b.c@y.example>"]') == {"a@x.example", "b.c@y.example"}


@given(st.text("ab@.%40&#64;_-+/ \\n\"'<>", max_size=60))
def test_nothing_else_is_touched(text: str) -> None:
    assert without(text) == text
    at = 0
    for piece in without(text, "a@b").split("[…]"):
        # What is left is there, in its order.
        at = text.index(piece, at) + len(piece)


@pytest.mark.parametrize("text", ["a", "a@", "%40", "a.", "a@b-", "&#64;a"])
def test_a_stranger_cannot_make_it_take_long(text: str) -> None:
    """Looking back and ahead is bounded, so this is a matter of the text's length alone."""
    began = time.process_time()
    assert without(text * 10_000, "ann@x.example") == text * 10_000
    assert time.process_time() - began < 5
