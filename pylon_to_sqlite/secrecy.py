"""Keeps a secret out of words: wherever text may repeat it, whole, in part or encoded. Pure."""

import re
from base64 import b64encode
from collections.abc import Iterator
from functools import cached_property

HIDDEN = "…"
# What every token begins with is no secret, and shorter parts tell too little to be looked for.
_PREFIX = re.compile(r"pylon_api_(?:eu_)?")
PART = 12
# A shorter secret may be a word of any text, as "sandbox" is.
SHORTEST = 16

# A sign as it is, or as %41, \u0041, \x41, &#65;, &#x41; or, of some, \/ say it.
_SIGN = re.compile(
    r"%([0-9a-fA-F]{2})|\\+u00([0-9a-fA-F]{2})|\\+x([0-9a-fA-F]{2})|&#[xX]0*([0-9a-fA-F]{1,2});"
    r"|&#0*([0-9]{1,3});|\\+([\"'/])|.",
    re.DOTALL,
)


class Secret:
    """A token, which is shown by nothing that is asked to show this."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return f"Secret({HIDDEN!r})"

    def hide(self, text: str) -> str:
        """`text` without the secret, nor parts of it, as they are or encoded for an address, for
        HTML, JSON, or by base64 or hex."""
        signs = [(_said(one), one.start(), one.end()) for one in _SIGN.finditer(text)]
        said = "".join(sign for sign, _, _ in signs)
        kept: list[str] = []
        end = 0
        for first, last in sorted(self._found(said)):
            start, stop = signs[first][1], signs[last][2]
            if start > end or not kept:
                kept.append(text[end:start])
            end = max(end, stop)
        return HIDDEN.join([*kept, text[end:]])

    def taken_out(self, body: bytes) -> bytes:
        """The bytes of an answer without the secret: nothing that Pylon gives is to put it into
        the file."""
        if len(self._value) < SHORTEST:
            return body
        return body.replace(self._value.encode(), HIDDEN.encode())

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        """Where parts of the secret are, by their first and last signs."""
        for part in self._parts:
            at = text.find(part)
            while at >= 0:
                yield at, at + len(part) - 1
                at = text.find(part, at + 1)

    @cached_property
    def _parts(self) -> frozenset[str]:
        prefix = _PREFIX.match(self._value)
        own = self._value[prefix.end() :] if prefix else self._value
        in_hex = self._value.encode().hex()
        windows = (own[at : at + PART] for at in range(len(own) - PART + 1))
        coded = (_in_base64(text) for text in (self._value, f"Bearer {self._value}"))
        return frozenset((self._value, in_hex, in_hex.upper(), *windows)).union(*coded)


def _said(match: re.Match[str]) -> str:
    if match.lastindex is None:
        return match[0]
    if match.lastindex == 6:
        return match[6]
    return chr(int(match[match.lastindex], 10 if match.lastindex == 5 else 16))


def _in_base64(text: str) -> set[str]:
    """What base64 makes of the text, wherever in some other text it stands."""
    found = set()
    for before in range(3):
        coded = b64encode(b"\0" * before + text.encode()).decode()
        # In the signs at its edges what stands beside it has a part.
        inner = coded[(0, 2, 3)[before] :].rstrip("=")
        inner = inner[:-1] if (len(text) + before) % 3 else inner
        found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return found
