"""E-mail addresses, however they are written: found in text, HTML and JSON, and replaced. Pure.

Whoever looks for addresses does it here. Each sign of a text is looked at a bounded number of
times, whatever a stranger typed.
"""

import html
import json
import re
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple
from urllib.parse import unquote

from pylon_to_sqlite.errors import Unexpected
from pylon_to_sqlite.text import may_break_words, text_of
from pylon_to_sqlite.values import Value, as_json

# One of these is wherever an address is.
SIGNS = ("@", "\uff20", "%40", "%25", "&#", "&amp;#", "commat;", "u0040")
_AT = re.compile(r"[@\uff20]|%(?:25)*40|\\u0040")

# What nobody sees, and what encodes a sign that an address may have: in addresses of pages that are
# in others, twice.
_UNSEEN = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_HEX = "[0-9A-Fa-f]"
_PART = rf"%(?:25)*(?:2[BbDdEe]|[89A-Fa-f]{_HEX})"
_DOT = r"(?:\.|%(?:25)*2[Ee])"
_LAYERS = re.compile(r"%(?:25)+")
_NO_WORDS = re.compile(rf"[{_UNSEEN}]+")

# What usually stands before the sign; it is read from right to left.
_BEFORE = re.compile(rf"[\w.+'%{_UNSEEN}-]*")
# What in it is of something else: a sign that is encoded, or a percent sign.
_STRANGE = re.compile(rf"%(?!{_PART[1:]})(?:25)*(?:(?!25){_HEX}{{2}})?")
_BEGINNING = re.compile(rf"(?:['.+{_UNSEEN}-]|{_PART})*?(?=\w|%(?:25)*[89A-Fa-f])")
_DOMAIN = re.compile(rf"[\w{_UNSEEN}-]+(?:{_DOT}[\w{_UNSEEN}-]+)*")

# All that may stand before it, as far as an address can reach, from right to left too.
_SIGN = rf"[\w.!#$'*+/=?^`{{|}}~%{_UNSEEN}-]"
_ALL_BEFORE = re.compile(rf"(?:{_HEX}{{2}}(?:52)*%|{_SIGN}){{0,64}}(?P<more>{_SIGN})?")
_LONGEST_DOMAIN = 255
# What may also end whatever stands before an address: a sign in a link, a quotation mark, a path, a
# blank of no width.
_BREAK = re.compile(
    rf"%(?:25)*[89A-Fa-f]{_HEX}(?:%(?:25)*[89ABab]{_HEX})*|%(?:25)*{_HEX}{{2}}|[!#$'*/=?^`{{|}}~%\u200b\ufeff]"
)
_PERCENT = re.compile(r"%(?:25)*")
# Signs around words, such as those of lists and of emphasis; and what ends in them.
_AROUND = re.compile(rf"(?:[._+{_UNSEEN}-]|%(?:25)*2[BbDdEe])+")
_NAME = r"[^\W_]+(?:-+[^\W_]+)*"
_BARE_DOMAIN = re.compile(rf"{_NAME}(?:{_DOT}{_NAME})*")
# What a backslash before it takes for itself in JSON: a line break's letter, a sign's number.
_ESCAPED = re.compile(rf"u({_HEX}{{4}})|.")

# In HTML any sign may be written as its number.
_ENTITY = re.compile(
    r"&(?:#0*(?P<decimal>[0-9]{2,3})(?![0-9])|#[xX]0*(?P<hex>[0-9A-Fa-f]{2})(?![0-9A-Fa-f])"
    r"|(?P<name>commat|period|plus|lowbar|hyphen))(?:;|(?<=[0-9A-Fa-f]))"
)
# Most others stand for what no address has.
_MORE_ENTITIES = re.compile(
    r"&(?=[#\w])(?!(?:nbsp|lt|gt|quot|[mn]dash|[lr][sd]quo|hellip|amp);)"
    r"|&amp;(?=#|commat|period|plus|lowbar|hyphen)"
)
_NAMED = {"commat": "@", "period": ".", "plus": "+", "lowbar": "_", "hyphen": "-"}


class Found(NamedTuple):
    """An address as it is meant, how it is written, and what is written right before it."""

    address: str
    local: str
    at: str
    domain: str
    before: str


class Replacing(ABC):
    """What puts something in place of addresses, wherever these are."""

    tries_each: ClassVar[bool] = False
    """Whether an address is looked for at each place where it may begin and end, the longest first;
    else there is one, where it usually begins."""

    @abstractmethod
    def instead(self, found: Found) -> str | None:
        """What stands in place of an address from now on; None where it is none to replace."""

    def asks_for(self, domain: str) -> bool:
        """Whether an address of this domain may be one to replace."""
        return True

    def text(self, value: str) -> str:
        """`value` with addresses in it replaced."""
        if not _has_sign(value):
            return value
        plain, place = _without_entities(value)
        pieces, at = [], 0
        for start, end, new in self._replacements(plain):
            pieces += [value[at : place(start)], new]
            at = place(end)
        return "".join([*pieces, value[at:]]) if pieces else value

    def html(self, value: str) -> str:
        """HTML with addresses in it replaced. Where markup breaks one in two, which a reader would
        not see, all of it gives way to its text."""
        replaced = self.text(value)
        if _may_hide(replaced) and _has_sign(replaced):
            words = text_of(replaced)
            if (plain := self.text(words)) != words:
                return "<br>".join(html.escape(plain, quote=False).split("\n"))
        return replaced

    def all(self, value: Any) -> Any:
        """A value of JSON with addresses in it replaced, in names too."""
        if isinstance(value, str):
            return self.html(value)
        if isinstance(value, list):
            return [self.all(one) for one in value]
        if isinstance(value, dict):
            return {self.text(name): self.all(one) for name, one in value.items()}
        return value

    def stored(self, kind: str, value: Value) -> Value:
        """What a column of this kind holds, with addresses in it replaced."""
        if not isinstance(value, str) or not _has_sign(value):
            return value
        if value[:1] in ("[", "{"):
            # In JSON a sign before an address may be half of another.
            try:
                found = json.loads(value)
                return value if (kept := self.all(found)) == found else as_json(kept)
            except (ValueError, RecursionError, Unexpected):
                pass
        # What came as text may have markup in it too.
        return self.text(value) if kind in ("", "plain") else self.html(value)

    def _replacements(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Where addresses are that are to be replaced, and by what."""
        floor = 0
        for sign in _AT.finditer(text):
            if domain := _DOMAIN.match(text, sign.end()):
                places = _each if self.tries_each else _usual
                for start, end, found in places(text, floor, sign, domain, self.asks_for):
                    if (new := self.instead(found)) is not None:
                        # What stays as it is keeps its entities.
                        if new != text[start:end]:
                            yield start, end, new
                        # What was replaced begins no other.
                        floor = end
                        break
            floor = max(floor, sign.end())


def _has_sign(value: str) -> bool:
    return any(sign in value for sign in SIGNS)


def _may_hide(source: str) -> bool:
    """Whether a reader of this HTML may see addresses that are not in it as they are."""
    if "&" in source and _MORE_ENTITIES.search(source):
        return True
    return "<" in source and may_break_words(source)


def may_hold(column: str) -> str:
    """SQL for the values of a column that may hold addresses: no others do."""
    return "(" + " OR ".join(f"instr({column}, '{sign}')" for sign in SIGNS) + ")"


def normal(address: str) -> str:
    """An address as it is compared: case is of no meaning to those who write them, and what nobody
    sees has none."""
    return _NO_WORDS.sub("", address).strip().lower()


Places = Iterator[tuple[int, int, Found]]
Asking = Callable[[str], bool]


def _usual(
    text: str, floor: int, sign: re.Match[str], domain: re.Match[str], asks_for: Asking
) -> Places:
    """The address as it usually is: of letters, digits and few signs."""
    meant = _meant(domain.group())
    if not asks_for(meant):
        return
    end_of_local = _end_of_local(text, floor, sign)
    run = end_of_local - _length(_BEFORE, text[floor:end_of_local])
    start = run
    for strange in _STRANGE.finditer(text, run, end_of_local):
        start = strange.end()
    if begins := _BEGINNING.match(text, start, end_of_local):
        start = begins.end()
        local, at = text[start:end_of_local], text[end_of_local : sign.end()]
        address = f"{_meant(local)}@{meant}"
        yield start, domain.end(), Found(address, local, at, domain.group(), text[run:start])


def _each(
    text: str, floor: int, sign: re.Match[str], domain: re.Match[str], asks_for: Asking
) -> Places:
    """All addresses that may be there."""
    given = [(end, _meant(text[domain.start() : end])) for end in _ends(text, domain)]
    ends = [one for one in given if len(one[1]) <= _LONGEST_DOMAIN and asks_for(one[1])]
    if not ends:
        return
    end_of_local = _end_of_local(text, floor, sign)
    at = text[end_of_local : sign.end()]
    for start in _beginnings(text, floor, end_of_local):
        local = text[start:end_of_local]
        for end, meant in ends:
            address = f"{_meant(local)}@{meant}"
            yield start, end, Found(address, local, at, text[domain.start() : end], "")


def _beginnings(text: str, floor: int, end: int) -> list[int]:
    """Where an address may begin that ends there, the earliest first."""
    before = _ALL_BEFORE.match(text[floor:end][::-1])
    assert before is not None
    is_cut = before["more"] is not None
    first = end - before.end() + is_cut
    places = set() if is_cut else {first}
    for found in _BREAK.finditer(text, first, end):
        sign = _meant(found.group()) if len(found.group()) > 1 else ""
        # A letter or the like that is encoded is of the address itself.
        if len(found.group()) == 1 or not (sign.isalnum() or sign in "+-._"):
            places.add(found.end())
    places |= {found.end() for found in _PERCENT.finditer(text, first, end)}
    if text[first - 1 : first] == "\\" and (escaped := _ESCAPED.match(text, first, end)):
        number = escaped[1]
        if number is None or not chr(int(number, 16)).isalnum():
            places.add(escaped.end())
    for place in [*places]:
        if around := _AROUND.match(text, place, end):
            places.add(around.end())
    return sorted(place for place in places if place < end)


def _ends(text: str, domain: re.Match[str]) -> list[int]:
    """Where an address may end whose domain is there, the furthest first."""
    trimmed = domain.group().rstrip(f"-_.{_UNSEEN}")
    bare = _BARE_DOMAIN.match(text, domain.start())
    ends = {domain.start() + len(trimmed), bare.end() if bare else 0}
    return sorted((end for end in ends if end > domain.start()), reverse=True)


def _end_of_local(text: str, floor: int, sign: re.Match[str]) -> int:
    if not sign.group().startswith("\\"):
        return sign.start()
    # JSON in JSON has more than one backslash.
    return floor + len(text[floor : sign.start()].rstrip("\\"))


def _length(backwards: re.Pattern[str], text: str) -> int:
    """How long that is with which a text ends."""
    found = backwards.match(text[::-1])
    return found.end() if found else 0


def _meant(written: str) -> str:
    """What is written, without its encodings, as it is compared."""
    if "%" in written:
        # At once, for each layer by itself would take the square of their number.
        written = _LAYERS.sub("%", written)
        while (decoded := unquote(written)) != written:
            written = decoded
    return _NO_WORDS.sub("", written).lower()


def _without_entities(text: str) -> tuple[str, Callable[[int], int]]:
    """A text with the signs for which entities stand, and where a place in it is in the text."""
    pieces: list[str] = []
    places: list[int] = []
    lengths = [0]
    at = 0
    for entity in _ENTITY.finditer(text):
        sign = _sign(entity)
        if sign != entity.group():
            pieces += [text[at : entity.start()], sign]
            at = entity.end()
            places.append(entity.start() - lengths[-1])
            lengths.append(lengths[-1] + len(entity.group()) - 1)
    return "".join([*pieces, text[at:]]), lambda place: place + lengths[bisect_left(places, place)]


def _sign(match: re.Match[str]) -> str:
    """The sign that an entity stands for, where an address may have it."""
    decimal, hexadecimal, name = match.groups()
    sign = _NAMED.get(name) or chr(int(decimal) if decimal else int(hexadecimal, 16))
    return sign if sign.isascii() and (sign.isalnum() or sign in "@.+-_%") else match.group()
