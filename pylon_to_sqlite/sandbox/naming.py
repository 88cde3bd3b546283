"""Names for what the sandbox makes up: people, and the nth of a few words."""

from __future__ import annotations

import re

_FIRST = ("Ada", "Bruno", "Chiara", "Dmitri", "Esi", "Farah", "Goran", "Hana", "Ivo", "Jun")
_LAST = ("Adeyemi", "Bianchi", "Castillo", "Dufour", "Eriksen", "Fischer", "Gupta", "Haddad")


def slug(text: str, joint: str = "-") -> str:
    """A text as a slug."""
    return re.sub(r"[^a-z0-9]+", joint, text.lower()).strip(joint)


def person(n: int) -> str:
    """The name of the nth person."""
    return f"{_FIRST[n % len(_FIRST)]} {_LAST[n // 3 % len(_LAST)]}"


def nth(words: tuple[str, ...], n: int) -> str:
    """The nth of some words, with a number once they are used up."""
    again = n // len(words)
    return words[n % len(words)] + (f" {again + 1}" if again else "")
