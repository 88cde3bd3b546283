"""Compares all issues on both sides: what is deleted, merged or moved leaves no other sign.

Issues are listed by their creation, window after window from the oldest on, as whole records. It
is done once a day, beside all else, and goes on where a run was stopped.

What cannot be finished is tried again in the next run, and from then on once an hour, for each try
may ask for all there is. Only where that goes on for a day it is a failure of the run.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from pylon_to_sqlite import plan
from pylon_to_sqlite.errors import Gone, PylonError, Refused, Unauthorized
from pylon_to_sqlite.lanes import Steps
from pylon_to_sqlite.plan import Comparison, Page, Request, Window
from pylon_to_sqlite.reading import RESTARTS, Reading
from pylon_to_sqlite.rows import Rows, rows_of
from pylon_to_sqlite.support_streams import ISSUES

EVERY = timedelta(days=1)
AGAIN_AFTER = timedelta(hours=1)
# Seconds of creation that one question may span: a year at most since autumn 2026, thirty days
# before; a question asks for a little more on both sides.
SPANS = tuple(int(timedelta(days=days).total_seconds()) - 10 for days in (365, 30, 7, 1))
# So many issues of a window may be missing, or half of them, before that is no news but a fault:
# each would be asked for by its id.
FEW = 100


@dataclass
class Compared:
    """What was found; `error` where it could not be finished, and `failing`, since when that is so
    where it is for more than a day."""

    issues: int = 0
    gone: int = 0
    changed: int = 0
    missing: int = 0
    error: str | None = None
    failing: str | None = None

    @property
    def told(self) -> str | None:
        """What went wrong, as a sentence."""
        if self.failing is None:
            return self.error and f"Comparing all issues: {self.error}"
        return (
            f"Comparing all issues has failed since {self.failing}, so deleted ones may still be"
            f" here as if they were not: {self.error}"
        )


@dataclass
class Reconciliation:
    """One comparison, or the rest of one. `is_wanted` does not wait until a day has passed."""

    reading: Reading
    is_wanted: bool = False
    is_allowed: bool = False

    def __post_init__(self) -> None:
        self.found = Compared()
        self.store, self.wall = self.reading.store, self.reading.wall
        self.issues = self.reading.results[ISSUES.name]
        self.issues.is_compared = False
        self._cursor: str | None = None
        # Where the next run begins: at the first window that is not settled.
        self._left: str | None = None

    def steps(self) -> Steps:
        """Compare, if it is time, once all that changed is there. What goes wrong is found too, and
        fails nothing else."""
        while not self.issues.ended:
            yield None
        try:
            if self.issues.error is None:
                yield from self._compare()
        except Unauthorized:
            raise
        except PylonError as error:
            self.found.error = str(error)
        self._note_failure()
        self.issues.is_compared = True

    def _note_failure(self) -> None:
        """Remember that it could not be finished, and tell since when, also in a run between two
        tries."""
        last, now = self.store.memory.comparison(), self.reading.source.now()
        if self.found.error:
            last = replace(last, failing=last.failing or now, tried=now)
            self.store.memory.save_comparison(last)
        if last.failing and is_due(last.failing, now) and self.issues.error is None:
            self.found.failing = last.failing
            self.found.error = (
                self.found.error or f"the run that last tried, at {last.tried}, tells why"
            )

    def _compare(self) -> Steps:
        for comparison in self._to_compare():
            yield from self._go_on(comparison)

    def _go_on(self, comparison: Comparison) -> Steps:
        restarts = 0
        while comparison.reached and comparison.reached < (comparison.until or ""):
            span = comparison.span or SPANS[0]
            window = plan.window_from(comparison.reached, span, comparison.until or "")
            try:
                yield from self._read(window)
            except Refused as error:
                if self._cursor and restarts < RESTARTS:
                    # The cursor was refused, and not the window.
                    restarts += 1
                    continue
                smaller = [one for one in SPANS if one < span]
                if error.status != 400 or not smaller:
                    raise
                comparison = replace(comparison, span=smaller[0])
                continue
            if (yield from self._see_to_unseen(window)):
                self._left = min(filter(None, (self._left, window.after)), default=None)
            comparison = replace(comparison, reached=window.before)
            reached = min(filter(None, (self._left, window.before)))
            self.store.memory.save_comparison(replace(comparison, reached=reached))
        if self._left is None:
            # What spans fit is found out anew each time: it takes three requests.
            self.store.memory.save_comparison(Comparison(finished=comparison.began))
        else:
            self.store.memory.save_comparison(replace(comparison, reached=self._left))

    def _to_compare(self) -> Iterator[Comparison]:
        """What is to be compared now: nothing, all, or what another run has left of all. Where it
        was asked for, what that run had compared comes after: it may have changed since."""
        last, until = self.store.memory.comparison(), self.store.memory.checkpoint(ISSUES).watermark
        if until is None:
            return
        now, is_asked = self.reading.source.now(), self.is_wanted or self.is_allowed
        if not is_asked and not is_to_come(last, now):
            if last.finished is None and last.until is None:
                # All of it has only just been loaded.
                self.store.memory.save_comparison(replace(last, finished=now))
        elif last.until and not _is_outdated(last, now):
            yield replace(last, until=until)
            if is_asked:
                yield self._begun(last.reached or until, now)
        else:
            yield self._begun(until, now)

    def _begun(self, until: str, now: str) -> Comparison:
        """A new comparison, of what was created up to `until`."""
        oldest = self.store.oldest_issue() or until
        # What is older than all that is here would be missing alone: looked for when asked.
        reached = min(oldest, self.store.earliest()) if self.is_wanted else oldest
        last = self.store.memory.comparison()
        begun = replace(last, reached=reached, until=until, began=now, span=None)
        self.store.memory.save_comparison(begun)
        return begun

    def _read(self, window: Window) -> Steps:
        """Read the issues that were created in a window, and write what differs."""
        self.store.begin_walk(ISSUES)
        self._cursor = cursor = None
        seen: set[str] = set()
        is_asked_again = False
        while True:
            request = plan.request_created(window, cursor)
            page = yield request
            if page.is_silent and not is_asked_again:
                is_asked_again = True
                continue
            plan.see(request, page, seen)
            batch = [rows_of(ISSUES, record) for record in page.records]
            mirrored = self._in_scope(batch)
            counts = self.store.commit_compared(mirrored, self.wall())
            self.issues.version += 1
            # Those on an edge are in two windows.
            times = [str(rows.row["created_at"] or "") for rows in batch]
            self.found.issues += sum((window.after or "") <= one < window.before for one in times)
            self.found.missing += counts.new
            self.found.changed += counts.changed
            if page.cursor is None:
                return
            self._cursor = cursor = page.cursor

    def _see_to_unseen(self, window: Window) -> Generator[Request, Page, bool]:
        """Ask by id for the issues that are here and were not in the list, for a list can lack what
        is there; the issue itself tells. Gives whether one of them did not answer, or all of this
        is not believed."""
        is_left = False
        total, missing = self.store.unseen_issues(window)
        if len(missing) > FEW and 2 * len(missing) > total and not self.is_allowed:
            self.found.error = (
                f"Pylon's list lacks {len(missing):,} of the {total:,} issues that are here and"
                f" were created from {window.after} to {window.before}. If they are gone, say so"
                " once with --allow-deletes issues"
            )
            return True
        for key in missing:
            try:
                page = yield plan.request_by_id(ISSUES, key)
                rows = rows_of(ISSUES, page.records[0])
            except Gone:
                self.found.gone += self.store.parent_gone(ISSUES, key, self.wall())
            except Unauthorized:
                raise
            except PylonError as error:
                is_left, self.found.error = True, self.found.error or str(error)
            else:
                self.issues.version += 1
                mirrored = self._in_scope([rows])
                self.found.changed += self.store.commit_compared(mirrored, self.wall()).changed
                if rows.row["id"] != key:
                    # The issue that this one was merged into.
                    self.found.gone += self.store.parent_gone(ISSUES, key, self.wall())
        return is_left

    def _in_scope(self, batch: list[Rows]) -> list[Rows]:
        """What of it the mirror is to hold; the rest is gone, as far as it is here."""
        holds = self.reading.choice.holds_issue
        for rows in batch:
            if not holds(rows.row["type"]):
                self.found.gone += self.store.parent_gone(ISSUES, str(rows.row["id"]), self.wall())
        return [rows for rows in batch if holds(rows.row["type"])]


def is_due(last: str, now: str) -> bool:
    """Whether a day has passed; or the clock that told `last` was wrong, and one has to come."""
    return abs(plan.moment(now) - plan.moment(last)) >= EVERY


def is_to_come(last: Comparison, now: str) -> bool:
    """Whether a run compares that was not asked to: what is left of one, or all of it."""
    is_waiting = last.tried and last.tried != last.failing
    if is_waiting and abs(plan.moment(now) - plan.moment(str(last.tried))) < AGAIN_AFTER:
        return False
    return bool(last.until or (last.finished and is_due(last.finished, now)))


def _is_outdated(last: Comparison, now: str) -> bool:
    """Whether what a comparison found that fails is a day old, before the window where it does."""
    return bool(last.failing and last.began and is_due(last.began, now))
