"""The text of strangers' HTML: what a reader would see, whatever was sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon_to_sqlite.text import clean, text_of


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("Hello", "Hello"),
        ("", ""),
        (" \n\t ", ""),
        ("plain text\nwithout  tags", "plain text without tags"),
        ("<p>in<b>div</b>i<i>si</i>ble</p>", "indivisible"),
        ("<span>two</span> <span>words</span>", "two words"),
        ("<a href='https://x.example/y'>a link</a>, <img src=x alt=y>and more", "a link, and more"),
        ("un<wbr>broken", "unbroken"),
        # Entities, known and not.
        (
            "Tom &amp; J&eacute;r&#244;me &lt;b&gt; &#128512; &nosuch;",
            "Tom & Jérôme <b> 😀 &nosuch;",
        ),
        ("&lt;script&gt;shown&lt;/script&gt;", "<script>shown</script>"),
        ("&#0000000000065;&#x41;&#65 &#128512;&#99999999999;", "AAA 😀\ufffd"),
        ("a&nbsp;b\u00a0c", "a b c"),
        ("a\u00a0\u00a0b", "a b"),
        ("<b>&copy 2026</b>", "© 2026"),
        # Signs that begin no tag.
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("I <3 it &amp; you", "I <3 it & you"),
        ("R&D <", "R&D <"),
        # What is outside the first plane stays whole.
        ("<p>👩‍👩‍👧 👍🏽 日本語 العربية</p>", "👩‍👩‍👧 👍🏽 日本語 العربية"),
        # Unclosed, and closed in the wrong order.
        ("<p>one<p>two <b>bold", "one\n\ntwo bold"),
        ("<b>a<i>b</b>c</i>d", "abcd"),
        ("<p>x</p></body></html><p>y</p>", "x\n\ny"),
        ("</p></div>a", "a"),
    ],
)
def test_the_words_come_out_whole(source: str, words: str) -> None:
    """Tags go, words and signs stay as they are, and blanks count as one."""
    assert text_of(source) == words


@pytest.mark.parametrize(
    "source",
    [
        "seen<script>if (1<2) {hidden()}</script>",
        "<style>p {hidden: 1}</style>seen",
        "<head><title>hidden</title></head><p>seen",
        "<!doctype html><html><head><meta charset=utf-8></head><body>seen</body></html>",
        "seen<!-- hidden <b>hidden</b> -->",
        "<!--[if mso]><table><tr><td>hidden</td></tr></table><![endif]-->seen",
        "<template><p>hidden</p></template>seen",
        "<iframe>hidden</iframe>seen<noframes>hidden</noframes>",
        "<svg><title>hidden</title></svg>seen",
        "seen<script>hidden",
        "seen<!-- hidden",
        "seen<SCRIPT type='x'>hidden</SCRIPT >",
        "seen<script data-x='<'>hidden</script>",
    ],
)
def test_what_no_reader_sees_is_gone(source: str) -> None:
    """Scripts, styles, comments and what else a browser does not show is no text."""
    assert text_of(source) == "seen"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("a<br>b<br/><br>c", "a\nb\n\nc"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("<div><div>a<br></div></div><div>b</div>", "a\nb"),
        ("<div>a</div><div><br></div><div>b</div>", "a\n\nb"),
        ("<ul><li>a</li><li>b</li></ul>", "a\nb"),
        ("<p>a</p>\n\n\n<p>b</p>", "a\n\nb"),
        ("<br><br><br><br>a<br><br><br><br>b<br><br>", "a\n\nb"),
        ("<h1>Title</h1>text<blockquote>quoted</blockquote>end", "Title\n\ntext\n\nquoted\n\nend"),
        ("text<hr>more", "text\nmore"),
        ("<p> a </p> <p> b </p>", "a\n\nb"),
        ("<table><tr><td>a</td><td>1</td></tr></table>", "a\t1"),
        ("<pre>if x:\n    y()\n\n    z()\n</pre>", "if x:\n    y()\n\n    z()"),
        ("<pre>a  b</pre>c  d", "a  b\n\nc d"),
        ("<p>a\r\nb</p>", "a b"),
    ],
)
def test_breaks_are_kept(source: str, words: str) -> None:
    """Paragraphs, line breaks, cells and preformatted text look as they were meant to."""
    assert text_of(source) == words


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("<div>a</div><div>b</div>", ["a", "b"]),
        ("<div><div><div>a</div></div></div>b", ["a", "b"]),
        ("<ul><li>a<ul><li>b</li><li>c</li></ul></li><li>d</li></ul>", ["a", "b", "c", "d"]),
        ("<ol><li><p>a</p></li><li><p>b</p></li></ol>", ["a", "b"]),
        ("<dl><dt>a<dd>b<dt>c<dd>d</dl>", ["a", "b", "c", "d"]),
        (
            "<table><thead><tr><th>k<th>v</thead><tr><td>a<td>1<tr><td>b<td>2</table>",
            ["k\tv", "a\t1", "b\t2"],
        ),
        ("<table><tr><td>a<table><tr><td>b</table></table>c", ["a", "b", "c"]),
        ("<section><header>a</header><footer>b</footer></section>", ["a", "b"]),
        ("<div>a</div><div><br></div><div>b</div>", ["a", "b"]),
        ("a<ul><li>b</ul>c", ["a", "b", "c"]),
    ],
)
def test_blocks_have_lines_of_their_own(source: str, lines: list[str]) -> None:
    """Items, rows and divisions are never run together; how far apart they are is open."""
    assert [line for line in text_of(source).split("\n") if line] == lines


@pytest.mark.parametrize(
    "source",
    ["a <b> b</b>", "a <!-- x --> b", "<span>a </span> <span> b</span>", "a &nbsp; <i></i> b"],
)
def test_blanks_on_both_sides_of_a_tag_count_as_one(source: str) -> None:
    """As a reader sees them: else a search for the two words together misses them."""
    assert text_of(source) == "a b"


@pytest.mark.parametrize("code", ["+a\n b\n-c", "if:\n\ty"])
def test_preformatted_text_keeps_its_indentation(code: str) -> None:
    """One blank means as much as four: in a patch, or in code indented by tabs."""
    assert text_of(f"<pre>{code}</pre>") == code


@pytest.mark.parametrize(
    "source",
    [
        "<p title='a > b'>seen",
        '<p title="<script>">seen</p>',
        "<p title = '>'>seen",
        '<a href="x"">seen</a>',
        "<a b='c'd>seen",
        "<br/>seen<title/>",
        "<p\nclass=x\n>seen",
        "<?xml version='1.0'?>seen",
        "<![CDATA[hidden]]>seen",
    ],
)
def test_a_tag_ends_where_a_browser_sees_its_end(source: str) -> None:
    """A sign of HTML inside a value is none, and a stray quote swallows no words."""
    assert text_of(source) == "seen"


# What strangers may send

MANY = 200_000
ATTRIBUTES = [f"x{number}" for number in range(MANY)]
HOSTILE = {
    "deep": "<div>" * MANY,
    "deep-behind-closing-tags": "</p>" * MANY + "<div>" * MANY,
    "attributes": f"<p {' '.join(ATTRIBUTES)}>",
    "attributes-without-blanks": "<p " + "''".join(f"{one}=" for one in ATTRIBUTES) + "''>",
    "reopened": "".join(f"<b id={number}>" for number in range(5000)) + "<p>seen</p>" * 4000,
    "comments": "<!-- x -->" * MANY,
    "blanks": " " * MANY + "\n" * MANY + " \n" * MANY,
    "signs": "<" * MANY + "&" * MANY,
    "equals": "<p " + "= " * MANY + ">",
    "cells": "<table>" + "<td>" * MANY + "</table>",
    "preformatted": "<pre>" * MANY + "</pre>" * MANY,
    "closing": "</script>" * MANY,
    "digits": "&#" + "9" * MANY + ";",
    "zeros": "&#" + "0" * MANY + ";",
    "hexadecimal": "&#x" + "f" * MANY + ";",
}
ENDLESS = {
    "comments": "<!--" * MANY,
    "tags": "<p " * MANY,
    "values": "<p x='" + "<p>" * MANY,
    "scripts": "<script>" * MANY,
    "titles": "<title></titl" * MANY,
    "declarations": "<!" * MANY,
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_hostile_html_costs_no_more_than_its_length(hostile: str) -> None:
    """Each would keep a parser busy for minutes, and with it this test."""
    words = text_of(f"{hostile}<script>hidden()</script><p>last &amp; <i>least</i></p>")
    assert words.split()[-3:] == ["last", "&", "least"]
    assert "hidden" not in words


@pytest.mark.parametrize("endless", ENDLESS.values(), ids=ENDLESS)
def test_what_never_ends_is_not_shown(endless: str) -> None:
    assert text_of(f"<p>seen</p>{endless}").strip() == "seen"


# Laws

PIECES = st.sampled_from(
    [
        *("<", ">", "</", "/>", "<p>", "</p>", "<pre>", "</pre>", "<script>", "</script>", "<!--"),
        *("-->", "<b ", "<table><td>", "<a href='", "&amp;", "&#0;", "&#xD800;", "&", "\x00", " "),
        *("\ud83d", "\ude00", "\n", "\u00a0", "<svg>", "<style>", "<title>", "word", "<br>"),
    ]
)
SOURCES = st.text(st.characters(exclude_categories=())) | st.lists(
    PIECES | st.text(st.characters(exclude_categories=()), max_size=3), max_size=30
).map("".join)


def is_storable(value: str) -> bool:
    return "\x00" not in value and value == value.encode("utf-8", "replace").decode()


@given(SOURCES)
def test_clean_gives_what_sqlite_can_hold(source: str) -> None:
    """No NUL and no lone surrogate is left, all else is as it was, and once is enough."""
    cleaned = clean(source)
    assert is_storable(cleaned)
    assert len(cleaned) == len(source)
    assert all(new in (old, "\ufffd") for old, new in zip(source, cleaned, strict=True))
    assert clean(cleaned) == cleaned


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [("a\x00b", "a\ufffdb"), ("\ud83d\ude00", "\ufffd\ufffd"), ("😀\x7f\n", "😀\x7f\n"), ("", "")],
)
def test_clean_replaces_one_by_one(value: str, cleaned: str) -> None:
    """Each sign that SQLite cannot hold becomes one that says so."""
    assert clean(value) == cleaned


@given(SOURCES)
def test_any_source_has_a_text(source: str) -> None:
    """Whatever comes, there is a text that SQLite can hold, with no blanks around its lines."""
    words = text_of(clean(source))
    assert is_storable(words)
    assert words == "\n".join(line.rstrip(" \t") for line in words.split("\n")).strip("\n")
    assert "\u00a0" not in words
    assert "\n\n\n" not in words


@given(SOURCES)
def test_a_line_of_words_is_its_own_text(source: str) -> None:
    """What holds no sign of HTML and no break is not changed by being read once more."""
    for line in text_of(clean(source)).split("\n"):
        once = text_of(line)
        if not {"<", "&"} & set(line):
            assert text_of(once) == once
