"""The engine: asks for pages, turns them into rows and has them committed. No SQL, no HTTP."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from pylon_to_sqlite import plan
from pylon_to_sqlite.errors import (
    Gone,
    PylonError,
    Refused,
    Unauthorized,
    Unavailable,
    Unexpected,
)
from pylon_to_sqlite.plan import Checkpoint, Page, Request
from pylon_to_sqlite.rows import Rows, rows_of
from pylon_to_sqlite.store import Counts, Parent, Store
from pylon_to_sqlite.stream import Stream

# A walk whose cursor Pylon refuses begins again; more often than this, something else is wrong.
RESTARTS = 2
# So many parents in a row whose children could not be read: it is not the parents.
FAILURES_IN_A_ROW = 5


class Source(Protocol):
    """What answers requests: client.Client."""

    def fetch(self, request: Request) -> Page: ...
    def record(self, request: Request) -> Mapping[str, Any]: ...
    def now(self) -> str: ...


@dataclass(frozen=True)
class Progress:
    """How far a stream is. `total` is known for children: the parents to read them for."""

    stream: Stream
    done: int
    total: int | None = None


@dataclass
class Result:
    """What became of one stream in a run."""

    stream: Stream
    counts: Counts = field(default_factory=Counts)
    read: int = 0
    error: str | None = None


def _ignore(_: object) -> None:
    pass


@dataclass
class Sync:
    """One run. `since` (UTC) bounds the first load, `full` reads everything again.

    `wall` is this machine's time, which rows are stamped with; Pylon's own, which decides what to
    ask for, is `source.now()`.
    """

    source: Source
    store: Store
    wall: Callable[[], str]
    since: str | None = None
    full: bool = False
    on_progress: Callable[[Progress], None] = _ignore
    on_result: Callable[[Result], None] = _ignore
    results: dict[str, Result] = field(default_factory=dict)
    _through: list[Stream] = field(default_factory=list)
    _run: int = 0

    def run(self, streams: Sequence[Stream], run: int) -> list[Result]:
        """Mirror each stream. One that fails leaves the others alone; only a token that Pylon no
        longer accepts, or a file that cannot be written, ends the run."""
        self._run = run
        if self.full:
            self._begin_full(streams)
        for stream in streams:
            self.results[stream.name] = Result(stream)
            self.store.begin_stream(run, stream, self.wall())
            self._try(stream)
        for stream in self._through:
            # Only now is a --full over: one that dies goes on with the streams it had not reached.
            self.store.save(stream, replace(self.store.checkpoint(stream), full=None))
        self.store.decide_requesters(self.wall())
        return list(self.results.values())

    def _try(self, stream: Stream) -> None:
        result = self.results[stream.name]
        try:
            self._mirror(stream)
        except Unauthorized as error:
            result.error = str(error)
            self._end(result)
            raise
        except PylonError as error:
            result.error = str(error)
        self._end(result)
        self.on_result(result)

    def _end(self, result: Result) -> None:
        self.store.end_stream(self._run, result.stream, result.error, result.counts, self.wall())

    def _begin_full(self, streams: Sequence[Stream]) -> None:
        """Have everything read again. A --full that was stopped goes on rather than over."""
        now = self.source.now()
        for stream in streams:
            checkpoint = self.store.checkpoint(stream)
            if (stream.watermark or stream.is_by_staleness) and not checkpoint.full:
                self.store.save(stream, replace(plan.restarted(checkpoint), full=now))

    def _mirror(self, stream: Stream) -> None:
        if stream.watermark:
            self._read_changes(stream)
        elif stream.is_by_staleness:
            self._read_stale(stream)
        else:
            self._walk(stream)

    def _read_changes(self, stream: Stream) -> None:
        """Read window after window until all that changed before this run is there."""
        now = self.source.now()
        checkpoint = self.store.checkpoint(stream)
        while opened := plan.open_window(checkpoint, self.since, now):
            # Before the first page: where it fails, the next run still knows the scope.
            self.store.save(stream, opened)
            try:
                checkpoint = self._read_pages(stream, opened)
            except Refused as error:
                smaller = plan.narrowed(opened, self.store.earliest(), now)
                if error.status != 400 or smaller is None:
                    raise
                checkpoint = smaller
        self._complete(stream, checkpoint)

    def _walk(self, stream: Stream) -> None:
        """Read a list from end to end. What an interrupted walk left comes first, then the whole:
        what it had read may have changed since."""
        checkpoint = self.store.checkpoint(stream)
        if checkpoint.cursor or checkpoint.part:
            self._walk_parts(stream, checkpoint)
        self._walk_parts(stream, Checkpoint())
        self._complete(stream, Checkpoint())

    def _complete(self, stream: Stream, checkpoint: Checkpoint) -> None:
        self.store.save(stream, checkpoint, completed_at=self.wall())
        if checkpoint.full:
            self._through.append(stream)

    def _walk_parts(self, stream: Stream, start: Checkpoint) -> None:
        parts: Sequence[str | None] = stream.each[1] or (None,)
        if stream.parent:
            parts = self.store.parents(stream.parent)
        failures: list[PylonError] = []
        unknown: list[PylonError] = []
        for part in parts:
            if start.part is not None and part is not None and part < start.part:
                continue
            here = start if start.part == part else Checkpoint(part=part)
            try:
                self._read_pages(stream, here)
            except Unauthorized:
                raise
            except PylonError as error:
                if part is None:
                    raise
                if self._parent_is_gone(stream, part, error):
                    continue
                # Not every workspace knows every value of a parameter.
                is_unknown = not stream.parent and error.status in (400, 404)
                (unknown if is_unknown else failures).append(error)
        if failures or (unknown and len(unknown) == len(parts)):
            raise _combined(failures or unknown, f"{len(parts)} parts")

    def _read_pages(self, stream: Stream, checkpoint: Checkpoint) -> Checkpoint:
        """Read page after page from the checkpoint on, each committed with the checkpoint after
        it; gives the last one."""
        result = self.results[stream.name]
        seen: set[str] = set()
        restarts = 0
        while True:
            request = plan.request(stream, checkpoint, checkpoint.part)
            try:
                page = self.source.fetch(request)
            except Refused as error:
                if not checkpoint.cursor or error.status != 400:
                    raise
                if restarts == RESTARTS:
                    raise Unexpected(f"its cursors are refused again and again: {error}") from None
                restarts += 1
                checkpoint = replace(checkpoint, cursor=None)
                seen.clear()
                continue
            _see(request, page, seen)
            checkpoint = plan.advance(checkpoint, page)
            batch = _rows(stream, request, page, checkpoint.part)
            result.counts.add(self.store.commit(stream, batch, checkpoint, self.wall()))
            result.read += len(batch)
            self.on_progress(Progress(stream, result.read))
            if page.cursor is None:
                return checkpoint

    def _read_stale(self, stream: Stream) -> None:
        """Read the children of each parent that changed since they were last read."""
        now = self.source.now()
        checkpoint = self.store.checkpoint(stream)
        total = self.store.count_stale(stream, now, checkpoint.full)
        of = stream.parent.name if stream.parent else ""
        failures: list[PylonError] = []
        in_a_row = 0
        for done, parent in enumerate(self.store.stale(stream, now, checkpoint.full), 1):
            try:
                self._read_children(stream, parent)
                in_a_row = 0
            except Unauthorized:
                raise
            except PylonError as error:
                if not self._parent_is_gone(stream, parent.key, error):
                    self.store.forget_children(stream, parent.key)
                    failures.append(error)
                    in_a_row += 1
            if in_a_row == FAILURES_IN_A_ROW:
                raise _combined(failures, f"{total} {of}, then stopped")
            self.on_progress(Progress(stream, done, total))
        self._complete(stream, checkpoint)
        if failures:
            raise _combined(failures, f"{total} {of}")

    def _read_children(self, stream: Stream, parent: Parent) -> None:
        read_at = self.source.now()
        batch: list[Rows] = []
        checkpoint = Checkpoint()
        seen: set[str] = set()
        while True:
            request = plan.request(stream, checkpoint, parent.key)
            page = self.source.fetch(request)
            _see(request, page, seen)
            batch.extend(_rows(stream, request, page, parent.key))
            if page.cursor is None:
                break
            checkpoint = plan.advance(checkpoint, page)
        counts = self.store.commit_children(stream, parent, batch, read_at, self.wall())
        self.results[stream.name].counts.add(counts)

    def _parent_is_gone(self, stream: Stream, key: str, error: PylonError) -> bool:
        """Whether `error` means that the parent no longer exists, which is then marked. A stray
        error is not gone, so the parent itself is asked for."""
        if stream.parent is None or error.status not in (400, 404, 410):
            return False
        template = stream.path.partition("{id}")[0] + "{id}"
        path = template.replace("{id}", plan.path_segment(key))
        try:
            self.source.record(Request("GET", path, template))
        except Gone:
            gone = self.store.parent_gone(stream.parent, key, self.wall())
            result = self.results[stream.parent.name]
            result.counts.gone += gone
            self._end(result)
            return True
        except Unauthorized:
            raise
        except PylonError:
            return False
        return False


def _rows(stream: Stream, request: Request, page: Page, part: str | None) -> list[Rows]:
    column = stream.owner or stream.each[0]
    given = {column: part} if column and part is not None else None
    rows = []
    for position, record in enumerate(page.records):
        try:
            rows.append(rows_of(stream, record, given))
        except Unexpected as error:
            raise Unexpected(
                f"{request.method} {request.path}: {error} (record {position} of its page)"
            ) from None
    return rows


def _see(request: Request, page: Page, seen: set[str]) -> None:
    """Raise Unexpected where the cursors go round in a circle."""
    if page.cursor is not None and page.cursor in seen:
        raise Unexpected(f"{request.method} {request.path}: its cursors go round in a circle")
    if page.cursor is not None:
        seen.add(page.cursor)


def _combined(errors: Sequence[PylonError], among: str) -> PylonError:
    """One error for several, which all failed alike or not: the first one is told."""
    if len(errors) == 1:
        return errors[0]
    return Unavailable(f"{len(errors)} of {among} failed, the first with: {errors[0]}")
