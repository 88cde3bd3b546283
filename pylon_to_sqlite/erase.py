"""Records that Pylon no longer has, erased for good: not only marked."""

from collections.abc import Iterator, Mapping

from sqlite_utils import Database

from pylon_to_sqlite.drift import added
from pylon_to_sqlite.layout import quoted
from pylon_to_sqlite.purge import ERASED
from pylon_to_sqlite.rows import OURS
from pylon_to_sqlite.schema import TABLES
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.streams import STREAMS

# What the mirror writes by itself about records.
_OURS: Mapping[str, list[tuple[str, str]]] = {
    "issues": [
        *(("issue_changes", "issue_id"), ("attachments", "issue_id")),
        ("_pylon_bodies", "issue"),
    ],
    "issue_messages": [("attachments", "message_id")],
}
_OLD = "deleted_at <= :until"


def erase(db: Database, until: str, now: str) -> int:
    """Erase the records that were marked up to that time, with their lists and their changes;
    gives how many. Where another row still names one, its key stays, with the mark."""
    erased = sum(_empty(db, stream, until, now) for stream in STREAMS)
    # Only now does no erased row name another any more.
    for stream in STREAMS:
        named = "".join(
            f" AND erased.{stream.key[0]} NOT IN (SELECT {quoted(column)} FROM {quoted(table)}"
            f" WHERE {quoted(column)} IS NOT NULL)"
            for table, column in naming(db, stream)
        )
        sql = f"DELETE FROM {stream.name} AS erased WHERE {_OLD}{named}"
        db.execute(sql, {"until": until})
    if erased:
        db.execute("INSERT OR IGNORE INTO _pylon_unpurged VALUES (?)", [ERASED])
    return erased


def _empty(db: Database, stream: Stream, until: str, now: str) -> int:
    """Leave nothing of the stream's old records but their keys; gives how many had more."""
    params = {"until": until, "now": now, "stream": stream.name}
    keys = f"SELECT {stream.key[0]} FROM {stream.name} WHERE {_OLD}"
    lists = [(link.table, link.owner.name) for link in stream.links]
    lists += _OURS.get(stream.name, [])
    for table, owner in lists:
        db.execute(f"DELETE FROM {table} WHERE {owner} IN ({keys})", params)
    # Else they would be asked for by their ids again.
    db.execute(f"DELETE FROM _pylon_unlisted WHERE stream = :stream AND key IN ({keys})", params)
    names = sorted(map(quoted, filled(db, stream)))
    emptied = ", ".join(f"{name} = NULL" for name in names)
    holds = " OR ".join(f"{name} IS NOT NULL" for name in names)
    mark = ", placeholder = 1" if TABLES[stream.name].has_placeholder else ""
    return db.execute(
        f"UPDATE {stream.name} SET {emptied}, synced_at = :now{mark} WHERE {_OLD} AND ({holds})",
        params,
    ).rowcount


def filled(db: Database, stream: Stream) -> set[str]:
    """What a record fills in its table, but for its key."""
    known = {column.name for column in TABLES[stream.name].columns}
    return known - {*stream.key, *OURS} | added(db)[stream.name]


def naming(db: Database, stream: Stream) -> Iterator[tuple[str, str]]:
    """The columns that name records of the stream, in any table of the file."""
    for table in db.table_names():
        for key in db.execute(f"PRAGMA foreign_key_list({quoted(table)})").fetchall():
            is_its_key = (key[4] or stream.key[0]).lower() == stream.key[0]
            if key[2].lower() == stream.name and is_its_key:
                yield table, key[3]
