"""What all that is read in a run shares: where it comes from and goes to, and what became of it."""

from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Protocol

from pylon_to_sqlite import plan
from pylon_to_sqlite.choice import Choice
from pylon_to_sqlite.errors import Gone, PylonError, Refused, Unauthorized, Unavailable, Unexpected
from pylon_to_sqlite.lanes import Steps
from pylon_to_sqlite.plan import Checkpoint, Page, Request, moment
from pylon_to_sqlite.rows import Rows, rows_of_page
from pylon_to_sqlite.runs import Counts
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.support_streams import ISSUES

# A walk whose cursor Pylon refuses begins again; more often than this, something else is wrong.
RESTARTS = 2
# So many other records are asked for before an endpoint is taken for gone, and not a record.
OTHERS = 3
# Clocks that differ by more are not both clocks.
CLOCKS_APART = timedelta(days=1)


class Source(Protocol):
    """What answers requests, in any thread: client.Client."""

    def fetch(self, request: Request) -> Page: ...
    def now(self) -> str: ...


@dataclass
class Result:
    """What became of one stream in a run."""

    stream: Stream
    counts: Counts = field(default_factory=Counts)
    read: int = 0
    has_answered: bool = False
    """Whether Pylon answered anything that was asked of it."""
    error: str | None = None
    missing: str | None = None
    """Why Pylon does not give it to this workspace or token, where it never did."""
    is_cut_off: bool = False
    """Whether there may be more than Pylon gives."""
    ended: bool = False
    version: int = 0
    """Grows with all that is committed of its records."""
    is_compared: bool = True
    """Whether nothing more will come of it, once it has ended: of issues, a comparison may."""
    unknown: list[str] = field(default_factory=list)
    """Values that the user named, and Pylon does not know."""


@dataclass(frozen=True)
class Progress:
    """How far a stream is. `total` is known for children: the parents to read them for."""

    stream: Stream
    done: int
    total: int | None = None


def ignore(*_: object) -> None:
    """Do nothing, where nobody wants to be told."""


@dataclass
class Reading:
    """One run's reading, of all streams. `wall` is this machine's time, which rows are stamped
    with; Pylon's own, which decides what to ask for, is `source.now()`."""

    source: Source
    store: Store
    wall: Callable[[], str]
    choice: Choice = field(default_factory=Choice)
    is_whole: bool = False
    """Whether lists are read whole, though what is new in them could be asked for."""
    doubted: Collection[Stream] = ()
    """Streams whose lists are read so in any case, to see what they lack."""
    on_progress: Callable[[Progress], None] = ignore
    on_result: Callable[[Result], None] = ignore
    results: dict[str, Result] = field(default_factory=dict)
    through: list[Stream] = field(default_factory=list)
    """Streams of which all has been read that a --full asked for."""
    run: int = 0
    _known: set[str] = field(default_factory=set)
    """Streams of which a record was had by its id."""

    def new_since(self, stream: Stream, checkpoint: Checkpoint) -> str | None:
        """Since when a list is asked for what is new in it; None: it is read whole."""
        if self.is_whole or stream in self.doubted:
            return None
        return plan.new_since(stream, checkpoint, self.source.now())

    def whole(self, stream: Stream, steps: Steps) -> Steps:
        """All steps of a stream, its failure noted, and its end."""
        try:
            yield from steps
        except PylonError as error:
            self.fail(stream, error)
        self.end(stream)

    def fail(self, stream: Stream, error: PylonError) -> None:
        """Note why the stream failed, or that Pylon does not give it. A refused token ends the
        run."""
        result = self.results[stream.name]
        if self._is_missing(stream, error):
            result.missing = str(error)
        else:
            result.error = str(error)
        if isinstance(error, Unauthorized):
            self.record(result)
            raise error

    def _is_missing(self, stream: Stream, error: PylonError) -> bool:
        """Whether a plan, the token's rights or this year's API do not have the stream: that is no
        failure, unless it has answered before. Without issues nothing is worth having."""
        is_needed = stream is ISSUES or (stream.is_by_staleness and not stream.is_optional)
        if is_needed or error.status not in (403, 404):
            return False
        return not self.store.memory.has_been_read(stream) and not self.store.has(stream, None)

    def end(self, stream: Stream) -> None:
        """Nothing more is read of the stream."""
        result = self.results[stream.name]
        result.ended = True
        self.record(result)
        self.on_result(result)

    def record(self, result: Result) -> None:
        told = (result.error, result.missing, result.counts, self.wall())
        self.store.runs.end_stream(self.run, result.stream.name, *told)

    def has_ended(self, stream: Stream | None) -> bool:
        return stream is None or self.results[stream.name].ended

    def complete(self, stream: Stream, checkpoint: Checkpoint) -> None:
        """All of the stream has been read, if there was anything to be asked."""
        has_answered = self.results[stream.name].has_answered
        known = _by_both_clocks(checkpoint, self.wall())
        self.store.memory.save(stream, known, self.wall() if has_answered else None)
        if stream is ISSUES:
            self.store.have_returned()
        if checkpoint.full:
            self.through.append(stream)

    def pages(
        self,
        stream: Stream,
        checkpoint: Checkpoint,
        part: str | None = None,
        after: str | None = None,
        kept: Checkpoint | None = None,
    ) -> Generator[Request, Page, Checkpoint]:
        """Read page after page from the checkpoint on, each committed with the checkpoint after
        it, or with the one that is `kept`, where an unfinished reading begins anew; gives the last
        one. `part` and `after` are those of plan.request."""
        result = self.results[stream.name]
        seen: set[str] = set()
        restarts = 0
        is_saved = checkpoint.cursor is not None
        is_asked_again = False
        while True:
            request = plan.request(stream, checkpoint, part, after)
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
            if page.is_silent and not is_asked_again and self._is_doubtful(stream, part, after):
                is_asked_again = True
                continue
            is_saved = is_asked_again = False
            result.has_answered = True
            plan.see(request, page, seen)
            checkpoint = plan.advance(checkpoint, plan.told(page, self.source.now()))
            batch = self._mirrored(
                stream,
                rows_of_page(stream, page.records, part, f"{request.method} {request.path}"),
            )
            result.counts.add(self.store.commit(stream, batch, kept or checkpoint, self.wall()))
            result.read += len(batch)
            result.version += 1
            self.on_progress(Progress(stream, result.read))
            if page.cursor is None:
                return checkpoint

    def _mirrored(self, stream: Stream, batch: list[Rows]) -> list[Rows]:
        """What the mirror is to hold of it, whether or not Pylon heeded the filter."""
        if stream is not ISSUES:
            return batch
        return [rows for rows in batch if self.choice.holds_issue(rows.row["type"])]

    def _is_doubtful(self, stream: Stream, part: str | None, after: str | None) -> bool:
        """Whether no list at all, which may mean an empty one, is believed only when it comes
        twice: where it is not what the mirror holds, or what will not be asked for again."""
        is_new = not self.store.memory.has_been_read(stream)
        return bool(stream.watermark or after) or is_new or self.store.has(stream, part)

    def parent_is_gone(
        self, stream: Stream, key: str, error: PylonError
    ) -> Generator[Request, Page, bool]:
        """Whether `error` means that the parent no longer exists. A stray error is not gone, so the
        parent itself is asked for. It is marked where no list would tell of it: lists know better,
        for what is not there may be the endpoint."""
        if stream.parent is None or error.status not in (400, 404, 410):
            return False
        try:
            yield plan.request_by_id(stream.parent, key)
        except Gone:
            if stream.parent.is_walked:
                return True
            if not (yield from self._knows_others(stream.parent, key)):
                return False
            gone = self.store.parent_gone(stream.parent, key, self.wall())
            result = self.results[stream.parent.name]
            result.counts.gone += gone
            if result.ended:
                self.record(result)
            return True
        except Unauthorized:
            raise
        except PylonError:
            return False
        return False

    def _knows_others(self, parent: Stream, key: str) -> Generator[Request, Page, bool]:
        """Whether Pylon has any other record of this kind by its id. Where it has none that is
        live here, it is the endpoint that is gone, and no record of it."""
        if parent.name in self._known:
            return True
        others = self.store.newest(parent, OTHERS, but=key)
        if (yield from has_any(others, partial(plan.request_by_id, parent), lambda _: True)):
            self._known.add(parent.name)
            return True
        return not others


def has_any(
    keys: Iterable[str], ask: Callable[[str], Request], is_there: Callable[[Page], bool]
) -> Generator[Request, Page, bool]:
    """Whether Pylon has what is asked for with any of these keys, one after the other. An error of
    one says nothing of the others."""
    for key in keys:
        try:
            page = yield ask(key)
        except Unauthorized:
            raise
        except PylonError:
            continue
        if is_there(page):
            return True
    return False


def _by_both_clocks(checkpoint: Checkpoint, wall: str) -> Checkpoint:
    """The checkpoint with no watermark beyond our own time: where Pylon's clock was ahead, changes
    of the time between would be asked for by no later run. A clock of ours that is behind costs
    reading that time again; one that is lost altogether is not heeded."""
    ahead = checkpoint.watermark or wall
    if not timedelta() < moment(ahead) - moment(wall) < CLOCKS_APART:
        return checkpoint
    return replace(checkpoint, watermark=wall)


def combined(errors: Sequence[PylonError], among: str, *, are_all: bool = False) -> PylonError:
    """One error for several, which all failed alike or not: the first one is told. Where nothing
    but the same refusal came for `are_all` there was, it is that."""
    refusals = {one.status for one in errors}
    if len(errors) == 1 or (are_all and refusals in ({403}, {404})):
        return errors[0]
    return Unavailable(f"{len(errors)} of {among} failed, the first with: {errors[0]}")
