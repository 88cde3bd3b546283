"""Strangers' HTML to plain text, and strings that SQLite can hold. Knows nothing of Pylon."""

import html
import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

LINES = frozenset(
    (
        *("address", "article", "aside", "br", "dd", "details", "dialog", "div", "dt"),
        *("fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "li", "main"),
        *("nav", "option", "section", "summary", "tr"),
    )
)
PARAGRAPHS = frozenset(
    ["blockquote", "dl", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "table", "ul"]
)
UNSEEN = frozenset(["head", "iframe", "noembed", "object", "script", "style", "template", "title"])

# The parser is linear on real mail but quadratic in depth (100,000 nested divs: 25 s) and in the
# attributes of one tag (20,000: 0.6 s). Past these bounds the tags are cut out instead.
MAX_LENGTH = 5_000_000
MAX_DEPTH = 5_000
MAX_SPACES_IN_TAG = 2_000

_TAG = re.compile(r"<(/?)[a-zA-Z]([^<>]*)")
_UNSEEN_TAG = re.compile(r"<(/?)(script|style|template|title|head)\b[^<>]*>", re.IGNORECASE)
_SPACES = re.compile(r"[ \t\r\n\f\v\u00a0]+")
_LONE_BLANK = re.compile(r"^[ \t](?![ \t])", re.MULTILINE)
_SURROGATES = re.compile(r"[\ud800-\udfff\x00]")


def clean(value: str) -> str:
    """`value` without what SQLite cannot hold: lone surrogates and NUL become U+FFFD."""
    return _SURROGATES.sub("\ufffd", value)


def text_of(source: str) -> str:
    """The words that a reader of this HTML would see: blocks on lines of their own, no script."""
    if "<" not in source and "&" not in source:
        pieces = [_SPACES.sub(" ", source)]
    elif _is_hostile(source):
        pieces = _stripped(source)
    else:
        pieces = _walked(source)
    return _tidy("".join(pieces))


def _walked(source: str) -> list[str]:
    # By hand rather than by recursion or `traverse`: depth is the sender's, and a block needs
    # its break on leaving too.
    pieces: list[str] = []
    preformatted = 0
    root = LexborHTMLParser(source).root
    node: LexborNode | None = root
    while node is not None:
        tag = node.tag or ""
        if tag == "-text":
            words = node.text_content or ""
            pieces.append(words if preformatted else _SPACES.sub(" ", words))
        else:
            pieces.append(_break_of(tag))
        if tag not in UNSEEN and (child := node.child) is not None:
            preformatted += tag == "pre"
            node = child
            continue
        while node is not None and (following := node.next) is None:
            node = node.parent
            if node is None or node == root:
                return pieces
            pieces.append(_break_of(node.tag or "").rstrip("\t"))
            preformatted -= node.tag == "pre"
        if node is not None:
            node = following
    return pieces


def _break_of(tag: str) -> str:
    if tag in LINES:
        return "\n"
    if tag in PARAGRAPHS:
        return "\n\n"
    return "\t" if tag in ("td", "th") else ""


def _tidy(text: str) -> str:
    # Only preformatted lines begin with more than one blank: those are code and keep them.
    text = _LONE_BLANK.sub("", text.replace("\u00a0", " "))
    lines = (line.rstrip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def _is_hostile(source: str) -> bool:
    if len(source) > MAX_LENGTH:
        return True
    depth = 0
    for closing, rest in _TAG.findall(source):
        depth += -1 if closing else 1
        if depth > MAX_DEPTH or len(rest.split()) > MAX_SPACES_IN_TAG:
            return True
    return False


def _stripped(source: str) -> list[str]:
    pieces: list[str] = []
    start = 0
    hidden_until: str | None = None
    for match in _UNSEEN_TAG.finditer(source):
        closing, name = match.group(1), match.group(2).lower()
        if hidden_until is None:
            pieces.append(source[start : match.start()])
            hidden_until = None if closing else name
        elif closing and name == hidden_until:
            hidden_until = None
        start = match.end()
    if hidden_until is None:
        pieces.append(source[start:])
    return [html.unescape(re.sub(r"<[^<>]*>", "\n", piece)) for piece in pieces]
