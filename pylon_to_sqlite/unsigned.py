"""Addresses of files without what is secret in them. Pure.

Pylon signs these addresses: whoever has one with its query can read the file until it expires, and
the query is another one in every answer. Which parameters are signatures nobody can know of every
host, so no query is kept at all, nor a name and password before the host.
"""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

_ADDRESS = re.compile(r"((?:[a-z][a-z0-9+.-]*:)?//)([^/?#\\]*)([^?#]*)", re.IGNORECASE)
_ON_THE_WEB = re.compile(r"https?://[^/?#\\]", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
LONGEST_NAME = 255


def unsigned(value: str) -> str:
    """An address without its query, fragment and user; any other text as it is."""
    match = _ADDRESS.match(value.strip())
    if match is None:
        return value
    scheme, host, path = match.groups()
    return f"{scheme.lower()}{host.rpartition('@')[2]}{path}"


def all_unsigned(value: Any) -> Any:
    """A value of JSON with each text in it unsigned, whatever shape it has."""
    if isinstance(value, str):
        return unsigned(value)
    if isinstance(value, list):
        return [all_unsigned(one) for one in value]
    if isinstance(value, dict):
        return {name: all_unsigned(one) for name, one in value.items()}
    return value


def addresses(text: str | None) -> list[str]:
    """The addresses in a column that holds a JSON array of them, each once and unsigned."""
    try:
        found = json.loads(text or "[]")
    except (ValueError, RecursionError):
        return []
    named = [one for one, _ in signed(found)]
    return list(dict.fromkeys(named))


def signed(value: object) -> Iterator[tuple[str, str]]:
    """Each address on the web in a list, unsigned and as it was given."""
    for one in value if isinstance(value, list) else ():
        if isinstance(one, str) and _ON_THE_WEB.match(one.strip()):
            yield unsigned(one), one.strip()


def file_name(address: str) -> str | None:
    """What the file at an address is called: its last segment, as people read it."""
    path = address.partition("://")[2].partition("/")[2]
    name = unquote(path.rpartition("/")[2]).replace("\\", "/").rpartition("/")[2]
    name = _CONTROL.sub("\ufffd", name).strip()[:LONGEST_NAME]
    return None if name in ("", ".", "..") else name
