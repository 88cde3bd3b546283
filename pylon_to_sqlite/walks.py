"""Lists, read from end to end, whole or in parts; some only for what is new. Sends nothing."""

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass, field, replace

from pylon_to_sqlite import plan
from pylon_to_sqlite.errors import PylonError, Refused, Unauthorized, Unexpected
from pylon_to_sqlite.lanes import Steps
from pylon_to_sqlite.plan import Checkpoint, Page, Request
from pylon_to_sqlite.reading import Reading, combined
from pylon_to_sqlite.stream import Stream

# The lists that tell whether a contact or a user asked.
REQUESTERS = ("contacts", "users")


@dataclass
class Walks:
    """The lists of a run; those of the streams in `allow_deletes` may lack most of what is here."""

    reading: Reading
    allow_deletes: Collection[Stream] = ()

    def whole(self, stream: Stream) -> Steps:
        """Read a list from end to end. What an interrupted walk left comes first, then the whole:
        what it had read may have changed since."""
        reading, store = self.reading, self.reading.store
        checkpoint, began = store.memory.checkpoint(stream), reading.source.now()
        after = reading.new_since(stream, checkpoint)
        if after and (yield from self._new(stream, checkpoint, began, after)):
            return
        if checkpoint.cursor:
            last = yield from reading.pages(stream, checkpoint)
            checkpoint = plan.rest_read(stream, last)
            # A list may be longer than a run: then this is as far as it ever gets.
            reading.complete(stream, checkpoint)
            if checkpoint.walked:
                return
        store.begin_walk(stream)
        start = replace(checkpoint, cursor=None, as_of=None)
        before = reading.results[stream.name].read
        last = yield from reading.pages(stream, start)
        result = reading.results[stream.name]
        result.is_cut_off = stream.is_cut_off and result.read - before >= stream.limit
        done = plan.walked(stream, last, began, is_whole=True)
        if result.read == before:
            # Nothing may be a passing fault: what is new later says nothing of the rest.
            done = replace(done, walked=None)
        if result.is_cut_off:
            reading.complete(stream, done)
        else:
            self._end(stream, None, done)
        if stream.name in REQUESTERS:
            store.decide_requesters(reading.wall())

    def _new(
        self, stream: Stream, checkpoint: Checkpoint, began: str, after: str
    ) -> Generator[Request, Page, bool]:
        """Read what is new in a list; gives whether Pylon takes such a question."""
        start = replace(checkpoint, as_of=None)
        try:
            last = yield from self.reading.pages(stream, start, after=after, kept=checkpoint)
        except Refused as error:
            if error.status != 400:
                raise
            return False
        self.reading.complete(stream, plan.walked(stream, last, began, is_whole=False))
        return True

    def in_parts(self, stream: Stream, readers: int) -> list[Steps]:
        """Read a list that is asked for in parts, by so many readers side by side."""
        reading = self.reading
        checkpoint, began = reading.store.memory.checkpoint(stream), reading.source.now()
        after = reading.new_since(stream, checkpoint)
        parts = Parts(stream, reading, readers, checkpoint, began, after)
        return [self._reader(parts) for _ in range(readers)]

    def _reader(self, parts: "Parts") -> Steps:
        """Read one part after the other. The last reader to leave ends the stream."""
        reading, stream = self.reading, parts.stream
        while not reading.has_ended(stream.parent):
            yield None
        while (part := parts.take()) is not None:
            after, kept = parts.after, parts.checkpoint
            if not reading.store.has(stream, part):
                # Of a part that is new here, what is new says nothing; should this be cut short,
                # all is read whole again.
                after, kept = None, replace(kept, walked=None)
            try:
                last = yield from reading.pages(stream, Checkpoint(), part, after, kept)
                parts.read(part, last)
            except Unauthorized as refused:
                reading.fail(stream, refused)
            except PylonError as error:
                if (yield from reading.parent_is_gone(stream, part, error)):
                    parts.gone.append(error)
                else:
                    parts.note(part, error)
        parts.readers -= 1
        if parts.readers == 0:
            yield from reading.whole(stream, self._end_parts(parts))

    def _end_parts(self, parts: "Parts") -> Steps:
        """See to what is left once all parts were read."""
        yield from ()
        reading, stream = self.reading, parts.stream
        reading.results[stream.name].unknown = parts.forgotten()
        if failure := parts.failure():
            raise failure
        if not stream.parent and not parts.total:
            reading.results[stream.name].missing = f"no {stream.each[0]} of them is named"
            return
        parent = stream.parent and reading.results[stream.parent.name]
        if parent and (parent.error or parent.missing):
            # Of the parents that are not known nothing was asked.
            return
        last = Checkpoint(walked=parts.checkpoint.walked, as_of=parts.as_of)
        done = plan.walked(stream, last, parts.began, is_whole=parts.after is None)
        if parts.after is None:
            self._end(stream, parts.done, done)
        else:
            reading.complete(stream, done)

    def _end(self, stream: Stream, parts: Sequence[str] | None, done: Checkpoint) -> None:
        """See to what a whole walk of these parts did not come by, and note that it is over. A list
        that lacks what is here may be wrong: it must not wait a day until it is read again."""
        reading, is_allowed = self.reading, stream in self.allow_deletes
        doubtful = replace(done, walked=None)
        try:
            gone = reading.store.end_walk(stream, parts, reading.wall(), is_allowed=is_allowed)
        except Unexpected:
            reading.complete(stream, doubtful)
            raise
        reading.results[stream.name].counts.gone += gone
        reading.complete(stream, doubtful if gone else done)


@dataclass
class Parts:
    """The parts of a list that is asked for in parts, each read by one of the readers: parents, or
    the values of a parameter, not all of which every workspace knows."""

    stream: Stream
    reading: Reading
    readers: int
    checkpoint: Checkpoint
    began: str
    after: str | None = None
    left: list[str] | None = None
    total: int = 0
    as_of: str | None = None
    failures: list[PylonError] = field(default_factory=list)
    gone: list[PylonError] = field(default_factory=list)
    """What told that a parent is gone."""
    unknown: dict[str, PylonError] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    @property
    def _is_named(self) -> bool:
        """Whether the user has named the values, and so wants each."""
        return not self.stream.parent and not self.stream.each[1]

    def take(self) -> str | None:
        """A part that nobody has read; None when there is none."""
        if self.left is None:
            parent = self.stream.parent
            values = self.reading.choice.values(self.stream)
            found = self.reading.store.parents(parent) if parent else values
            self.left = list(reversed(found))
            self.total = len(self.left)
        return self.left.pop() if self.left else None

    def read(self, part: str, last: Checkpoint) -> None:
        """A part was read to its end."""
        self.done.append(part)
        self.as_of = min(filter(None, (self.as_of, last.as_of)), default=None)

    def note(self, part: str, error: PylonError) -> None:
        """A part could not be read."""
        if not self.stream.parent and error.status in (400, 404, 422):
            self.unknown[part] = error
        else:
            self.failures.append(error)

    def forgotten(self) -> list[str]:
        """What the user named, and Pylon does not know and never did."""
        store = self.reading.store
        return [one for one in self.unknown if self._is_named and not store.had(self.stream, one)]

    def failure(self) -> PylonError | None:
        """One error for all, if that is what it comes to."""
        if self.failures:
            return combined(self.failures, f"{self.total} parts", are_all=not self.done)
        if self.unknown and self._is_named:
            return Unexpected(self._unknown_named())
        # Where nobody answers and a list names them, it is not they that are gone.
        errors = [*self.unknown.values(), *self.gone]
        is_endpoint = errors and not self.done
        return combined(errors, f"{self.total} parts", are_all=True) if is_endpoint else None

    def _unknown_named(self) -> str:
        names, (error, *_) = ", ".join(map(repr, self.unknown)), self.unknown.values()
        then = "it is not asked for again" if self.forgotten() else "it used to"
        return f"Pylon knows no {self.stream.each[0]} {names} of them ({then}): {error}"
