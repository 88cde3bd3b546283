"""Strangers' HTML: nothing of it runs, loads or leads into the reader's own Datasette, and its
words are there all the same."""

import time

import pytest
from surfing import tree

from pylon_to_sqlite.plugin import sanitise
from pylon_to_sqlite.plugin.sanitise import LONGEST, MOST_WORK, Sanitiser, Shown, is_web, work

# What each does where it is not made harmless, and words of it that are to be read nevertheless.
PAYLOADS = {
    "script": "<script>alert(1)</script>shown",
    "script in capitals": "<ScRiPt src=//evil.example/x.js></sCrIpT>shown",
    "unclosed script": "shown<script>alert(1)",
    "onerror": "<img src=x onerror=alert(1)>shown",
    "onload": "<body onload=alert(1)>shown</body>",
    "onclick": '<p onclick="alert(1)" onmouseover=alert(1)>shown</p>',
    "onfocus": "<a href=x autofocus onfocus=alert(1) tabindex=1>shown</a>",
    "svg": "<svg onload=alert(1)><script>alert(1)</script></svg>shown",
    "svg use": '<svg><use href="data:image/svg+xml,<svg onload=alert(1)>"/></svg>shown',
    "svg animate": "<svg><animate onbegin=alert(1) attributeName=x dur=1s></svg>shown",
    "mxss math": (
        "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1"
        ' onerror=alert(1)&gt;"></mglyph></table></mtext></math>shown'
    ),
    "mxss style": (
        "<svg></p><style><a id=\"</style><img src=1 onerror=alert(1)>\"></style></svg>shown"
    ),
    "mxss noscript": (
        '<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript>shown'
    ),
    "mxss namespace": (
        '<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>'
        "</style></mglyph></form></mtext></math></form><p>shown"
    ),
    "srcdoc": '<iframe srcdoc="<script>alert(1)</script>"></iframe>shown',
    "iframe": "<iframe src=javascript:alert(1)></iframe>shown",
    "object": "<object data=javascript:alert(1)></object><embed src=//evil.example>shown",
    "form": (
        "<form action=//evil.example><input name=password><button formaction=//evil.example>"
        "</button></form>shown"
    ),
    "base": "<base href=//evil.example/><a href=x>shown</a>",
    "javascript": "<a href=\"javascript:alert(1)\">shown</a>",
    "javascript hidden": "<a href=\" java\tscript&colon;alert(1)\">shown</a>",
    "vbscript": "<a href=vbscript:x>shown</a>",
    "data": "<a href=\"data:text/html,<script>alert(1)</script>\">shown</a>",
    "relative": "<a href=/-/logout>shown</a><a href=//evil.example>shown</a>",
    "overlay": (
        "<div style=\"position:fixed;inset:0;background:url(//evil.example)\" class=note id=main>"
        "shown</div>"
    ),
    "style": "<style>*{background:url(//evil.example)}</style><link rel=stylesheet href=//e>shown",
    "meta": "<meta http-equiv=refresh content='0;url=//evil.example'>shown",
    "remote image": "<img src=https://evil.example/pixel.gif width=1 height=1>shown",
    "picture": "<picture><source srcset=//evil.example/x><img src=//evil.example/y></picture>shown",
    "srcset": "<img srcset='//evil.example/x 1x'>shown",
    "video": "<video poster=//evil.example><source src=//e onerror=alert(1)></video>shown",
    "background": "<table background=//evil.example><tr><td>shown</table>",
    "escaping": "</div></article></main><script>alert(1)</script><h1 id=main>shown",
    "comment": "<!--><img src=x onerror=alert(1)>--><!-- --!><script>alert(1)</script>shown",
    "cdata": "<![CDATA[<img src=x onerror=alert(1)>]]>shown",
    "template": "<template><script>alert(1)</script></template>shown",
    "custom element": "<x-y onclick=alert(1)>shown</x-y><slot name=z></slot>",
    "image in image": "<img alt='<img src=x onerror=alert(1)>' src=https://e.example/x>shown",
    "alt that ends": "<img alt='\"><script>alert(1)</script>' src=https://e.example/x.png>shown",
    "address that ends": "<img src='https://e.example/\"onclick=alert(1)//'>shown",
    "select": "shown<select><style></select><script>alert(1)</script>",
    "textarea": "<textarea></textarea><img src=x onerror=alert(1)>shown",
    "null": "<scr\x00ipt>alert(1)</scr\x00ipt><img src=x one\x00rror=alert(1)>shown",
    "surrogate": "\ud83d<script>alert(1)</script>shown\udc00",
}  # fmt: skip

HARMLESS = sanitise.TAGS | {"html", "head", "body"}
"""What a parser makes of a fragment, and no more."""


@pytest.mark.parametrize("source", PAYLOADS.values(), ids=PAYLOADS)
def test_nothing_runs_loads_or_leads_astray(source: str) -> None:
    shown = Sanitiser().shown(source, None)
    assert shown.markup is not None
    found = tree(str(shown.markup))
    assert {one.tag for one in found.iter() if isinstance(one.tag, str)} <= HARMLESS
    for one in found.iter():
        assert set(one.attrib) <= {"href", "rel", "start"}
        if "href" in one.attrib:
            assert one.tag == "a"
            assert str(one.get("href")).startswith(("https://", "http://"))
            assert one.get("rel") == "noopener noreferrer nofollow"
    assert "shown" in "".join(found.itertext())
    # And it stays so when it is read once more.
    again = Sanitiser().shown(str(shown.markup), None)
    assert again.markup == shown.markup


def test_what_a_mail_is_made_of_is_kept() -> None:
    source = (
        "<h2>Two ways</h2><p>Hello <b>Zoë</b> &amp; all,</p><ol start=3><li>one<li>two</ol>"
        "<blockquote><pre><code>a &lt; b</code></pre></blockquote><table><tr><td>x<td>y</table>"
        '<a href="https://x.example/?a=1&amp;b=2">there</a> <a href=mailto:a@b.example>mail</a>'
    )
    assert Sanitiser().shown(source, None) == Shown(
        '<h2>Two ways</h2><p>Hello <b>Zoë</b> &amp; all,</p><ol start="3"><li>one</li><li>two</li>'
        "</ol><blockquote><pre><code>a &lt; b</code></pre></blockquote><table><tbody><tr><td>x</td>"
        '<td>y</td></tr></tbody></table><a href="https://x.example/?a=1&amp;b=2"'
        ' rel="noopener noreferrer nofollow">there</a> <a href="mailto:a@b.example"'
        ' rel="noopener noreferrer nofollow">mail</a>',
        "",
    )


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("<b style='x' class=y>bold</b>", "<b>bold</b>"),
        ("<STRONG\nid=1>bold</STRONG>", "<strong>bold</strong>"),
        ('<code class="a>b">x</code>', '<code>b"&gt;x</code>'),
        # What does not end in plain sight formats nothing.
        ('<i title="<x">y</i>', "<span>y</span>"),
        ("<b<img src=/x width=1> x=1>y", "<b>y</b>"),
        ("<i/title=x>y</i>", "<i>y</i>"),
    ],
)
def test_formatting_has_no_attributes(source: str, shown: str) -> None:
    assert Sanitiser().shown(source, None).markup == shown


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        (
            '<img alt="A &amp; B" src="https://x.example/a.png?s=1&amp;t=2">',
            '<a href="https://x.example/a.png?s=1&amp;t=2" rel="noopener noreferrer nofollow">'
            "[Picture: A &amp; B]</a>",
        ),
        (
            "<IMG SRC='http://x.example/a.png'/>",
            '<a href="http://x.example/a.png" rel="noopener noreferrer nofollow">[Picture]</a>',
        ),
        ('<img src="cid:1" alt=logo>', "[Picture: logo]"),
        ('<img alt="here" src="data:image/png;base64,AAAA">', "[Picture: here]"),
        ('<img src="https://x.example/pixel" width="1" height="1">', ""),
        ('<img src="https://x.example/pixel" style="width:1px">', ""),
        ('<img src="https://x.example/a.png" width="100">', None),
    ],
)
def test_a_picture_is_a_link_that_nobody_follows_unasked(image: str, shown: str | None) -> None:
    found = Sanitiser().shown(f"a{image}b", None).markup
    assert found is not None
    if shown is None:
        assert "[Picture]</a>" in found
    else:
        assert found == f"a{shown}b"


# Each takes a parser seconds or minutes without a limit.
COSTLY = {
    "nested": "<div>" * 100_000,
    "nested inline": "<b><i>" * 50_000,
    "nested tables": "<table><tr><td>" * 20_000,
    "formatting never closed": "".join(f"<b x={n}>" for n in range(5000)) + "<p>" * 20_000,
    "formatting that is closed by nothing": "<p>"
    + "".join(f"<b x={n}></z>" for n in range(1000))
    + "<p>w</z>" * 3000,
    "blocks in formatting": "".join(f"<font x={n}><p>" for n in range(20_000)),
    "attributes": "<p " + " ".join(f"a{n}=1" for n in range(40_000)) + ">",
    "long": "x" * 2_000_000,
    "long picture": "<img alt='" + "x" * 2_000_000 + "'>",
}


@pytest.mark.parametrize("source", COSTLY.values(), ids=COSTLY)
def test_what_would_cost_too_much_is_shown_as_text(source: str) -> None:
    began = time.perf_counter()
    shown = Sanitiser().shown(f"shown {source}", "the text")
    assert time.perf_counter() - began < 5
    assert shown == Shown(None, "the text")
    assert Sanitiser().shown(f"shown {source}", None).text.startswith("shown")


# Each is as costly as is let through.
JUST_LET_THROUGH = {
    "formatting": "words" + "".join(f"<b x={n}>" for n in range(100)) + "<p>" * 1200,
    "deep": "words" + "<div>" * 140,
    "attributes": "words<p " + " ".join(f"a{n}" for n in range(14_000)) + ">",
    "misnested": "words" + "<b><p></b>" * 4000,
    "pictures": "words" + "<img a>" * 9_000,
    # An end that does not end what it names: it stands in what begins anew. Six seconds, if
    # formatting kept its attributes.
    "false ends": "<div>"
    + "".join(f"<b x={n}><object></b></object>" for n in range(1000))
    + "</div>"
    + "<p>w</p>" * 3000,
    "false ends in quotes": "<p>"
    + "".join(f'<b x="<{n}"><object></b></object>' for n in range(1000))
    + "<p>w</p>" * 3000,
    "all formatting thrice": "<p>"
    + "<b><i><u><s><code><em><strong><small><big><tt><strike><font>" * 3
    + "<object></b></i></u></s></code></em></strong></small></big></tt></strike></font>" * 3
    + "</object>"
    + "<p>w</p>" * 1000,
}


@pytest.mark.parametrize("source", JUST_LET_THROUGH.values(), ids=JUST_LET_THROUGH)
def test_what_is_let_through_is_quick(source: str) -> None:
    assert work(source) <= MOST_WORK
    began = time.perf_counter()
    shown = Sanitiser().shown(source, None)
    assert time.perf_counter() - began < 2
    # Most become a page of what size they had; some would grow, and are text.
    assert "w" in (shown.markup or shown.text)
    assert len(shown.markup or "") <= 2 * LONGEST


BLANKS = " " * 3_900


@pytest.mark.parametrize(
    "attributes",
    [f"width={BLANKS}x", f"width{BLANKS}x", f"height=1{BLANKS}x", f"alt={BLANKS}>", f"src{BLANKS}"],
)
def test_blanks_in_pictures_are_quick(attributes: str) -> None:
    source = "words" + f"<img {attributes}>" * 25
    assert work(source) <= MOST_WORK
    began = time.perf_counter()
    assert Sanitiser().shown(source, None).markup
    assert time.perf_counter() - began < 1


def test_a_page_of_costly_messages_ends_in_text() -> None:
    """However many of them there are, one page does no more than so much."""
    source = JUST_LET_THROUGH["formatting"]
    sanitiser = Sanitiser()
    shown = [sanitiser.shown(source, "the text") for _ in range(100)]
    assert shown[0].markup is not None
    assert shown[-1] == Shown(None, "the text")
    assert sum(one.markup is not None for one in shown) * work(source) <= 4 * MOST_WORK


def test_pictures_inside_of_a_mail_do_not_make_it_text() -> None:
    picture = f'<img alt="screen" src="data:image/png;base64,{"A" * 3_000_000}">'
    shown = Sanitiser().shown(f"<p>Look:</p>{picture}<p>Odd</p>", "the text")
    assert shown.markup == "<p>Look:</p>[Picture: screen]<p>Odd</p>"


def test_without_nh3_there_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sanitise, "nh3", None)
    assert Sanitiser().shown("<p>a<script>b</script></p>", "a") == Shown(None, "a")
    assert Sanitiser().shown("<p>a<script>b</script></p>", None) == Shown(None, "a")


@pytest.mark.parametrize("source", ["", None])
def test_what_has_no_html_is_its_text(source: str | None) -> None:
    assert Sanitiser().shown(source, "words") == Shown(None, "words")
    assert Sanitiser().shown(source, None) == Shown(None, "")


def test_words_that_are_all_in_what_is_left_out_are_text() -> None:
    assert Sanitiser().shown("<select><option>words</select>", None) == Shown(None, "words")


@pytest.mark.parametrize(
    "address",
    [
        "javascript:x",
        "//x.example",
        "/x",
        "data:x",
        "ftp://x",
        "https://",
        "",
        None,
        7,
        " https://x.example",
    ],
)
def test_what_is_no_address_of_the_web(address: object) -> None:
    assert not is_web(address)
