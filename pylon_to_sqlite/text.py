"""Strangers' HTML to plain text, and strings that SQLite can hold. Knows nothing of Pylon.

Text needs no tree, and building one is where HTML parsers can be made to work for minutes: nesting,
attributes and formatting that is never closed each cost the best of them the square of their
number (benchmarks/README.md). This reads a document once, from left to right, by the rules by
which HTML tells tags, comments and raw text apart.
"""

import html
import re

_LINES = frozenset(
    (
        *("address", "article", "aside", "dd", "details", "dialog", "div", "dt"),
        *("fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "li", "main"),
        *("nav", "option", "section", "summary", "tr"),
    )
)
_PARAGRAPHS = frozenset(
    ("blockquote", "dl", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "table", "ul")
)
# What stands in them is no text, or none that is shown.
_UNSEEN = frozenset(("iframe", "noembed", "noframes", "script", "style", "template", "title"))

_MARKUP = re.compile(r"<(?:!--|[!?]|(/?)([a-zA-Z][^\s/>]*))")
_END_OF_COMMENT = re.compile(r"--!?>")
# Inside a tag only a value may hold ">", and only a "=" makes quotes those of a value.
_END_OF_TAG = re.compile(r">|=\s*(?:\"[^\"]*(\"?)|'[^']*('?))")
_END_OF_UNSEEN = {name: re.compile(rf"</{name}[\s/>]", re.IGNORECASE) for name in _UNSEEN}

_BLANKS = re.compile(r"[^\S\n]+")
_AROUND_BREAK = re.compile(r" *\n[ \ud802]*")
_ONE_BREAK = re.compile(r" *\ud803[ \ud803]*")
_EDGE_AFTER_BREAK = re.compile(r"\n *\ud803")
_BREAKS = re.compile(r"\n{3,}")
_UNSTORABLE = re.compile(r"[\ud800-\udfff\x00]")

# Stand-ins, for nothing that came in holds a surrogate: blanks that stay, a cell's beginning, and
# a block's edge, several of which are one break, and none after another break.
_KEPT_BLANK, _KEPT_TAB, _CELL, _LINE = "\ud800", "\ud801", "\ud802", "\ud803"
_KEEP = str.maketrans({" ": _KEPT_BLANK, "\t": _KEPT_TAB, "\u00a0": _KEPT_BLANK})
_RELEASE = str.maketrans({_KEPT_BLANK: " ", _KEPT_TAB: "\t", _CELL: "\t"})


def clean(value: str) -> str:
    """`value` without what SQLite cannot hold: lone surrogates and NUL become U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", value)


def text_of(source: str) -> str:
    """The words that a reader of this HTML would see: blocks on lines of their own, no script."""
    pieces: list[str] = []
    preformatted = 0
    at = 0
    while match := _MARKUP.search(source, at):
        pieces.append(_words(source[at : match.start()], preformatted))
        closing, name = match.group(1), (match.group(2) or "").lower()
        if not name:
            at = _end_of_comment(source, match)
            continue
        at = _end_of_tag(source, match.end())
        pieces.append(_break_of(name, bool(closing)))
        if name == "pre":
            preformatted = max(0, preformatted + (-1 if closing else 1))
        elif name in _UNSEEN and not closing and not source.endswith("/>", 0, at):
            end = _END_OF_UNSEEN[name].search(source, at)
            at = end.start() if end else len(source)
    pieces.append(_words(source[at:], preformatted))
    return _tidy("".join(pieces))


def _words(raw: str, preformatted: int) -> str:
    words = clean(html.unescape(raw) if "&" in raw else raw)
    if preformatted:
        return words.replace("\r\n", "\n").translate(_KEEP)
    return words.replace("\n", " ")


def _end_of_comment(source: str, match: re.Match[str]) -> int:
    """Where a comment, a declaration or an instruction ends; at the end, if it does not."""
    if match.group() == "<!--":
        end = _END_OF_COMMENT.search(source, match.end())
        return end.end() if end else len(source)
    end_of_other = source.find(">", match.end())
    return end_of_other + 1 if end_of_other >= 0 else len(source)


def _end_of_tag(source: str, at: int) -> int:
    while match := _END_OF_TAG.search(source, at):
        at = match.end()
        if match.group() == ">":
            return at
        if not (match.group(1) or match.group(2)):
            break  # A value that is never closed holds all the rest.
    return len(source)


def _break_of(tag: str, closing: bool) -> str:
    if tag == "br":
        return "\n"
    if tag in _LINES:
        return _LINE
    if tag in _PARAGRAPHS:
        return "\n\n"
    return _CELL if tag in ("td", "th") and not closing else ""


def _tidy(text: str) -> str:
    text = _ONE_BREAK.sub(_LINE, _BLANKS.sub(" ", text))
    text = _EDGE_AFTER_BREAK.sub("\n", text).replace(_LINE, "\n")
    text = _AROUND_BREAK.sub("\n", text)
    lines = (line.rstrip(_KEPT_BLANK + _KEPT_TAB) for line in text.split("\n"))
    text = _BREAKS.sub("\n\n", "\n".join(lines)).strip(f"\n {_CELL}")
    return text.replace(f" {_CELL}", _CELL).replace(f"{_CELL} ", _CELL).translate(_RELEASE)
