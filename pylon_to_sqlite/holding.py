"""What a mirror holds, as far as it decides what to ask for. Reads only."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlite_utils import Database

from pylon_to_sqlite import issue_bodies, unlisted
from pylon_to_sqlite.plan import BEFORE_PYLON, iso, moment
from pylon_to_sqlite.schema import TABLES, live
from pylon_to_sqlite.stale import Parent, count_stale, stale
from pylon_to_sqlite.stream import Stream

# Issues can be imported from elsewhere.
BEFORE_ALL = "2000-01-01T00:00:00Z"
# What stands in _pylon_children of a parent of which it was told once that it has none.
TOLD_EMPTY = "(read_for IS NULL AND again_at IS NOT NULL AND again_at = read_at)"
_IS_TIME = "created_at > ? AND created_at LIKE '____-__-__T%' AND datetime(created_at) IS NOT NULL"


class Holding:
    """The mirror in one SQLite file, looked at."""

    db: Database

    def has(self, stream: Stream, part: str | None) -> bool:
        """Whether there are live rows of the stream, or of this part of it: a parent's children,
        or those that one value of its parameter asks for."""
        of_part = "1" if part is None else f"{stream.part_column} = :part"
        found = self.db.execute(
            f"SELECT 1 FROM {stream.name} WHERE {of_part} AND {live(TABLES[stream.name])} LIMIT 1",
            {"part": part},
        )
        return found.fetchone() is not None

    def had(self, stream: Stream, part: str) -> bool:
        """Whether there ever were rows of this part of the stream."""
        sql = f"SELECT 1 FROM {stream.name} WHERE {stream.part_column} = ? LIMIT 1"
        return self._one(sql, part) is not None

    def parents(self, stream: Stream) -> list[str]:
        """Keys of the live rows of a stream, in order."""
        found = self.db.execute(
            f"SELECT id FROM {stream.name} WHERE {live(TABLES[stream.name])} ORDER BY id"
        )
        return [row[0] for row in found]

    def newest(self, stream: Stream, most: int, but: str) -> list[str]:
        """Keys of the live rows that changed last, without the one."""
        found = self.db.execute(
            f"SELECT id FROM {stream.name} WHERE {live(TABLES[stream.name])} AND id <> ?"
            " ORDER BY updated_at DESC, id LIMIT ?",
            [but, most],
        )
        return [row[0] for row in found]

    def other_owners(self, stream: Stream, most: int, but: str) -> list[str]:
        """Keys of parents that have live children of this stream, without the one."""
        found = self.db.execute(
            f"SELECT DISTINCT {stream.owner} FROM {stream.name} WHERE {stream.owner} <> ?"
            f" AND {live(TABLES[stream.name])} LIMIT ?",
            [but, most],
        )
        return [row[0] for row in found]

    def empty_since(self, stream: Stream, parent: str) -> str | None:
        """Since when it is told that a parent has no children, while that is not believed."""
        sql = (
            f"SELECT read_at FROM _pylon_children WHERE stream = ? AND parent = ? AND {TOLD_EMPTY}"
        )
        row = self._one(sql, stream.name, parent)
        return row and str(row[0])

    def stale(self, stream: Stream, now: str, full: str | None) -> Iterator[Parent]:
        """Parents whose children must be read, newest first, each once. It may be written to
        while this goes on: what is read meanwhile is not given again."""
        return stale(self.db, stream, now, full)

    def count_stale(self, stream: Stream, now: str, full: str | None = None) -> int:
        """How many parents' children must be read."""
        return count_stale(self.db, stream, now, full)

    def earliest(self) -> str:
        """A time before anything in the workspace can have been written: two years (for what was
        imported) before its oldest account, or before there was Pylon."""
        sql = f"SELECT min(created_at) FROM accounts WHERE {_IS_TIME}"
        row = self._one(sql, BEFORE_PYLON)
        if row[0] is None:
            return BEFORE_PYLON
        return max(iso(moment(row[0]) - timedelta(days=730)), BEFORE_PYLON)

    def oldest_issue(self) -> str | None:
        """When the first issue was created that is or was here."""
        # Nobody had one before: an earlier time is none, such as year 1.
        sql = f"SELECT min(created_at) FROM issues WHERE {_IS_TIME} AND placeholder = 0"
        row = self._one(sql, BEFORE_ALL)
        return str(row[0]) if row[0] else None

    def is_placeholder(self, stream: Stream, key: str) -> bool:
        """Whether the record of this key is only known by reference."""
        row = self._one(f"SELECT placeholder FROM {stream.name} WHERE id = ?", key)
        return row is None or bool(row[0])

    def unlisted(self, stream: Stream, before: str) -> list[str]:
        """Keys to look up by id, but for those that were asked for since `before`."""
        return unlisted.unlisted(self.db, stream, before)

    def awaited(self) -> list[tuple[str, str | None]]:
        """Issues whose bodies may be written by now: their keys and when they were created."""
        return issue_bodies.awaited(self.db)

    def is_named(self, stream: Stream, key: str) -> bool:
        """Whether a record is there as far as its list has told."""
        sql = (
            f"SELECT 1 FROM {stream.name} WHERE id = :key AND {live(TABLES[stream.name])} AND NOT"
            " EXISTS (SELECT 1 FROM _pylon_unlisted WHERE stream = :stream AND key = :key)"
        )
        return self.db.execute(sql, {"stream": stream.name, "key": key}).fetchone() is not None

    def _one(self, sql: str, *params: Any) -> Any:
        return self.db.execute(sql, list(params)).fetchone()
