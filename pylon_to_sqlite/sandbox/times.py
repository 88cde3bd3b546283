"""Times as the sandbox keeps them (epoch milliseconds) and as the API writes them (RFC 3339)."""

from __future__ import annotations

import time
from datetime import datetime

DAY = 86_400
_OPENS, _WORKDAY = 9 * 3600, 8 * 3600  # nine to five in UTC, Monday to Friday


def millis(seconds: float) -> int:
    """Epoch seconds as milliseconds, the precision in which Pylon stores times."""
    return round(seconds * 1000)


def written(ms: int | None) -> str:
    """A time in a payload: cut to whole seconds, and "" when unset."""
    if ms is None:
        return ""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms // 1000))


def precise(ms: int) -> str:
    """A time with its milliseconds, as cursors hold it."""
    return f"{written(ms)[:-1]}.{ms % 1000:03d}Z"


def read(text: str) -> int:
    """The milliseconds of an RFC 3339 time. Raises ValueError, also when it names no zone."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return millis(moment.timestamp())


def business_seconds(start_ms: int, end_ms: int) -> int:
    """The seconds of business hours between two times."""
    return _worked(end_ms // 1000) - _worked(start_ms // 1000)


def _worked(seconds: int) -> int:
    days, rest = divmod(seconds - 4 * DAY, DAY)  # 1970-01-05 was the first Monday
    weeks, weekday = divmod(days, 7)
    today = min(max(rest - _OPENS, 0), _WORKDAY) if weekday < 5 else 0
    return (weeks * 5 + min(weekday, 5)) * _WORKDAY + today
