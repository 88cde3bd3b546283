"""Records that only references tell of, asked for by their ids: once, and once a day those that
Pylon has though no list of it names them."""

from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from pylon_to_sqlite.children import FAILURES_IN_A_ROW
from pylon_to_sqlite.errors import Gone, PylonError, Unauthorized, Unavailable
from pylon_to_sqlite.lanes import Steps
from pylon_to_sqlite.plan import Page, Request, iso, moment, request_by_id
from pylon_to_sqlite.reading import Result
from pylon_to_sqlite.rows import rows_of
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.support_streams import CONTACTS, USERS

AGAIN_AFTER = timedelta(days=1)


def look_ups(
    results: Collection[Result],
    store: Store,
    wall: Callable[[], str],
    workers: int,
    again_after: timedelta,
) -> Iterator[Steps]:
    """All that looks up records of the streams that are read; `again_after` so long those that are
    in no list."""
    shared = _Shared(results)
    for result in results:
        if result.stream.by_id:
            one = LookUps(store, result, wall, shared, again_after)
            for _ in range(workers):
                yield one.reader()


@dataclass
class _Shared:
    """What the look-ups of all streams know of one another: how many are under way, how many were
    answered, and for each stream, whether all had been read and how many answered when it was last
    seen to have nothing to look up."""

    results: Collection[Result]
    under_way: int = 0
    answered: int = 0
    idle: dict[str, tuple[bool, int]] = field(default_factory=dict)

    def have_ended(self) -> bool:
        """Whether all streams have been read, and compared."""
        return all(result.ended and result.is_compared for result in self.results)

    def are_done(self) -> bool:
        """Whether nothing more can come to light: what is looked up may name others."""
        is_idle = all(seen == (True, self.answered) for seen in self.idle.values())
        return not self.under_way and is_idle


@dataclass
class LookUps:
    """What is still to be looked up of one stream, shared by several readers.

    References are looked at when the stream's list has been read, and again when all streams have
    been, for messages name people too, and as long as what was looked up may name others.
    """

    store: Store
    result: Result
    wall: Callable[[], str]
    shared: _Shared
    again_after: timedelta = AGAIN_AFTER
    is_given_up: bool = False
    _left: deque[str] = field(default_factory=deque)
    _asked: set[str] = field(default_factory=set)
    _in_a_row: int = 0
    _looked: tuple[bool, bool, int] = (False, False, 0)

    def __post_init__(self) -> None:
        self.stream = self.result.stream
        self.shared.idle[self.stream.name] = (False, 0)

    def reader(self) -> Steps:
        """Look up one after the other. What cannot be answered is left for the next run."""
        while not self.is_given_up:
            key = self._take()
            if key is None:
                self.shared.idle[self.stream.name] = self._looked[1:]
                if self.shared.are_done():
                    return
                yield None
                continue
            self.shared.under_way += 1
            try:
                yield from self._look_up(self.stream, key)
            except Unauthorized:
                raise
            except Gone:
                if (yield from self._is_nobody(key)):
                    self.result.counts.gone += self.store.nobody(self.stream, key, self.wall())
            except Unavailable:
                self._fail()
            except PylonError:
                # An odd record keeps no other from its turn.
                continue
            else:
                self._in_a_row = 0
            finally:
                self.shared.under_way -= 1
                self.shared.answered += 1
        # Nobody is to wait for it.
        self.shared.idle.pop(self.stream.name, None)

    def _take(self) -> str | None:
        looked = (self.result.ended, self.shared.have_ended(), self.shared.answered)
        if not self._left and looked != self._looked:
            self._looked = looked
            before = iso(moment(self.wall()) - self.again_after)
            # Without its list, nobody knows who is in none.
            is_read = self.result.ended and not (self.result.error or self.result.missing)
            found = self.store.unlisted(self.stream, before) if is_read else []
            self._left.extend(key for key in found if key not in self._asked)
            self._asked.update(found)
        return self._left.popleft() if self._left else None

    def _look_up(self, stream: Stream, key: str) -> Generator[Request, Page, None]:
        page = yield request_by_id(stream, key)
        rows = rows_of(stream, page.records[0])
        self.result.counts.add(self.store.commit_one(stream, rows, self.wall()))
        if rows.row["id"] != key:
            # Such as the account that this one was merged into.
            raise Gone(f"{stream.name} {key} is another one by now")

    def _is_nobody(self, key: str) -> Generator[Request, Page, bool]:
        """Whether it is no record of another stream either: who asks can be a user, and one who
        left is in no list. Gives False where that was not answered."""
        if self.stream is not CONTACTS or not self.store.is_placeholder(CONTACTS, key):
            return True
        try:
            yield from self._look_up(USERS, key)
        except Gone:
            return True
        except Unauthorized:
            raise
        except PylonError as error:
            if isinstance(error, Unavailable):
                self._fail()
            return False
        return True

    def _fail(self) -> None:
        self._in_a_row += 1
        self.is_given_up = self._in_a_row >= FAILURES_IN_A_ROW
