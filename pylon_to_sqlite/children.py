"""What is still to be read in a run, shared by several readers. Asks the store; sends nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pylon_to_sqlite.errors import PylonError, Unavailable
from pylon_to_sqlite.plan import Checkpoint
from pylon_to_sqlite.runs import Counts
from pylon_to_sqlite.stale import Parent
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.stream import Stream

# So many parents in a row for whose children no answer came: it is not the parents.
FAILURES_IN_A_ROW = 5
# So many may be gone in one run before their share of all that are read is looked at.
FEW = 5


@dataclass
class Result:
    """What became of one stream in a run."""

    stream: Stream
    counts: Counts = field(default_factory=Counts)
    read: int = 0
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


@dataclass(frozen=True)
class Progress:
    """How far a stream is. `total` is known for children: the parents to read them for."""

    stream: Stream
    done: int
    total: int | None = None


@dataclass
class Parts:
    """The parts of a list that is asked for in parts, each read by one of the readers: parents, or
    the values of a parameter, not all of which every workspace knows."""

    stream: Stream
    readers: int
    left: list[str] | None = None
    total: int = 0
    failures: list[PylonError] = field(default_factory=list)
    unknown: list[PylonError] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def take(self, store: Store) -> str | None:
        """A part that nobody has read; None when there is none."""
        if self.left is None:
            found = store.parents(self.stream.parent) if self.stream.parent else self.stream.each[1]
            self.left = list(reversed(found))
            self.total = len(self.left)
        return self.left.pop() if self.left else None

    def note(self, error: PylonError) -> None:
        """A part could not be read."""
        is_unknown = not self.stream.parent and error.status in (400, 404, 422)
        (self.unknown if is_unknown else self.failures).append(error)

    def failure(self) -> PylonError | None:
        """One error for all, if that is what it comes to."""
        if self.failures or (self.unknown and len(self.unknown) == self.total):
            errors = self.failures or self.unknown
            are_all = len(errors) == self.total
            return combined(errors, f"{self.total} parts", are_all=are_all)
        return None


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
    gone: int = 0
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
        return self.gone < FEW or 2 * self.gone < self.total

    def _count(self) -> None:
        """See how many there are: once, when all parents are there, and when half as many again
        have been committed, for each count looks at all of them."""
        is_more = self.of.read > 1.5 * self._counted or (self.of.ended and not self._is_counted)
        if self._counted < 0 or is_more:
            self._is_counted = self.of.ended
            self._counted = self.of.read
            left = self.store.count_stale(self.stream, self.now, self.checkpoint.full)
            self.total = self.read + left - len(self._failed)

    def give_back(self, parent: Parent, error: PylonError | None) -> None:
        """The children of `parent` were read, or could not be."""
        self._in_hand.discard(parent.key)
        self.read += 1
        # A refused or odd answer is about its parent; one that does not come may be about all.
        self._in_a_row = self._in_a_row + 1 if isinstance(error, Unavailable) else 0
        if error:
            self.failures.append(error)
            self._failed.add(parent.key)
        self.is_stopped = self.is_stopped or self._in_a_row == FAILURES_IN_A_ROW

    def are_done(self) -> bool:
        """Whether no more will come, once `take` has given none."""
        return self._seen == (self.of.version, True)

    def failure(self) -> PylonError:
        """One error for all."""
        error = combined(self.failures, f"{self.read:,} {self.of.stream.name}")
        return Unavailable(f"{error}; the rest was not tried") if self.is_stopped else error


def combined(errors: Sequence[PylonError], among: str, *, are_all: bool = False) -> PylonError:
    """One error for several, which all failed alike or not: the first one is told. Where nothing
    but the same refusal came for `are_all` there was, it is that."""
    refusals = {one.status for one in errors}
    if len(errors) == 1 or (are_all and refusals in ({403}, {404})):
        return errors[0]
    return Unavailable(f"{len(errors)} of {among} failed, the first with: {errors[0]}")
