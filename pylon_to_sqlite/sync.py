"""The engine: asks for pages, turns them into rows and has them committed. No SQL, no HTTP."""

from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol

from pylon_to_sqlite import plan
from pylon_to_sqlite.children import Parts, Progress, Result, StaleParents
from pylon_to_sqlite.errors import (
    Gone,
    PylonError,
    Refused,
    Unauthorized,
    Unexpected,
)
from pylon_to_sqlite.lanes import Lanes, Steps
from pylon_to_sqlite.lookups import AGAIN_AFTER, look_ups
from pylon_to_sqlite.plan import Checkpoint, Page, Request
from pylon_to_sqlite.reconcile import Compared, Reconciliation
from pylon_to_sqlite.rows import Rows, rows_of_page
from pylon_to_sqlite.stale import Parent
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.support_streams import ISSUES

# A walk whose cursor Pylon refuses begins again; more often than this, something else is wrong.
RESTARTS = 2
# The lists that tell whether a contact or a user asked.
REQUESTERS = ("contacts", "users")


class Source(Protocol):
    """What answers requests, in any thread: client.Client."""

    def fetch(self, request: Request) -> Page: ...
    def now(self) -> str: ...


def _ignore(*_: object) -> None:
    pass


@dataclass
class Sync:
    """One run. `since` (UTC) bounds the first load, `full` reads everything again.

    `wall` is this machine's time, which rows are stamped with; Pylon's own, which decides what to
    ask for, is `source.now()`. `workers` ask side by side in each lane; lists of the streams in
    `allow_deletes` may lack most of what is here; `reconcile` compares all issues, whether or not a
    day has passed since it was last done; `check` is called between requests and may raise
    to end the run.
    """

    source: Source
    store: Store
    wall: Callable[[], str]
    since: str | None = None
    full: bool = False
    workers: int = 1
    allow_deletes: Collection[Stream] = ()
    reconcile: bool = False
    check: Callable[[], None] = _ignore
    on_progress: Callable[[Progress], None] = _ignore
    on_result: Callable[[Result], None] = _ignore
    results: dict[str, Result] = field(default_factory=dict)
    compared: Compared = field(default_factory=Compared)
    _through: list[Stream] = field(default_factory=list)
    _run: int = 0

    def run(self, streams: Sequence[Stream], run: int) -> list[Result]:
        """Mirror all streams, side by side. One that fails leaves the others alone; only a token
        that Pylon no longer accepts, or a file that cannot be written, ends the run."""
        self._run = run
        if self.full:
            self._begin_full(streams)
        steps = []
        for stream in streams:
            self.results[stream.name] = Result(stream)
            self.store.runs.begin_stream(run, stream.name, self.wall())
            steps.extend(self._steps(stream))
        again_after = timedelta() if self.full or self.reconcile else AGAIN_AFTER
        results = self.results.values()
        steps += look_ups(results, self.store, self.wall, self.workers, again_after)
        if ISSUES in streams:
            issues, is_allowed = self.results[ISSUES.name], ISSUES in self.allow_deletes
            reconciliation = Reconciliation(
                self.store, issues, self.source.now, self.wall, self.reconcile, is_allowed
            )
            self.compared = reconciliation.found
            steps.append(reconciliation.steps())
        writing = self.store.transactions
        with writing.grouped():
            Lanes(self.source.fetch, self.workers, self.check, writing.settle).run(steps)
        for stream in self._through:
            # Only now is a --full over: one that dies goes on with the streams it had not reached.
            self.store.save(stream, replace(self.store.checkpoint(stream), full=None))
        self.store.decide_requesters(self.wall())
        self.store.note_gone(self.wall())
        for stream in streams:
            if stream.by_id:
                # What was looked up came after the stream had ended.
                self._record(self.results[stream.name])
        return list(self.results.values())

    def _begin_full(self, streams: Sequence[Stream]) -> None:
        """Have everything read again. A --full that was stopped goes on rather than over."""
        now = self.source.now()
        for stream in streams:
            checkpoint = self.store.checkpoint(stream)
            # A first load that is not complete reads everything anyway.
            is_new = stream.watermark and checkpoint.watermark is None
            if (stream.watermark or stream.is_by_staleness) and not checkpoint.full and not is_new:
                self.store.save(stream, replace(plan.restarted(checkpoint), full=now))

    def _steps(self, stream: Stream) -> list[Steps]:
        """All that asks for the stream: one, or as many as there are workers where it has parts."""
        if stream.is_by_staleness:
            children = self._stale_parents(stream)
            return [self._reader(children) for _ in range(self.workers)]
        if stream.part_column:
            parts = Parts(stream, self.workers)
            return [self._part_reader(parts) for _ in range(self.workers)]
        ask = self._read_changes if stream.watermark else self._walk
        return [self._whole(stream, ask(stream))]

    def _whole(self, stream: Stream, steps: Steps) -> Steps:
        try:
            yield from steps
        except PylonError as error:
            self._fail(stream, error)
        self._end(stream)

    def _fail(self, stream: Stream, error: PylonError) -> None:
        """Note why the stream failed, or that Pylon does not give it. A refused token ends the
        run."""
        result = self.results[stream.name]
        if self._is_missing(stream, error):
            result.missing = str(error)
        else:
            result.error = str(error)
        if isinstance(error, Unauthorized):
            self._record(self.results[stream.name])
            raise error

    def _is_missing(self, stream: Stream, error: PylonError) -> bool:
        """Whether a plan, the token's rights or this year's API do not have the stream: that is no
        failure, unless it has answered before. Without issues nothing is worth having."""
        if stream is ISSUES or stream.is_by_staleness or error.status not in (403, 404):
            return False
        return not self.store.has_been_read(stream)

    def _end(self, stream: Stream) -> None:
        result = self.results[stream.name]
        result.ended = True
        self._record(result)
        self.on_result(result)

    def _record(self, result: Result) -> None:
        told = (result.error, result.missing, result.counts, self.wall())
        self.store.runs.end_stream(self._run, result.stream.name, *told)

    def _has_ended(self, stream: Stream | None) -> bool:
        return stream is None or self.results[stream.name].ended

    def _read_changes(self, stream: Stream) -> Steps:
        """Read window after window until all that changed before this run is there."""
        now = self.source.now()
        checkpoint = self.store.checkpoint(stream)
        stuck = 0
        since = self.since
        if since and checkpoint.watermark is None and self.store.has_been_read(stream):
            # All of its scope was here before it started over: a later start takes nothing away.
            since = checkpoint.since and min(since, checkpoint.since)
        while opened := plan.open_window(checkpoint, since, now):
            # Before the first page: where it fails, the next run still knows the scope.
            self.store.save(stream, opened)
            try:
                checkpoint = yield from self._read_pages(stream, opened)
                if opened.window and opened.window.before == now:
                    # The watermark may be older, where an answer was.
                    break
                stuck = stuck + 1 if _is_no_further(opened, checkpoint) else 0
                if stuck == RESTARTS:
                    raise Unexpected(f"{stream.path}: the answers are older than what was read")
            except Refused as error:
                smaller = plan.narrowed(opened, self.store.earliest(), now)
                if error.status != 400 or smaller is None:
                    raise
                checkpoint = smaller
        self._complete(stream, checkpoint)

    def _walk(self, stream: Stream) -> Steps:
        """Read a list from end to end. What an interrupted walk left comes first, then the whole:
        what it had read may have changed since."""
        checkpoint = self.store.checkpoint(stream)
        if checkpoint.cursor:
            yield from self._read_pages(stream, checkpoint)
        self.store.begin_walk(stream)
        yield from self._read_pages(stream, Checkpoint())
        self._complete(stream, Checkpoint())
        result = self.results[stream.name]
        result.is_cut_off = stream.is_cut_off and result.read >= stream.limit
        if not result.is_cut_off:
            self._end_walk(stream, None)
        if stream.name in REQUESTERS:
            self.store.decide_requesters(self.wall())

    def _part_reader(self, parts: Parts) -> Steps:
        """Read one part after the other. The last reader to leave ends the stream."""
        stream = parts.stream
        while not self._has_ended(stream.parent):
            yield None
        while (part := parts.take(self.store)) is not None:
            try:
                yield from self._read_pages(stream, Checkpoint(), part)
                parts.done.append(part)
            except Unauthorized as refused:
                self._fail(stream, refused)
            except PylonError as error:
                if not (yield from self._parent_is_gone(stream, part, error)):
                    parts.note(error)
        parts.readers -= 1
        if parts.readers == 0:
            yield from self._whole(stream, self._end_parts(parts))

    def _end_parts(self, parts: Parts) -> Steps:
        """See to what is left once all parts were read."""
        yield from ()
        if failure := parts.failure():
            raise failure
        parent = parts.stream.parent
        if parent and (self.results[parent.name].error or self.results[parent.name].missing):
            # Of the parents that are not known nothing was asked.
            return
        self._complete(parts.stream, Checkpoint())
        self._end_walk(parts.stream, parts.done)

    def _end_walk(self, stream: Stream, parts: Sequence[str] | None) -> None:
        is_allowed = stream in self.allow_deletes
        gone = self.store.end_walk(stream, parts, self.wall(), is_allowed=is_allowed)
        self.results[stream.name].counts.gone += gone

    def _complete(self, stream: Stream, checkpoint: Checkpoint) -> None:
        self.store.save(stream, checkpoint, completed_at=self.wall())
        if checkpoint.full:
            self._through.append(stream)

    def _read_pages(
        self, stream: Stream, checkpoint: Checkpoint, part: str | None = None
    ) -> Generator[Request, Page, Checkpoint]:
        """Read page after page from the checkpoint on, each committed with the checkpoint after
        it; gives the last one. A part is short, and read anew where it was not read to its end."""
        result = self.results[stream.name]
        seen: set[str] = set()
        restarts = 0
        is_saved = checkpoint.cursor is not None
        is_asked_again = False
        while True:
            request = plan.request(stream, checkpoint, part)
            try:
                page = yield request
            except Unauthorized:
                raise
            except PylonError as error:
                if is_saved:
                    # A cursor that an earlier run left; how long one lives nobody knows.
                    is_saved = False
                    checkpoint = replace(checkpoint, cursor=None)
                    continue
                if not isinstance(error, Refused):
                    raise
                if not checkpoint.cursor or error.status != 400:
                    raise
                if restarts == RESTARTS:
                    raise Unexpected(f"its cursors are refused again and again: {error}") from None
                restarts += 1
                checkpoint = replace(checkpoint, cursor=None)
                seen.clear()
                continue
            if page.is_silent and not is_asked_again and self._is_doubtful(stream, part):
                is_asked_again = True
                continue
            is_saved = is_asked_again = False
            plan.see(request, page, seen)
            checkpoint = plan.advance(checkpoint, plan.told(page, self.source.now()))
            asked = f"{request.method} {request.path}"
            batch = rows_of_page(stream, page.records, part, asked)
            saved = checkpoint if part is None else Checkpoint()
            result.counts.add(self.store.commit(stream, batch, saved, self.wall()))
            result.read += len(batch)
            result.version += 1
            self.on_progress(Progress(stream, result.read))
            if page.cursor is None:
                return checkpoint

    def _is_doubtful(self, stream: Stream, part: str | None) -> bool:
        """Whether no list at all, which may mean an empty one, is believed only when it comes
        twice: where it is not what the mirror holds, or what will not be asked for again."""
        is_new = not self.store.has_been_read(stream)
        return bool(stream.watermark) or is_new or self.store.has(stream, part)

    def _stale_parents(self, stream: Stream) -> StaleParents:
        assert stream.parent
        return StaleParents(
            stream,
            self.store,
            self.results[stream.parent.name],
            self.source.now(),
            self.store.checkpoint(stream),
            self.workers,
        )

    def _reader(self, parents: StaleParents) -> Steps:
        """Read the children of one parent after the other, as long as there are stale ones. The
        last reader to leave ends the stream."""
        stream = parents.stream
        while not parents.is_stopped:
            parent = parents.take()
            if parent is None:
                if parents.are_done():
                    break
                yield None
                continue
            error = None
            try:
                yield from self._read_children(stream, parent)
            except Unauthorized as refused:
                self._fail(stream, refused)
            except PylonError as failure:
                error = failure
                may_be_gone = parents.is_believable()
                if may_be_gone and (yield from self._parent_is_gone(stream, parent.key, failure)):
                    error = None
                    parents.gone += 1
                else:
                    self.store.forget_children(stream, parent.key)
            parents.give_back(parent, error)
            self.on_progress(Progress(stream, parents.read, parents.total))
        parents.readers -= 1
        if parents.readers == 0:
            if not parents.is_stopped:
                self._complete(stream, parents.checkpoint)
            if parents.failures:
                self._fail(stream, parents.failure())
            self._end(stream)

    def _read_children(self, stream: Stream, parent: Parent) -> Steps:
        read_at = self.source.now()
        batch: list[Rows] = []
        checkpoint = Checkpoint()
        seen: set[str] = set()
        is_asked_again = False
        while True:
            request = plan.request(stream, checkpoint, parent.key)
            page = yield request
            if not page.records and not is_asked_again:
                is_asked_again = True
                # A whole conversation that is not there is believed when it is told twice.
                if page.is_bare or stream.always_some or self.store.has(stream, parent.key):
                    continue
            plan.see(request, page, seen)
            asked = f"{request.method} {request.path}"
            batch.extend(rows_of_page(stream, page.records, parent.key, asked))
            read_at = min(read_at, page.told_at or read_at)
            if page.cursor is None:
                break
            checkpoint = plan.advance(checkpoint, page)
        counts = self.store.commit_children(stream, parent, batch, read_at, self.wall())
        self.results[stream.name].counts.add(counts)

    def _parent_is_gone(
        self, stream: Stream, key: str, error: PylonError
    ) -> Generator[Request, Page, bool]:
        """Whether `error` means that the parent no longer exists, which is then marked. A stray
        error is not gone, so the parent itself is asked for."""
        if stream.parent is None or error.status not in (400, 404, 410):
            return False
        try:
            yield plan.request_by_id(stream.parent, key)
        except Gone:
            gone = self.store.parent_gone(stream.parent, key, self.wall())
            result = self.results[stream.parent.name]
            result.counts.gone += gone
            if result.ended:
                self._record(result)
            return True
        except Unauthorized:
            raise
        except PylonError:
            return False
        return False


def _is_no_further(before: Checkpoint, after: Checkpoint) -> bool:
    """Whether a window was read and neither end of what is in the mirror has moved."""
    is_later = (after.watermark or "") > (before.watermark or "")
    return not is_later and after.since == before.since
