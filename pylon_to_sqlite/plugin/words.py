"""Times, spans and files in words, for people. Pure."""

import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from math import isfinite
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from pylon_to_sqlite.plugin.sanitise import is_web
from pylon_to_sqlite.text import clean

_UUID = re.compile(r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}[-_]?", re.IGNORECASE)
_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60


class File(NamedTuple):
    """An attachment: its name, the host that has it, its address where a browser may go there, and
    where its contents are that were downloaded."""

    name: str
    host: str
    url: str
    path: str = ""


def span(seconds: object) -> str:
    """A span of time in its two largest units, such as 3 h 20 min; "" for what is none."""
    if not isinstance(seconds, (int, float)) or not isfinite(seconds):
        return ""
    whole = max(0, round(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        hours, rest = divmod(whole, _HOUR)
        return f"{hours} h {rest // _MINUTE} min" if rest >= _MINUTE else f"{hours} h"
    days, rest = divmod(whole, _DAY)
    return f"{days} d {rest // _HOUR} h" if rest >= _HOUR else f"{days} d"


def moment(value: object) -> datetime | None:
    """The time that a column holds, None where it holds none."""
    try:
        at = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)


def minute(value: object) -> str:
    """A time to the minute; what is none stays as it is."""
    at = moment(value)
    return f"{at:%Y-%m-%d %H:%M}" if at else str(value or "")


def listed(text: object) -> list[Any]:
    """What a JSON array in a column holds; nothing where it holds something else."""
    value = _parsed(text)
    return value if isinstance(value, list) else []


def mapped(text: object) -> dict[str, Any]:
    """What a JSON object in a column holds; nothing where it holds something else."""
    value = _parsed(text)
    return value if isinstance(value, dict) else {}


def _parsed(text: object) -> Any:
    try:
        value = json.loads(str(text))
    except (ValueError, RecursionError):
        return None
    # Its escapes can say what no page and no address can hold.
    return json.loads(clean(json.dumps(value, ensure_ascii=False)))


def files(text: object, kept: Mapping[str, str]) -> list[File]:
    """The attachments that a JSON array of addresses names, with where those are `kept` whose
    contents were downloaded."""
    return [_file(one, kept.get(one, "")) for one in listed(text) if isinstance(one, str) and one]


def _file(address: str, path: str) -> File:
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return File("attachment", "", "")
    if not is_web(address) or not host:
        return File("attachment", "", "")
    last = unquote(parts.path.rpartition("/")[2])
    return File(_UUID.sub("", last)[:200] or "attachment", host, address, path)
