"""Stable names in place of e-mail addresses, wherever these are: in text, HTML and JSON. Pure."""

import hmac
import html
import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

from pylon_to_sqlite.errors import Unexpected
from pylon_to_sqlite.text import text_of
from pylon_to_sqlite.values import Value, as_json

# No address can be delivered to there, by RFC 2606.
DOMAIN = "pseudonym.invalid"
# What nobody sees, and what encodes a sign that an address may have: in addresses of pages that are
# in others, twice.
_UNSEEN = "\u00ad\u200b-\u200d\u2060\ufeff"
_PART = r"%(?:25)*(?:2[BbDdEe]|[89A-Fa-f][0-9A-Fa-f])"
_DOT = r"(?:\.|%(?:25)*2[Ee])"
# Linear, whatever is searched: a run of signs that an address may have begins in one place.
_ADDRESS = re.compile(
    rf"(?:(?<![\w.+'%{_UNSEEN}-])|(?<=%)(?![0-9A-Fa-f]{{2}})"
    rf"|(?<=%)(?!{_PART[1:]})(?P<before>(?:25)*(?!25)[0-9A-Fa-f]{{2}}))"
    rf"(?P<local>(?:[\w.+'{_UNSEEN}-]|{_PART})+)"
    r"(?P<at>[@\uff20]|%(?:25)*40|\\+u0040)"
    rf"(?P<domain>[\w{_UNSEEN}-]+(?:{_DOT}[\w{_UNSEEN}-]+)+)"
)
_LAYERS = re.compile(r"%(?:25)+")
_BEGINNING = re.compile(rf"(?:['.+{_UNSEEN}-]|{_PART})*?(?=\w|%(?:25)*[89A-Fa-f])")
_NO_WORDS = re.compile(rf"[{_UNSEEN}]+")
# In HTML any sign may be written as its number.
_ENTITY = re.compile(
    r"&(?:#0*(?P<decimal>[0-9]{2,3})(?![0-9])|#[xX]0*(?P<hex>[0-9A-Fa-f]{2})(?![0-9A-Fa-f])"
    r"|(?P<name>commat|period|plus|lowbar|hyphen))(?:;|(?<=[0-9A-Fa-f]))"
)
_NAMED = {"commat": "@", "period": ".", "plus": "+", "lowbar": "_", "hyphen": "-"}
# One of these is wherever an address is.
SIGNS = ("@", "\uff20", "%40", "%25", "&#", "&commat", "u0040")
# After a bare percent sign a pseudonym looks as if it began with an encoded one.
_OURS = re.compile(r"%?[0-9a-f]{16}")


@dataclass(frozen=True)
class Pseudonyms:
    """Names in place of addresses: the same for the same address, as long as the `key` is."""

    key: bytes

    @property
    def fingerprint(self) -> str:
        """What tells this key from others, and not what it is."""
        return self._hash("pylon-to-sqlite")

    def text(self, value: str) -> str:
        """`value` with each address in it replaced."""
        if not any(sign in value for sign in SIGNS):
            return value
        if "&" in value and _ADDRESS.search(plain := _ENTITY.sub(_sign, value)):
            value = plain
        return _ADDRESS.sub(self._replaced, value)

    def html(self, value: str) -> str:
        """HTML with each address in it replaced. Where markup breaks one in two, which a reader
        would not see, all of it gives way to its text."""
        replaced = self.text(value)
        if "<" in replaced and any(sign in replaced for sign in SIGNS):
            words = text_of(replaced)
            if (plain := self.text(words)) != words:
                return "<br>".join(html.escape(plain, quote=False).split("\n"))
        return replaced

    def all(self, value: Any) -> Any:
        """A value of JSON with each address in it replaced, in names too."""
        if isinstance(value, str):
            return self.html(value)
        if isinstance(value, list):
            return [self.all(one) for one in value]
        if isinstance(value, dict):
            return {self.text(name): self.all(one) for name, one in value.items()}
        return value

    def stored(self, kind: str, value: Value) -> Value:
        """What a column of this kind holds, with each address in it replaced."""
        if not isinstance(value, str) or not any(sign in value for sign in SIGNS):
            return value
        if value[:1] in ("[", "{"):
            # In JSON a sign before an address may be half of another.
            try:
                found = json.loads(value)
                return value if (kept := self.all(found)) == found else as_json(kept)
            except (ValueError, RecursionError, Unexpected):
                pass
        return self.text(value) if kind in ("text", "plain") else self.html(value)

    def _replaced(self, match: re.Match[str]) -> str:
        local, domain = match["local"], match["domain"]
        before = match["before"] or ""
        begins = _BEGINNING.match(local)
        if begins is None:
            return match.group()
        name = local[begins.end() :]
        if domain == DOMAIN and any(map(_OURS.fullmatch, (name, before + name))):
            return match.group()
        # At once, for each layer by itself would take the square of their number.
        address = _LAYERS.sub("%", f"{name}@{domain}")
        while (decoded := unquote(address)) != address:
            address = decoded
        pseudonym = self._hash(_NO_WORDS.sub("", address).lower())
        return f"{before}{begins.group()}{pseudonym}{match['at']}{DOMAIN}"

    def _hash(self, words: str) -> str:
        return hmac.new(self.key, words.encode(), sha256).hexdigest()[:16]


def _sign(match: re.Match[str]) -> str:
    """The sign that an entity stands for, where an address may have it."""
    decimal, hexadecimal, name = match.groups()
    sign = _NAMED.get(name) or chr(int(decimal) if decimal else int(hexadecimal, 16))
    return sign if sign.isascii() and (sign.isalnum() or sign in "@.+-_%") else match.group()
