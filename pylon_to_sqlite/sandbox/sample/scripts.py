"""Reads the sample's scripts: text files of conversations and articles, with gaps to fill in.

A file is a row of chunks. A chunk is a `# title`, lines of `name: value`, a blank line and a body.
The body of a conversation is cut into steps by lines such as `@customer ~2h +screenshot.png`:

    @who                  one of customer, colleague, customer-person, agent, bot (seen by all),
                          note, peer, eng, csm (internal notes), or a deed like escalate or close
    ?                     right after the name: only in some of the conversations
    ~2h                   at least that long after the step before
    =2h                   not earlier than that long after the group's start (an incident's)
    +file.png             an attachment

In all text `{name}` is filled in, `[[a|b]]` is one of several wordings, and a paragraph that
begins with `? ` is only sometimes said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from random import Random
from typing import Any

_SECONDS = {"m": 60, "h": 3600, "d": 86_400}
_STEP = re.compile(r"^@([a-z-]+)(\??)((?: +[^ \n]+)*) *$", re.MULTILINE)
_GAP = re.compile(r"\{(\w+)\}")
_WORDINGS = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)
_INLINE = (
    (re.compile(r"\[([^\]]+)\]\((https?://[^)\s]+)\)"), r'<a href="\2">\1</a>'),
    (re.compile(r"\*\*(.+?)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"(?<!\w)\*(\S(?:.*?\S)?)\*(?!\w)"), r"<em>\1</em>"),
)


@dataclass(frozen=True)
class Step:
    """Something that is said or done in a conversation. Times are seconds."""

    who: str
    text: str = ""
    words: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    wait: float = 0.0
    since_start: float = 0.0
    optional: bool = False


@dataclass(frozen=True)
class Chunk:
    """A conversation or an article as it was written, gaps and wordings included."""

    title: str
    head: Mapping[str, str]
    body: str
    steps: tuple[Step, ...]

    def listed(self, name: str) -> list[str]:
        """The items of a line of the head."""
        return [item.strip() for item in self.head.get(name, "").split(",") if item.strip()]

    def choices(self, name: str) -> list[str]:
        """The alternatives in a line of the head."""
        return [item.strip() for item in self.head.get(name, "").split("|") if item.strip()]

    def values(self, random: Random) -> dict[str, str]:
        """One set of the values that the head lets vary: `let: a / b = 1 / 2 | 3 / 4`."""
        names, _, sets = self.head.get("let", "").partition("=")
        if not sets:
            return {}
        chosen = random.choice(sets.split("|")).split(" / ")
        return dict(zip((n.strip() for n in names.split("/")), map(str.strip, chosen), strict=True))


def data(name: str) -> Any:
    """A JSON file of the sample."""
    return json.loads(_read(name))


def chunks(name: str) -> list[Chunk]:
    """The conversations or articles of a text file of the sample."""
    return [_chunk(text) for text in re.split(r"^# ", _read(name), flags=re.MULTILINE)[1:]]


def seconds(text: str) -> float:
    """A span such as 20m, 3h or 2d."""
    return float(text[:-1]) * _SECONDS[text[-1]]


def filled(text: str, values: Mapping[str, str], random: Random) -> str:
    """A text with its wordings chosen and its gaps filled in."""
    text = _WORDINGS.sub(lambda found: random.choice(found[1].split("|")), text)
    said = (part for part in text.split("\n\n") if part[:2] != "? " or random.random() < 0.5)
    text = "\n\n".join(part.removeprefix("? ") for part in said)
    while _GAP.search(text):
        text = _GAP.sub(lambda found: values[found[1]], text)
    return text


def html(text: str) -> str:
    """A text as the HTML of a message: paragraphs, lists, code, quotes, headings and links."""
    blocks = re.split(r"\n[ \t]*\n", text.strip("\n"))
    return "".join(_block(block.splitlines()) for block in blocks if block.strip())


def _read(name: str) -> str:
    return (files(__package__) / "words" / name).read_text(encoding="utf-8")


def _chunk(text: str) -> Chunk:
    top, _, body = text.partition("\n\n")
    title, *lines = top.splitlines()
    head = dict(line.split(": ", 1) for line in lines)
    return Chunk(title, head, body, tuple(_steps(body)))


def _steps(body: str) -> list[Step]:
    parts = _STEP.split(body)[1:]
    return [_step(*parts[at : at + 4]) for at in range(0, len(parts), 4)]


def _step(who: str, optional: str, options: str, text: str) -> Step:
    words = options.split()
    spans = {mark: [seconds(w[1:]) for w in words if w[0] == mark] for mark in "~="}
    return Step(
        who,
        text.strip("\n"),
        tuple(word for word in words if word[0] not in "~=+"),
        tuple(word[1:] for word in words if word[0] == "+"),
        wait=sum(spans["~"]),
        since_start=sum(spans["="]),
        optional=bool(optional),
    )


def _block(lines: list[str]) -> str:
    if all(line.startswith("    ") for line in lines):
        code = escape("\n".join(line[4:] for line in lines), quote=False)
        return f"<pre><code>{code}</code></pre>"
    for mark, tag in ((r"- ", "ul"), (r"\d+\. ", "ol")):
        if all(re.match(mark, line) for line in lines):
            items = (_inline(re.sub(f"^{mark}", "", line)) for line in lines)
            return f"<{tag}>" + "".join(f"<li>{item}</li>" for item in items) + f"</{tag}>"
    text = " ".join(line.strip() for line in lines)
    if text.startswith("## "):
        return f"<h2>{_inline(text[3:])}</h2>"
    return f"<p>{_inline(text)}</p>"


def _inline(text: str) -> str:
    parts = escape(text, quote=False).split("`")
    for at in range(0, len(parts), 2):
        for pattern, replacement in _INLINE:
            parts[at] = pattern.sub(replacement, parts[at])
    return "".join(f"<code>{p}</code>" if at % 2 else p for at, p in enumerate(parts))
