"""Strangers' HTML to plain text, and strings that SQLite can hold. Knows nothing of Pylon.

Text needs no tree, and building one is where HTML parsers can be made to work for minutes: nesting,
attributes and formatting that is never closed each cost the best of them the square of their
number (benchmarks/README.md). This reads a document once, from left to right, by the rules by
which HTML tells tags, comments and raw text apart.
"""

import html
import re

_EDGE = -1
"""A break at the edge of a block: none where there is one already."""
_BREAKS = {
    "br": 1,
    **dict.fromkeys(
        (
            *("address", "article", "aside", "dd", "details", "dialog", "div", "dt"),
            *("fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "li", "main"),
            *("nav", "option", "section", "summary", "tr"),
        ),
        _EDGE,
    ),
    **dict.fromkeys(
        ("blockquote", "dl", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "table", "ul"),
        2,
    ),
}
_CELLS = frozenset(("td", "th"))
# What stands in them is no text, or none that is shown.
_UNSEEN = frozenset(("iframe", "noembed", "noframes", "script", "style", "template", "title"))

# A tag to its name, and to its end where that is in plain sight; or what begins something else.
_MARKUP = re.compile(
    r"<(?:(/?)([a-zA-Z][^\s/>]*)([^<>\"'=]*(?:=\"[^<>\"]*\"[^<>\"'=]*)*>)?|!--|[!?])"
)
# What follows on "<": tags that end words, others that are in plain sight and hide nothing, and
# whatever else is no word.
_ENDING = rf"/?(?:{'|'.join(sorted({*_BREAKS, *_CELLS}))})[\s/>]"
_INLINE = (
    rf"(?!{_ENDING}|/?(?:{'|'.join(sorted(_UNSEEN))})[\s/>])/?[a-zA-Z][a-zA-Z0-9:-]*"
    r"(?:[\s/][^<>\"'=]*(?:=\"[^<>\"]*\"[^<>\"'=]*)*)?>"
)
_ODD = rf"(?=/?[a-zA-Z]|[!?])(?!{_ENDING}|{_INLINE})"
# A word goes on, which a full stop at the end of a sentence does not.
_WORDY = r"[^\s<>\"(),:\[\]]"
_MORE = rf"(?!\.(?:\s|<{_ENDING}|\Z)){_WORDY}"
_WITHIN = re.compile(
    rf"<(?<={_WORDY}<)(?:{_ODD}|{_INLINE}(?:<{_INLINE})*(?:{_MORE}|<{_ODD}))", re.IGNORECASE
)
_END_OF_COMMENT = re.compile(r"--!?>")
# Inside a tag only a value may hold ">", and only a "=" makes quotes those of a value.
_END_OF_TAG = re.compile(r">|=\s*(?:\"[^\"]*(\"?)|'[^']*('?))")
_END_OF_UNSEEN = {name: re.compile(rf"</{name}[\s/>]", re.IGNORECASE) for name in _UNSEEN}
# Numbers of signs: leading zeros, and numbers that are no sign's.
_ZEROS = re.compile(r"&#0+(?=[0-9])")
_TOO_LARGE = re.compile(r"&#[1-9][0-9]{7,}")
_UNSTORABLE = re.compile(r"[\ud800-\udfff\x00]")

# Stand-ins, for nothing that came in holds a surrogate: blanks that stay, and a cell's beginning.
_KEPT_BLANK, _KEPT_TAB, _CELL = "\ud800", "\ud801", "\ud802"
_KEEP = str.maketrans({" ": _KEPT_BLANK, "\t": _KEPT_TAB, "\u00a0": _KEPT_BLANK})
_RELEASE = str.maketrans({_KEPT_BLANK: " ", _KEPT_TAB: "\t", _CELL: "\t"})
_AROUND_CELL = re.compile(f" ?{_CELL} ?")


def clean(value: str) -> str:
    """`value` without what SQLite cannot hold: lone surrogates and NUL become U+FFFD."""
    if value.isascii() and "\x00" not in value:
        return value
    return _UNSTORABLE.sub("\ufffd", value)


def text_of(source: str) -> str:
    """The words that a reader of this HTML would see: blocks on lines of their own, no script."""
    source = clean(source)
    lines = _Lines()
    preformatted = at = 0
    while match := _MARKUP.search(source, at):
        start = match.start()
        if start > at:
            lines.add(source[at:start], preformatted)
        closing, name, rest = match.groups()
        if name is None:
            at = _end_of_comment(source, match)
            continue
        at = match.end() if rest else _end_of_tag(source, match.end(2))
        name = name.lower()
        if name in _BREAKS:
            lines.end(_BREAKS[name])
            if name == "pre":
                preformatted = max(0, preformatted + (-1 if closing else 1))
        elif closing:
            continue
        elif name in _CELLS:
            lines.begin_cell()
        elif name in _UNSEEN and not source.endswith("/>", 0, at):
            end = _END_OF_UNSEEN[name].search(source, at)
            at = end.start() if end else len(source)
    lines.add(source[at:], preformatted)
    return lines.text()


def may_break_words(source: str) -> bool:
    """Whether markup may stand within a word of this HTML: where not, each word of its text is in
    it as it is, but for entities. Brackets, commas and colons are taken for the ends of words."""
    return _WITHIN.search(source) is not None


class _Lines:
    """Words and breaks on their way to lines: blanks count as one, and breaks as two at most."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._line: list[str] = []
        self._gap = 0
        self._is_marked = False

    def add(self, raw: str, preformatted: int) -> None:
        words = _unescaped(raw) if "&" in raw else raw
        if not preformatted:
            self._line.append(words)
            return
        first, *others = words.replace("\r\n", "\n").translate(_KEEP).split("\n")
        self._is_marked = True
        self._line.append(first)
        for other in others:
            self.end(1)
            self._line.append(other)

    def begin_cell(self) -> None:
        self._is_marked = True
        self._line.append(_CELL)

    def end(self, gap: int) -> None:
        """End the line, and leave a gap of so many breaks, or one at the EDGE of a block."""
        if self._line:
            self._finish()
        if gap != _EDGE:
            self._gap += gap
        elif not self._gap:
            self._gap = 1

    def text(self) -> str:
        self._finish()
        return "".join(self._pieces)

    def _finish(self) -> None:
        line = " ".join("".join(self._line).split())
        if self._is_marked:
            line = _AROUND_CELL.sub(_CELL, line).strip(_CELL)
            line = line.rstrip(_KEPT_BLANK + _KEPT_TAB).translate(_RELEASE)
        self._line.clear()
        if line:
            if self._pieces:
                self._pieces.append("\n\n" if self._gap > 1 else "\n")
            self._pieces.append(line)
            self._gap = 0


def _unescaped(words: str) -> str:
    if "&#" in words:
        # Python refuses to read numbers of thousands of digits.
        words = _TOO_LARGE.sub("&#9999999", _ZEROS.sub("&#", words))
    return html.unescape(words)


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
