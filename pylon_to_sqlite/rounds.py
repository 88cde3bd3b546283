"""Run after run, for those without cron: when the next one begins, and how it has been going.

Knows no click and no file: what a round does, the clock and where to tell of it are arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal, NamedTuple

from pylon_to_sqlite.errors import Busy, MoreToDo, PylonError, Unauthorized, Unusable
from pylon_to_sqlite.limits import Clock
from pylon_to_sqlite.plan import iso

# Where Pylon is down, nobody is served by asking it more often than this, in seconds.
LONGEST_PAUSE = 3600.0
# Doubling beyond this says nothing more.
MOST_DOUBLINGS = 12

State = Literal["well", "failing", "busy"]


class Round(NamedTuple):
    """What became of one round. `is_down` where nothing at all could be read."""

    state: State
    detail: str
    is_down: bool = False


@dataclass(frozen=True)
class Health:
    """What is told after each round; times are UTC by this machine's clock."""

    at: str
    state: State
    detail: str
    failures: int
    """Rounds in a row that failed, this one among them."""
    next_at: str
    has_turned: bool
    """Whether it went from well to failing or back."""


@dataclass
class Rounds:
    """A round at once, and then one each `every` seconds, counted from the beginning of the last:
    times that pass while a round is at work are left out, as cron's would be if it could.

    `attempt` is given whether all rounds so far were turned away, and what it returns or raises
    decides: Unauthorized ends it all, so does Unusable in the very first round, for then nobody has
    seen it work; whatever else fails is tried again, later and later while Pylon is down.
    """

    every: float
    attempt: Callable[[bool], Round]
    clock: Clock
    tell: Callable[[Health], None]

    def run(self) -> None:
        """Go on until a signal comes between two rounds; one that comes in a round is raised."""
        is_first, is_at_work = True, False
        last: State = "well"
        failures = downs = 0
        try:
            while True:
                began = self.clock.steady()
                is_at_work = True
                one, is_through = self._round(is_first, may_fail=failures > 0 or not is_first)
                is_at_work = False
                is_first = is_first and not is_through
                failures = failures + 1 if one.state == "failing" else 0
                downs = downs + 1 if one.is_down else 0
                pause = self._pause(began, downs)
                has_turned = one.state not in (last, "busy")
                last = one.state if one.state != "busy" else last
                now = self.clock.now()
                health = Health(_iso(now), *one[:2], failures, _iso(now + pause), has_turned)
                self.tell(health)
                self.clock.sleep(pause)
        except KeyboardInterrupt:
            if is_at_work:
                raise

    def _round(self, is_first: bool, *, may_fail: bool) -> tuple[Round, bool]:
        """What became of a round, and whether it got as far as to read."""
        try:
            return self.attempt(is_first), True
        except Busy as error:
            return Round("busy", str(error)), False
        except MoreToDo as error:
            return Round("well", f"{error}; the next round goes on"), True
        except Unusable as error:
            if not may_fail:
                raise
            return Round("failing", str(error), is_down=True), False
        except Unauthorized:
            raise
        except PylonError as error:
            return Round("failing", str(error), is_down=True), False

    def _pause(self, began: float, downs: int) -> float:
        """Seconds to wait: never less than the interval after the last beginning."""
        pause = min(LONGEST_PAUSE, self.every * 2.0 ** min(max(0, downs - 1), MOST_DOUBLINGS))
        pause = max(self.every, pause)
        took = self.clock.steady() - began
        # Where a round took longer, the next of its times.
        return pause - took if took < pause else self.every - took % self.every


def _iso(seconds: float) -> str:
    return iso(datetime.fromtimestamp(seconds, timezone.utc))
