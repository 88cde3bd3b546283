"""Strangers' HTML, made harmless to show. Where that would be costly, or nh3 is not there, their
words as text. Knows nothing of pages."""

import html
import re
from collections import Counter
from typing import NamedTuple

from markupsafe import Markup

from pylon_to_sqlite.text import clean, text_of

try:
    import nh3
except ImportError:
    # A wheel of it is not there for every machine; text is.
    nh3 = None  # type: ignore[assignment]

# Without the pictures that mails hold. Thousands of attributes cost the square of their number:
# 0.06 s at this length.
LONGEST = 100_000
# A parser builds a tree: the work is about the number of tags times how deep they stand. 100,000
# nested divs take 28 s.
DEEPEST = 150
MOST_WORK = 200_000
# What is left out of this goes without its words too.
_UNSEEN = {
    *("applet", "audio", "canvas", "embed", "frameset", "head", "iframe", "math", "noembed"),
    *("noframes", "noscript", "object", "script", "select", "style", "svg", "template"),
    *("textarea", "title", "video", "xmp"),
}
TAGS = frozenset(
    (
        *(
            "a",
            "abbr",
            "b",
            "blockquote",
            "br",
            "caption",
            "cite",
            "code",
            "dd",
            "del",
            "dfn",
            "div",
        ),
        *(
            "dl",
            "dt",
            "em",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "hr",
            "i",
            "ins",
            "kbd",
            "li",
            "mark",
        ),
        *("ol", "p", "pre", "q", "s", "samp", "small", "span", "strong", "sub", "sup", "table"),
        *("tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul", "var"),
    )
)
# Not even class and id: the page's own styles are no toy for strangers.
_ATTRIBUTES = {"a": {"href"}, "ol": {"start"}}
_LEADS_OUT = re.compile(r"(?:https?://|mailto:)[^\s/?#]", re.IGNORECASE)
_START = re.compile(r"[0-9]{1,6}")

_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
# They end where the next begins, or have no end at all.
_FLAT = frozenset(("br", "col", "dd", "dt", "hr", "img", "input", "li", "link", "meta", "p", "wbr"))
_DATA = re.compile(r"""\bsrc\s*=\s*(["'])data:[^"'<>]*\1""", re.IGNORECASE)
_IMAGE = re.compile(r"<img\b([^<>]{0,4000})>", re.IGNORECASE)
# No two runs of blanks side by side: to share out many of them costs the square of their number.
_TINY = re.compile(
    r"""\b(?:width|height)\s*[=:]\s*(?:["']\s*)?[01](?:px)?(?:["';/]|\s|$)""", re.IGNORECASE
)
_VALUE = {
    name: re.compile(rf"""(?:^|\s){name}\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.I)
    for name in ("alt", "src")
}


# Formatting that is never closed a parser opens anew in every block that follows: without a limit
# where it has attributes (6 s and 21 MB for a message of 37 kB), three times where it has none.
_FORMATTING = re.compile(
    r"<(b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?=[\s/])([^<>]*)(>?)", re.IGNORECASE
)


class Shown(NamedTuple):
    """What to show of a message: `markup` where its HTML was made harmless, else `text`."""

    markup: Markup | None
    text: str


class Sanitiser:
    """Makes the HTML of one page harmless, within an amount of work for all of it."""

    def __init__(self, work: int = 4 * MOST_WORK) -> None:
        self._left = work

    def shown(self, source: str | None, text: str | None) -> Shown:
        """`source` for a page; `text` is the same as text, where that is known already."""
        source = clean(source or "")
        if source and nh3 is not None:
            prepared = _prepared(source)
            needed = work(prepared)
            if needed <= min(MOST_WORK, self._left):
                markup = _sanitised(prepared)
                self._left -= max(needed, len(markup) // 2)
                # What stands in tags that nobody should see goes with them, even if that is all.
                if len(markup) <= 2 * LONGEST and markup.striptags():
                    return Shown(markup, "")
        return Shown(None, clean(text_of(source) if text is None else text))


def _prepared(source: str) -> str:
    """`source` with links in place of pictures, and formatting without attributes. Nothing that
    comes before nh3 can do harm, and nothing comes after it; but what keeps its work small comes
    last, for else it could be put together from what is left."""
    slim = _DATA.sub("", source)
    if len(slim) > LONGEST:
        return slim
    return _FORMATTING.sub(_plain, _IMAGE.sub(_named, slim))


def _plain(tag: re.Match[str]) -> str:
    """A tag of formatting without its attributes. Where it does not end in plain sight, it is made
    one that formats nothing."""
    name, attributes, end = tag.groups()
    return f"<{name}>" if end else f"<span{attributes}"


def work(source: str) -> int:
    """About how many steps a parser needs; more than MOST_WORK where it is not worth counting."""
    if len(source) > LONGEST:
        return MOST_WORK + 1
    depth, steps = 0, len(source) // 4
    opened: Counter[str] = Counter()
    for slash, tag in _TAG.findall(source):
        name = tag.lower()
        # What closes nothing makes nothing less deep.
        step = -1 if slash and opened[name] else 1 if not slash and name not in _FLAT else 0
        opened[name] += step
        depth += step
        steps += depth + 1
        if depth > DEEPEST or steps > MOST_WORK:
            return MOST_WORK + 1
    return steps


def is_web(address: object) -> bool:
    """Whether it is an address that a browser may be sent to."""
    return isinstance(address, str) and bool(re.match(r"https?://[^\s/?#]", address, re.IGNORECASE))


def _sanitised(prepared: str) -> Markup:
    return Markup(
        nh3.clean(
            prepared,
            tags=set(TAGS),
            clean_content_tags=_UNSEEN,
            attributes=_ATTRIBUTES,
            attribute_filter=_attribute,
            url_schemes={"http", "https", "mailto"},
            link_rel="noopener noreferrer nofollow",
        )
    )


def _attribute(_: str, name: str, value: str) -> str | None:
    """Values that stay: addresses elsewhere, never in this Datasette, beginnings of lists, and the
    rel that nh3 gives."""
    if name == "href":
        return value if _LEADS_OUT.match(value) else None
    if name == "start":
        return value if _START.fullmatch(value) else None
    return value if name == "rel" else None


def _named(image: re.Match[str]) -> str:
    """A link in place of a picture, for a picture tells its sender who looks at it, and when."""
    attributes = image[1]
    if _TINY.search(attributes):
        return ""
    words = f"Picture: {_value('alt', attributes)}".removesuffix(": ")
    address = _value("src", attributes)
    if is_web(address):
        return f'<a href="{html.escape(address)}">[{html.escape(words)}]</a>'
    return f"[{html.escape(words)}]"


def _value(name: str, attributes: str) -> str:
    found = _VALUE[name].search(attributes)
    return html.unescape(next((one for one in found.groups() if one), "")) if found else ""
