"""How long to wait: what Pylon says of its allowances, and the clock to wait by."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from pylon_to_sqlite.errors import MoreToDo

# Allowances are counted by the minute; a 429 that says nothing else is over by then.
MINUTE = 60.0
# How long to hold back while another worker's request asks whether there is allowance again.
PROBE = 0.05
LATEST = 4_102_444_800.0  # the year 2100


@dataclass(frozen=True)
class Clock:
    """Seconds since 1970, a way to let them pass, and seconds that nobody can set back, which is
    what waits are counted by. Tests pass one that only counts."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    steady: Callable[[], float] = time.monotonic


def stoppable(stop: threading.Event, until: float | None = None) -> Clock:
    """The real clock, whose sleepers wake when `stop` is set, or when it is `until` by the steady
    clock, and then raise MoreToDo."""

    def sleep(seconds: float) -> None:
        left = seconds if until is None else until - time.monotonic()
        if stop.wait(max(0.0, min(seconds, left))):
            raise MoreToDo("stopped while waiting")
        if left < seconds:
            raise MoreToDo("the time is up")

    return Clock(time.time, sleep, time.monotonic)


class Ticket(NamedTuple):
    """Leave to send one request: what was known to be left then, in which minute."""

    left: int
    window: int


class Allowance:
    """What one endpoint may be asked in a minute, as far as its answers have told.

    `guess` stands in until the server has spoken; `share` of the allowance is used, one request a
    minute at least, the rest left to the organisation's other tools. All of it is in use at once:
    burst, then wait.
    """

    def __init__(self, clock: Clock, guess: int, share: float) -> None:
        self._clock = clock
        self._guess = guess
        self._share = share
        self._most = guess
        self._left = guess
        self._flying = 0
        self._sent = 0
        self._answered = 0
        self._highest = 0
        self._window = 0
        self._is_heard = False
        self._is_refused = False
        self._blocked_until = 0.0
        self._window_ends = 0.0
        self._lock = threading.Lock()

    def take(self) -> Ticket | float:
        """Leave to send a request, which is then counted, or the seconds to wait for it."""
        with self._lock:
            now = self._clock.steady()
            if now < self._blocked_until:
                return self._blocked_until - now
            if now >= self._window_ends:
                self._begin_window(now)
            if self._left - self._flying <= self._most - self._usable:
                if self._share < 1:
                    return self._window_ends - now
                # Nothing says until when: one request asks, and its 429 is obeyed.
                if self._flying:
                    return PROBE
            self._flying += 1
            self._sent += 1
            return Ticket(self._left, self._window)

    def answered(self, ticket: Ticket, remaining: int | None) -> None:
        """A request was answered; `remaining` is what the server says is left."""
        with self._lock:
            self._flying -= 1
            if ticket.window != self._window:
                # Of the minute before: it tells nothing of this one.
                return
            self._answered += 1
            if remaining is None:
                self._left -= 1
                if self._sent > self._most:
                    # The guess was too low, and the server will not say by how much.
                    self._left += self._most
                    self._most *= 2
                return
            if remaining >= ticket.left:
                # More than there was before it was sent: another minute has begun. What is left
                # now tells nothing, for answers come in another order than they are counted in.
                self._begin_window(self._clock.steady())
                self._answered = 1
                self._left = remaining
            self._is_heard = True
            self._left = min(self._left, remaining)
            # Requests under way may be counted there already, and those of the minute before are
            # counted nowhere here: never too much, and right in the end.
            self._highest = max(self._highest, remaining + 1)
            self._most = max(self._left + self._answered, self._highest)

    def refused(self, seconds: float, *, is_told: bool) -> None:
        """A request met a 429 that asks to wait so long."""
        with self._lock:
            self._flying -= 1
            self._is_refused = True
            if not is_told:
                self._most = max(1, self._answered)
            self._blocked_until = max(self._blocked_until, self._clock.steady() + seconds)
            self._window_ends = self._blocked_until

    def failed(self) -> None:
        """A request got no answer."""
        with self._lock:
            self._flying -= 1

    @property
    def _usable(self) -> int:
        return max(1, int(self._most * self._share))

    def _begin_window(self, now: float) -> None:
        if not (self._is_heard or self._is_refused) and self._sent >= self._usable < self._guess:
            # A refusal that said nothing may have been a passing one.
            self._most = min(self._guess, self._most * 5 // 4 + 1)
        self._left, self._window_ends = self._most, now + MINUTE
        self._sent = self._answered = self._highest = 0
        self._window += 1
        self._is_heard = self._is_refused = False


def guess_of(method: str, template: str) -> int:
    """What Pylon's documents since autumn 2026 allow an endpoint in a minute."""
    if (method, template) == ("GET", "/issues"):
        return 30
    is_slow = template.endswith(("/search", "/messages", "/threads"))
    return 120 if is_slow else 300


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
    # A year 10000 is no time that anything here can work with.
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    seconds = moment.timestamp()
    return seconds if 0 < seconds < LATEST else None
