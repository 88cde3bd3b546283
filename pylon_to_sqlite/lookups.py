"""Records that only references tell of, asked for by their ids: once, and once a day those that
Pylon has though no list of it names them."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from pylon_to_sqlite.children import Result
from pylon_to_sqlite.errors import Gone, PylonError, Unauthorized
from pylon_to_sqlite.lanes import Steps
from pylon_to_sqlite.plan import iso, moment, request_by_id
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
                self.result.counts.gone += self.store.nobody(self.stream, key, self.wall())
                if self.stream is CONTACTS:
                    yield from self._may_be_a_user(key)
            except PylonError:
                self.is_given_up = True

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

    def _look_up(self, stream: Stream, key: str) -> Steps:
        page = yield request_by_id(stream, key)
        rows = rows_of(stream, page.records[0])
        self.result.counts.add(self.store.commit_one(stream, rows, self.wall()))
        if rows.row["id"] != key:
            # Such as the account that this one was merged into.
            raise Gone(f"{stream.name} {key} is another one by now")

    def _may_be_a_user(self, key: str) -> Steps:
        """Who asks can be a user, and one who left is in no list."""
        try:
            yield from self._look_up(USERS, key)
        except Unauthorized:
            raise
        except PylonError:
            return
