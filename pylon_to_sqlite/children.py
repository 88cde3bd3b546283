"""Children, read for the parents that changed since, several parents side by side. Sends
nothing."""

from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from pylon_to_sqlite import plan
from pylon_to_sqlite.errors import PylonError, Unauthorized, Unavailable, Unexpected
from pylon_to_sqlite.lanes import Steps
from pylon_to_sqlite.plan import Checkpoint, Page, Request, moment
from pylon_to_sqlite.reading import OTHERS, Progress, Reading, Result, combined, has_any
from pylon_to_sqlite.rows import Rows, rows_of_page
from pylon_to_sqlite.stale import Parent
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.stream import Stream

# So many parents in a row for whose children no answer came: it is not the parents.
FAILURES_IN_A_ROW = 5
# So many may be gone in one run before their share of all that are read is looked at.
FEW = 5
# A fault does not last so long, but where it is never usual to have none.
A_DAY = timedelta(days=1)


class _Doubtful(Unexpected):
    """Nobody has children, it seems. That it was told is remembered."""


@dataclass
class Children:
    """The children of a run's parents."""

    reading: Reading
    allow_deletes: Collection[Stream] = ()
    _given: set[str] = field(default_factory=set)
    """Streams of which some parent's children came."""
    _empty: set[tuple[str, str]] = field(default_factory=set)
    """Streams and keys of parents whose children did not."""
    _barren: set[str] = field(default_factory=set)
    """Streams of which others were asked for theirs, and gave none."""

    def steps(self, stream: Stream, readers: int) -> list[Steps]:
        """Read the children whose parents changed, by so many readers side by side."""
        assert stream.parent
        reading = self.reading
        parents = StaleParents(
            *(stream, reading.store, reading.results[stream.parent.name], reading.source.now()),
            *(reading.store.memory.checkpoint(stream), readers),
        )
        return [self._reader(parents) for _ in range(readers)]

    def _reader(self, parents: "StaleParents") -> Steps:
        """Read the children of one parent after the other, as long as there are stale ones. The
        last reader to leave ends the stream."""
        reading, stream = self.reading, parents.stream
        while not parents.is_stopped:
            parent = parents.take()
            if parent is None:
                if parents.are_done():
                    break
                yield None
                continue
            error, is_gone = None, False
            try:
                yield from self._read(stream, parent)
            except Unauthorized as refused:
                reading.fail(stream, refused)
            except PylonError as failure:
                error, may_be_gone = failure, parents.is_believable()
                if may_be_gone and (yield from reading.parent_is_gone(stream, parent.key, failure)):
                    is_gone = True
                elif not isinstance(failure, _Doubtful):
                    reading.store.forget_children(stream, parent.key)
            parents.give_back(parent, error, is_gone=is_gone)
            reading.on_progress(Progress(stream, parents.read, parents.total))
        parents.readers -= 1
        if parents.readers == 0:
            if told := parents.failure():
                reading.fail(stream, told)
            if not (parents.is_stopped or reading.results[stream.name].missing):
                reading.complete(stream, parents.checkpoint)
            reading.end(stream)

    def _read(self, stream: Stream, parent: Parent) -> Steps:
        """Read the children of one parent, committed as one set."""
        assert stream.belongs
        reading, store = self.reading, self.reading.store
        read_at = reading.source.now()
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
                if page.is_bare or stream.belongs.always_some or store.has(stream, parent.key):
                    continue
            plan.see(request, page, seen)
            asked = f"{request.method} {request.path}"
            batch.extend(rows_of_page(stream, page.records, parent.key, asked))
            read_at = min(read_at, page.told_at or read_at)
            if page.cursor is None:
                break
            checkpoint = plan.advance(checkpoint, page)
        if batch:
            self._given.add(stream.name)
        elif (stream.name, parent.key) in self._empty:
            # Twice in one run is once to commit_children: a fault may last.
            return
        else:
            self._empty.add((stream.name, parent.key))
            if not (yield from self._is_believable(stream, parent)):
                raise _Doubtful(
                    f"{asked}: gives nothing, here as elsewhere where there was something;"
                    f" --allow-deletes {stream.name} has it believed"
                )
        counts = store.commit_children(stream, parent, batch, read_at, reading.wall())
        result = reading.results[stream.name]
        result.has_answered = True
        result.counts.add(counts)

    def _is_believable(self, stream: Stream, parent: Parent) -> Generator[Request, Page, bool]:
        """Whether a parent may have no children any more. Told so for the first time, nobody
        believes it yet; later, where others have some, or as long as that is for its kind."""
        assert stream.belongs
        store = self.reading.store
        since = store.empty_since(stream, parent.key)
        if since is None or not store.has(stream, parent.key) or stream in self.allow_deletes:
            return True
        is_old = moment(self.reading.source.now()) - moment(since) > A_DAY
        if is_old and not stream.belongs.always_some:
            return True
        return (yield from self._gives_others(stream, parent))

    def _gives_others(self, stream: Stream, parent: Parent) -> Generator[Request, Page, bool]:
        """Whether Pylon gives the children of any other parent: one that has some here, or that
        changed last. Where it does not, it is no news of this one that it has none."""
        store = self.reading.store
        if stream.name in self._given:
            return True
        assert stream.parent
        owners = store.other_owners(stream, OTHERS, but=parent.key)
        newest = store.newest(stream.parent, OTHERS, but=parent.key)
        others = () if stream.name in self._barren else dict.fromkeys(owners + newest)
        ask = partial(plan.request, stream, Checkpoint())
        if (yield from has_any(others, ask, lambda page: bool(page.records))):
            self._given.add(stream.name)
            return True
        self._barren.add(stream.name)
        return not owners


@dataclass
class StaleParents:
    """The parents whose children are stale, each in one reader's hands at a time."""

    stream: Stream
    store: Store
    of: Result
    now: str
    checkpoint: Checkpoint
    readers: int
    read: int = 0
    total: int = 0
    failures: list[PylonError] = field(default_factory=list)
    is_stopped: bool = False
    gone: dict[str, PylonError] = field(default_factory=dict)
    """By the key of a parent, what told that it is gone."""
    _failed: set[str] = field(default_factory=set)
    _in_hand: set[str] = field(default_factory=set)
    _taken_as: set[Parent] = field(default_factory=set)
    _in_a_row: int = 0
    _pass: Iterator[Parent] = field(default_factory=lambda: iter(()))
    _taken: int = 0
    _seen: tuple[int, bool] | None = None
    _counted: int = -1
    _is_counted: bool = False

    def take(self) -> Parent | None:
        """A parent to read the children of; None while there is none to be seen."""
        self._count()
        while True:
            for parent in self._pass:
                if parent.key not in self._in_hand and parent.key not in self._failed:
                    # What was answered may be so old that it is to be read again: in another run.
                    if parent in self._taken_as:
                        continue
                    self._taken_as.add(parent)
                    self._in_hand.add(parent.key)
                    self._taken += 1
                    return parent
            # Parents that were committed meanwhile may stand before where this pass was.
            state = (self.of.version, self.of.ended and self.of.is_compared)
            if not self._taken and self._seen == state:
                return None
            self._taken = 0
            self._seen = state
            self._pass = self.store.stale(self.stream, self.now, self.checkpoint.full)

    def is_believable(self) -> bool:
        """Whether one more parent may be gone. Most of them gone is no news but a fault."""
        gone = len(self.gone)
        return gone < FEW or (self._answered > 0 and 2 * gone < self.total)

    def _count(self) -> None:
        """See how many there are: once, when all parents are there, and when half as many again
        have been committed, for each count looks at all of them."""
        is_more = self.of.read > 1.5 * self._counted or (self.of.ended and not self._is_counted)
        if self._counted < 0 or is_more:
            self._is_counted = self.of.ended
            self._counted = self.of.read
            left = self.store.count_stale(self.stream, self.now, self.checkpoint.full)
            self.total = self.read + left - len(self._failed)

    def give_back(self, parent: Parent, error: PylonError | None, *, is_gone: bool) -> None:
        """The children of `parent` were read, or could not be, for one because it `is_gone`."""
        self._in_hand.discard(parent.key)
        self.read += 1
        # A refused or odd answer is about its parent; one that does not come may be about all, and
        # so may a refusal of what not every plan and year has.
        is_refused = self.stream.is_optional and error and error.status in (403, 404)
        is_about_all = isinstance(error, Unavailable) or is_refused
        self._in_a_row = self._in_a_row + 1 if is_about_all else 0
        if error and is_gone:
            self.gone[parent.key] = error
        elif error:
            self.failures.append(error)
        if error:
            self._failed.add(parent.key)
        self.is_stopped = self.is_stopped or self._in_a_row == FAILURES_IN_A_ROW

    def are_done(self) -> bool:
        """Whether no more will come, once `take` has given none."""
        return self._seen == (self.of.version, True)

    def failure(self) -> PylonError | None:
        """One error for all, if there is one."""
        assert self.stream.parent
        errors = [*self.failures]
        if self.stream.parent.is_walked and not self._answered:
            errors += self._named(self.stream.parent)
        if not errors:
            return None
        are_all = len(errors) == self.read
        error = combined(errors, f"{self.read:,} {self.of.stream.name}", are_all=are_all)
        if not self.is_stopped or error.status in (403, 404):
            return error
        return Unavailable(f"{error}; the rest was not tried")

    def _named(self, parent: Stream) -> list[PylonError]:
        """What told of parents that they are gone though their list names them. Where nobody
        answers, it is not they that are."""
        named = [key for key in self.gone if self.store.is_named(parent, key)]
        memory = self.store.memory
        checkpoint = memory.checkpoint(parent)
        is_whole = parent.recent is None or (checkpoint.walked or "") >= self.now
        if named and not (is_whole and not self.of.error):
            # Of the list only what is new was read: let all of it tell, in the next run.
            memory.save(parent, replace(checkpoint, walked=None))
            if memory.has_been_read(self.stream):
                return []
        return [self.gone[key] for key in named]

    @property
    def _answered(self) -> int:
        """Parents whose children were read."""
        return self.read - len(self.gone) - len(self.failures)
