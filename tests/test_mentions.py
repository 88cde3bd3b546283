"""Addresses in whatever they are written in: found whole, and nobody else's with them."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_privacy import WRITTEN
from test_privacy_odd import ENCODED

from pylon_to_sqlite.mentions import Marking, addresses_in
from pylon_to_sqlite.pseudonyms import Pseudonyms
from pylon_to_sqlite.text import text_of

ANN = "ann.o'hara+x@mail.example.com"


PSEUDONYMS = Pseudonyms(b"k" * 32)
SHORT = ["a", "a@", "%40", "a.", "a@b-", "&#64;a", "%41", "=a", "\\", "25"]
# 80 KB of these are many addresses.
LONG = [
    "a%2540",
    "%41%40b.example",
    "a@b%252E",
    "&#97;@b.c ",
    f"{'a=' * 32}@b.c",
    "a<b>",
    "a@b<i ",
    'a<b c="',
]


# Of HTML, in whatever order.
PIECES = [
    *("ann", "@", "x", ".", "example", "ann@x.example", "%40", "&#64;", "&shy;", "&nbsp;", "&nbsp"),
    *("<b>", "</b>", '<i class="a">', "<i a='>'>", '<a title="x>y">', "<a=", '"', "'", ">", "<"),
    *("<p>", "</P>", "<br/>", "<td>", "<style>", "</style>", "<!-- > -->", "<!x>", " ", "\n"),
]


def without(text: str, *addresses: str) -> str:
    return Marking({*addresses}.__contains__, "[…]").text(text)


FOUND = [
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
    # As the programs of others encode it, more than once.
    (
        "https://a.example/?u=b%3Fto%3Dann%2540x.example&b=1",
        "https://a.example/?u=b%3Fto%3D[…]&b=1",
    ),
    ("%E2%80%9Cann%40x.example%E2%80%9D", "%E2%80%9C[…]%E2%80%9D"),
    ("%C2%A0ann%2540x%252Eexample to=%41nn%40x.example", "%C2%A0[…] to=[…]"),
    ("100%ann@x.example %25ann@x.example", "100%[…] %25[…]"),
    ("&#97;nn@x&#46;example; &#65; &#x41;nn&commat;x&period;example", "[…]; &#65; […]"),
    ("ann\uff20x.example ann@x.ex\u00adample \u200bann@\u200bx.example", "[…] […] […]"),
    (r'"\u003cann\u0040x.example\u003e" ann\\u0040x.example', r'"\u003c[…]\u003e" […]'),
]
SOMEBODY_ELSES = [
    "joann@x.example",
    "jo.ann@x.example jo-ann@x.example",
    "ann@x.example.org ann@mail.x.example",
    "ann+other@x.example",
    "ann at x.example, @ann, ann@",
    "éann@x.example",
    "%C3%A9ann%40x.example jo%2Bann%40x.example jo&#43;ann@x.example",
    "jo\u00adann@x.example &#111;ann@x.example ann@x.example&#115;",
]


@pytest.mark.parametrize(("text", "left"), FOUND)
def test_an_address_is_found_whatever_stands_around_it(text: str, left: str) -> None:
    assert without(text, "ann@x.example") == left
    # And has a pseudonym.
    assert "ann" not in PSEUDONYMS.text(text).lower()


@pytest.mark.parametrize("text", SOMEBODY_ELSES)
def test_that_of_somebody_else_is_not_taken_for_it(text: str) -> None:
    assert without(text, "ann@x.example") == text


@pytest.mark.parametrize("text", [*WRITTEN, *ENCODED])
def test_what_has_a_pseudonym_is_found(text: str) -> None:
    names = ("zoe", "zoë", "zoe+news")
    somebody = {"zoe@example.com", *(f"{name}@aardvark.example" for name in names)}
    marking = Marking(somebody.__contains__, "[…]")
    for marked in (marking.text(text), marking.html(text), str(marking.stored("html", text))):
        assert "[…]" in marked
        assert not re.search("zo|aard|example.com", marked.lower())


@pytest.mark.parametrize(
    ("html", "left"),
    [
        ("<p>Hi &amp; </p><b>ann</b>@<i>x</i>.example", "Hi &amp;<br><br>[…]"),
        ("ann@x&shy;.example", "[…]"),
        ("ann@<!-- > -->x<a title='>'>.</a>example.", "[…]."),
        ('ann@<script>"x"</script>x.<a href="/?a=b" id="c">example</a>', "[…]"),
        ("ann&amp;commat;x.example", "[…]"),
        ("<p>ann@x.example</p> &commat;", "<p>[…]</p> &commat;"),
    ],
)
def test_what_a_reader_of_html_would_see_is_found(html: str, left: str) -> None:
    assert Marking({"ann@x.example"}.__contains__, "[…]").html(html) == left


def test_signs_that_end_others_may_be_in_one() -> None:
    assert without(f"<{ANN}> '{ANN}' x={ANN}", ANN) == "<[…]> '[…]' x=[…]"
    assert without("émilie@x.example ÉMILIE@x.example", "émilie@x.example") == "[…] […]"


def test_the_longest_is_taken() -> None:
    assert without("a'ann@x.example", "ann@x.example", "a'ann@x.example") == "[…]"
    assert addresses_in('["A@x.example", "<b.c@y.example>"]') == {"a@x.example", "b.c@y.example"}


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
def test_nobody_who_reads_html_sees_it(html: str) -> None:
    marking = Marking({"ann@x.example"}.__contains__, "[…]")
    seen = text_of(marking.html(html))
    assert marking.text(seen) == seen


@given(st.text("ab@.%40&#64;_-+/ \\n\"'<>", max_size=60))
def test_nothing_else_is_touched(text: str) -> None:
    assert without(text) == text
    at = 0
    for piece in without(text, "a@b").split("[…]"):
        # What is left is there, in its order.
        at = text.index(piece, at) + len(piece)


@pytest.mark.parametrize("text", [*SHORT, *LONG])
def test_a_stranger_cannot_make_it_take_long(text: str) -> None:
    """Looking back and ahead is bounded, so this is a matter of the text's length alone."""
    text *= 10_000 if text not in LONG else 80_000 // len(text)
    began = time.process_time()
    for whole in (text, f"{text}@b.c"):
        assert Marking({"ann@x.example"}.__contains__, "[…]").html(whole) == whole
    assert time.process_time() - began < 5
