"""One run, or one after the other, as the command line shows them and signals end them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING

from pylon_to_sqlite.display import counted
from pylon_to_sqlite.errors import Removed, Unusable

if TYPE_CHECKING:
    from pylon_to_sqlite.client import Client
    from pylon_to_sqlite.display import Display
    from pylon_to_sqlite.journal import Journal
    from pylon_to_sqlite.limits import Clock
    from pylon_to_sqlite.rounds import Round
    from pylon_to_sqlite.run import Outcome, Wishes


# Seconds that are slept at once between two runs, so that nothing is noticed later than that: not
# a signal that got lost, nor that the machine was asleep.
NAP = 60.0


def mirror_once(
    db: Path,
    client: Client,
    wishes: Wishes,
    show: Display | Journal,
    interrupt: Interrupt | None = None,
) -> Outcome:
    """One run, shown, and ended by SIGTERM as by Ctrl-C."""
    from pylon_to_sqlite.limits import stoppable
    from pylon_to_sqlite.run import mirror

    stop = Event()
    client.clock = stoppable(stop, wishes.until)
    client.on_wait = show.waiting
    client.on_answer = show.answered
    interrupt = interrupt or Interrupt()
    began = datetime.now(timezone.utc)
    show.began(db)
    try:
        wishes = replace(wishes, check=interrupt.check)
        outcome = mirror(db, client, wishes, show.progress, show.result)
    finally:
        # Who waits for the rate limit wakes up; who waits for an answer is not waited for.
        stop.set()
        show.close()
    took = datetime.now(timezone.utc) - began
    show.summary(outcome, client.requests, client.waited, took.total_seconds())
    return outcome


class Interrupt:
    """What a signal does: SIGTERM, which systemd and docker send, and SIGHUP, of a terminal that
    is closed, as Ctrl-C. Python loses an exception that a signal raises while something is being
    finalised, so it is remembered too."""

    def __init__(self) -> None:
        self._came = False
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(one) is not signal.SIG_IGN or one is signal.SIGTERM:
                signal.signal(one, self._come)

    def check(self) -> None:
        """Raise what was lost."""
        if self._came:
            raise KeyboardInterrupt

    def _come(self, number: int, frame: FrameType | None) -> None:
        self._came = True
        signal.default_int_handler(number, frame)


def stay(
    db: Path,
    every: float,
    ask: Callable[[bool], tuple[Client, Wishes]],
    show: Display | Journal,
    clock: Clock | None = None,
) -> None:
    """Run after run until a signal comes between two. `ask` gives what the next one needs, and
    takes whether none has read anything yet."""
    from pylon_to_sqlite.rounds import Rounds

    # It is there to stay: also when the terminal goes that started it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interrupt = Interrupt()
    kept = Kept(db)

    def attempt(is_first: bool) -> Round:
        with kept.watched():
            # Anew in each round: a token that was replaced is read again.
            client, wishes = ask(is_first)
            try:
                outcome = mirror_once(db, client, wishes, show, interrupt)
            finally:
                client.close()
        return round_of(outcome, client.requests)

    Rounds(every, attempt, napping(interrupt.check, clock), show.health).run()


def napping(check: Callable[[], None], clock: Clock | None = None) -> Clock:
    """The clock that runs are waited for by: it goes on while the machine is asleep, and its
    sleeper looks around now and then."""
    from pylon_to_sqlite.limits import Clock

    clock = clock or Clock(steady=awake_or_not)

    def sleep(seconds: float) -> None:
        end = clock.steady() + seconds
        while (left := end - clock.steady()) > 0:
            check()
            clock.sleep(min(left, NAP))
        check()

    return Clock(clock.now, sleep, clock.steady)


def awake_or_not() -> float:
    """Seconds that nobody can set back, those too in which a laptop was shut."""
    since_boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if since_boot is None else time.clock_gettime(since_boot)


def round_of(outcome: Outcome, requests: int) -> Round:
    """What there is to tell of a run that came to its end."""
    from pylon_to_sqlite.rounds import Round

    failed = [f"{one.stream.name}: {one.error}" for one in outcome.results if one.error]
    if failed or outcome.failed:
        more = f" (and {len(failed) - 1} more streams)" if len(failed) > 1 else ""
        said = f"{failed[0]}{more}" if failed else str(outcome.ending.error)
        return Round("failing", said, is_down=len(failed) == len(outcome.results) > 0)
    counts = outcome.counts
    told = f"{counted(counts.new, counts.changed)}, {counts.gone:,} gone; {requests:,} requests"
    return Round("well", told)


class Kept:
    """The file, which no round makes anew once there was one: whoever moved it away, or has not
    mounted its disk yet, would find an empty one in its place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._was_there = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Around a round. Raises Unusable where the file has gone."""
        is_there = self._path.exists()
        if self._was_there and not is_there:
            raise Unusable(
                f"{self._path} is gone: put it back, or start this again to make a new one"
            )
        self._was_there = is_there
        try:
            yield
        except Removed:
            self._was_there = True
            raise
        self._was_there = True
