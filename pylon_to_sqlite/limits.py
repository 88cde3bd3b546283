"""How long to wait: what Pylon says of its allowances, and the clock to wait by."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime

# Allowances are counted by the minute; a 429 that says nothing else is over by then.
MINUTE = 60.0


@dataclass(frozen=True)
class Clock:
    """Seconds since 1970, and a way to let them pass. Tests pass one that only counts."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


def told_to_wait(headers: Mapping[str, str], server_now: float) -> float | None:
    """Seconds that an answer asks to wait (X-Retry-After, else Retry-After), None if it does not.

    Either may be seconds or an HTTP date, which is held against the server's own clock.
    """
    for name in ("x-retry-after", "retry-after"):
        value = headers.get(name, "").strip()
        try:
            seconds = float(value)
        except ValueError:
            moment = http_date(value)
            if moment is None:
                continue
            seconds = moment - server_now
        if seconds == seconds:  # not NaN
            return max(0.0, seconds)
    return None


def http_date(value: str) -> float | None:
    """Seconds since 1970 of an HTTP date, None where it is none."""
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.timestamp()
