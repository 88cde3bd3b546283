"""The engine: what of each stream is read in a run, side by side. No SQL, no HTTP."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from pylon_to_sqlite import plan
from pylon_to_sqlite.children import Children
from pylon_to_sqlite.errors import Refused, Unexpected
from pylon_to_sqlite.lanes import Lanes, Steps
from pylon_to_sqlite.lookups import AGAIN_AFTER, look_ups
from pylon_to_sqlite.plan import Checkpoint
from pylon_to_sqlite.reading import RESTARTS, Reading, Result, ignore
from pylon_to_sqlite.reconcile import Compared, Reconciliation
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.support_streams import ISSUES
from pylon_to_sqlite.walks import Walks
from pylon_to_sqlite.withheld import bring_bodies


@dataclass
class Sync:
    """One run. `since` (UTC) bounds the first load, `full` reads everything again.

    `workers` ask side by side in each lane; lists of the streams in `allow_deletes` may lack most
    of what is here; `reconcile` compares all issues, and reads all lists whole, whether or not a
    day has passed since that was last done; `check` is called between requests and may raise to end
    the run.
    """

    reading: Reading
    since: str | None = None
    full: bool = False
    workers: int = 1
    allow_deletes: Collection[Stream] = ()
    reconcile: bool = False
    check: Callable[[], None] = ignore
    compared: Compared = field(default_factory=Compared)

    def __post_init__(self) -> None:
        self.reading.is_whole = self.full or self.reconcile
        self.store = self.reading.store
        self._walks = Walks(self.reading, self.allow_deletes)
        self._children = Children(self.reading, self.allow_deletes)

    def run(self, streams: Sequence[Stream], run: int) -> list[Result]:
        """Mirror all streams, side by side. One that fails leaves the others alone; only a token
        that Pylon no longer accepts, or a file that cannot be written, ends the run."""
        reading, store = self.reading, self.store
        reading.run = run
        if self.full:
            self.begin_full(streams)
        for stream in streams:
            reading.results[stream.name] = Result(stream)
            store.runs.begin_stream(run, stream.name, reading.wall())
        steps = self.steps(streams)
        again_after = timedelta() if reading.is_whole else AGAIN_AFTER
        results = reading.results.values()
        steps += look_ups(results, store, reading.wall, self.workers, again_after)
        if ISSUES in streams:
            is_allowed = ISSUES in self.allow_deletes
            reconciliation = Reconciliation(reading, self.reconcile, is_allowed)
            self.compared = reconciliation.found
            steps.append(reconciliation.steps())
            if store.privacy.public_only:
                steps.append(bring_bodies(reading))
        writing = store.transactions
        with writing.grouped():
            Lanes(reading.source.fetch, self.workers, self.check, writing.settle).run(steps)
        for stream in reading.through:
            # Only now is a --full over: one that dies goes on with the streams it had not reached.
            store.memory.save(stream, replace(store.memory.checkpoint(stream), full=None))
        store.decide_requesters(reading.wall())
        store.note_gone(reading.wall())
        for stream in streams:
            if stream.by_id:
                # What was looked up came after the stream had ended.
                reading.record(reading.results[stream.name])
        return list(results)

    def begin_full(self, streams: Sequence[Stream]) -> None:
        """Have everything read again. A --full that was stopped goes on rather than over."""
        now = self.reading.source.now()
        for stream in streams:
            checkpoint = self.store.memory.checkpoint(stream)
            # A first load that is not complete reads everything anyway.
            is_new = stream.watermark and checkpoint.watermark is None
            if checkpoint.full or is_new:
                continue
            if stream.watermark or stream.is_by_staleness:
                self.store.memory.save(stream, replace(plan.restarted(checkpoint), full=now))
            elif stream.recent:
                anew = replace(checkpoint, walked=None, cursor=None, as_of=None, full=now)
                self.store.memory.save(stream, anew)

    def steps(self, streams: Sequence[Stream]) -> list[Steps]:
        """All that asks for streams, whose results are there."""
        return [one for stream in streams for one in self._steps(stream)]

    def _steps(self, stream: Stream) -> list[Steps]:
        """All that asks for the stream: one, or as many as there are workers where it has parts."""
        if stream.is_by_staleness:
            return self._children.steps(stream, self.workers)
        if stream.part_column:
            return self._walks.in_parts(stream, self.workers)
        ask = self._read_changes if stream.watermark else self._walks.whole
        return [self.reading.whole(stream, ask(stream))]

    def _read_changes(self, stream: Stream) -> Steps:
        """Read window after window until all that changed before this run is there."""
        now = self.reading.source.now()
        checkpoint = self._in_scope(stream)
        stuck = 0
        since = self.since
        if since and checkpoint.watermark is None and self.store.memory.has_been_read(stream):
            # All of its scope was here before it started over: a later start takes nothing away.
            since = checkpoint.since and min(since, checkpoint.since)
        while opened := plan.open_window(checkpoint, since, now):
            # Before the first page: where it fails, the next run still knows the scope.
            self.store.memory.save(stream, opened)
            try:
                checkpoint = yield from self.reading.pages(stream, opened)
                if opened.window and opened.window.before == now:
                    # The watermark may be older, where an answer was.
                    break
                stuck = stuck + 1 if _is_no_further(opened, checkpoint) else 0
                if stuck == RESTARTS:
                    raise Unexpected(f"{stream.path}: the answers are older than what was read")
            except Refused as error:
                smaller = plan.narrowed(opened, now)
                if error.status != 400 or smaller is None:
                    raise
                checkpoint = smaller
        if not self.store.has(stream, None):
            # Nothing may be a passing fault, and what is older would never be asked for again.
            checkpoint = plan.restarted(checkpoint)
        self.reading.complete(stream, checkpoint)

    def _in_scope(self, stream: Stream) -> Checkpoint:
        """Where the stream is, with the one type of issues that is wanted by now: others leave."""
        kind = self.reading.choice.issue_type or None
        checkpoint = self.store.memory.checkpoint(stream)
        if kind and kind != checkpoint.kind:
            gone = self.store.leave_issues(kind, self.reading.wall())
            self.reading.results[stream.name].counts.gone += gone
        return plan.of_kind(checkpoint, kind)


def _is_no_further(before: Checkpoint, after: Checkpoint) -> bool:
    """Whether a window was read and neither end of what is in the mirror has moved."""
    is_later = (after.watermark or "") > (before.watermark or "")
    return not is_later and after.since == before.since
