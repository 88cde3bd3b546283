"""Records that Pylon has, but names in no list: which are to be asked for by their ids. SQL only;
what writes belongs inside a transaction."""

from sqlite_utils import Database

from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.tombstones import mark_one


def unlisted(db: Database, stream: Stream, before: str) -> list[str]:
    """Keys to look up: of records only known by reference, and of those that were found so and have
    not been asked for since `before`."""
    found = db.execute(
        f"SELECT id FROM {stream.name} WHERE placeholder = 1 AND deleted_at IS NULL"
        " UNION SELECT key FROM _pylon_unlisted WHERE stream = :stream AND asked_at < :before",
        {"stream": stream.name, "before": before},
    )
    return [row[0] for row in found]


def asked(db: Database, stream: Stream, key: object, now: str) -> None:
    """Note that a record was asked for by its id, and is there."""
    sql = "INSERT OR REPLACE INTO _pylon_unlisted VALUES (?, ?, ?)"
    db.execute(sql, [stream.name, key, now])


def nobody(db: Database, stream: Stream, key: str, now: str) -> int:
    """There is no record of this id: what stands for it is marked. Gives how many live ones are
    gone (0, 1). It is asked for once more another day, for one answer may be wrong."""
    is_known = db.execute(f"SELECT deleted_at FROM {stream.name} WHERE id = ?", [key]).fetchone()
    db.execute("DELETE FROM _pylon_unlisted WHERE stream = ? AND key = ?", [stream.name, key])
    if not (is_known and is_known[0]):
        asked(db, stream, key, now)
    db.execute(
        f"UPDATE {stream.name} SET deleted_at = :now, synced_at = :now"
        " WHERE id = :key AND placeholder = 1 AND deleted_at IS NULL",
        {"key": key, "now": now},
    )
    return mark_one(db, stream, key, now)
