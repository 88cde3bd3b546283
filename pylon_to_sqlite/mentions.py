"""E-mail addresses that stand in text, HTML, links or JSON: found, and replaced. Pure.

Each sign of a text is looked at a bounded number of times, whatever a stranger typed.
"""

import re
from collections.abc import Callable, Iterator

# As itself, in a link, and as HTML can write it.
_AT = re.compile(r"@|%40|&#0*64;|&#[xX]0*40;|&commat;")
# What may stand before it; the letters are read from right to left.
_BEFORE = re.compile(r"[\w.!#$'*+/=?^`{|}~%-]*")
_AFTER = re.compile(r"[^\W_]+(?:-+[^\W_]+)*(?:\.[^\W_]+(?:-+[^\W_]+)*)*")
# What may also end whatever stands before an address: a sign in a link, a quotation mark, a path.
_BREAK = re.compile(r"%[0-9a-fA-F]{2}|[!#$'*/=?^`{|}~%]")
_LONGEST_BEFORE, _LONGEST_AFTER = 64, 255

IsOne = Callable[[str], bool]


def normal(address: str) -> str:
    """An address as it is compared: case is of no meaning to those who write them."""
    return address.strip().lower()


def replaced(text: str, is_one: IsOne, mark: str) -> str:
    """`text` with a mark in place of each address that `is_one`, which is asked with addresses as
    `normal` gives them."""
    pieces, at = [], 0
    for start, end in _found(text, is_one):
        if start >= at:
            pieces += [text[at:start], mark]
            at = end
    return "".join([*pieces, text[at:]]) if pieces else text


def addresses_in(text: str) -> set[str]:
    """The addresses in a text, each the longest that it can be."""
    found: set[str] = set()

    def take(address: str) -> bool:
        found.add(address)
        return True

    for _ in _found(text, take):
        pass
    return found


def _found(text: str, is_one: IsOne) -> Iterator[tuple[int, int]]:
    """Where the addresses are."""
    for sign in _AT.finditer(text):
        domain = _AFTER.match(text, sign.end(), sign.end() + _LONGEST_AFTER)
        if domain is None:
            continue
        nearby = text[max(0, sign.start() - _LONGEST_BEFORE) : sign.start()]
        before = _BEFORE.match(nearby[::-1])
        length = before.end() if before else 0
        start = sign.start() - length
        is_escaped = text[start - 1 : start] == "\\"
        for skipped in _beginnings(text[start : sign.start()], is_escaped=is_escaped):
            if is_one(normal(f"{text[start + skipped : sign.start()]}@{domain.group()}")):
                yield start + skipped, domain.end()
                break


def _beginnings(local: str, *, is_escaped: bool) -> list[int]:
    """Where an address may begin in what stands before its sign, the earliest first."""
    places = {0, *(match.end() for match in _BREAK.finditer(local))}
    if is_escaped:
        # The letter of a line break in JSON.
        places.add(1)
    # Signs around words, such as those of lists and of emphasis.
    places |= {place + len(local[place:]) - len(local[place:].lstrip("._+-")) for place in places}
    return sorted(place for place in places if place < len(local))
