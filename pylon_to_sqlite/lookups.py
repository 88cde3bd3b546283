"""Records that only references tell of, asked for by their ids: once, and once a day those that
Pylon has though no list of it names them."""

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import timedelta

from pylon_to_sqlite.children import FAILURES_IN_A_ROW, Result
from pylon_to_sqlite.errors import Gone, PylonError, Unauthorized, Unavailable
from pylon_to_sqlite.lanes import Steps
from pylon_to_sqlite.plan import Page, Request, iso, moment, request_by_id
from pylon_to_sqlite.rows import rows_of
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.streams import CONTACTS, USERS

AGAIN_AFTER = timedelta(days=1)


@dataclass
class LookUps:
    """What is still to be looked up of one stream, shared by several readers.

    References are looked at when the stream's list has been read, and again when all streams have
    been: messages name people too.
    """

    stream: Stream
    store: Store
    result: Result
    all_ended: Callable[[], bool]
    wall: Callable[[], str]
    is_given_up: bool = False
    _left: deque[str] = field(default_factory=deque)
    _asked: set[str] = field(default_factory=set)
    _in_a_row: int = 0
    _looked: tuple[bool, bool] = (False, False)

    def reader(self) -> Steps:
        """Look up one after the other. What cannot be answered is left for the next run."""
        while not self.is_given_up:
            key = self._take()
            if key is None:
                if self.all_ended():
                    return
                yield None
                continue
            try:
                yield from self._look_up(self.stream, key)
            except Unauthorized:
                raise
            except Gone:
                # Who asks can be a user, and one who left is in no list.
                if self.stream is not CONTACTS or (yield from self._is_told_of(USERS, key)):
                    self.result.counts.gone += self.store.nobody(self.stream, key, self.wall())
            except Unavailable:
                self._in_a_row += 1
                self.is_given_up = self._in_a_row >= FAILURES_IN_A_ROW
            except PylonError:
                # An odd record keeps no other from its turn.
                continue
            else:
                self._in_a_row = 0

    def _take(self) -> str | None:
        looked = (self.result.ended, self.all_ended())
        if not self._left and looked != self._looked:
            self._looked = looked
            before = iso(moment(self.wall()) - AGAIN_AFTER)
            # Without its list, nobody knows who is in none.
            is_read = self.result.ended and not self.result.error
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

    def _is_told_of(self, stream: Stream, key: str) -> Generator[Request, Page, bool]:
        """Look it up there too; whether there was an answer, be it that there is none."""
        try:
            yield from self._look_up(stream, key)
        except Gone:
            return True
        except Unauthorized:
            raise
        except PylonError:
            return False
        return True
