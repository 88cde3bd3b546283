"""What Pylon no longer has: its rows stay, with the time in `deleted_at`, and so do references.

Only the record itself takes the mark away again (tables.py), never a reference to it.
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlite_utils import Database

from pylon_to_sqlite.errors import Unexpected
from pylon_to_sqlite.schema import TABLES, live
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.streams import STREAMS
from pylon_to_sqlite.tables import by_key

# A list may lack so many records, or half of what is there, before that is no news but a fault.
FEW = 5

_WALKED = "rowid IN (SELECT found FROM temp.walked WHERE stream = :stream)"


def prepare(db: Database) -> None:
    """Make room for what walks of this run have found."""
    db.execute(
        "CREATE TEMP TABLE IF NOT EXISTS walked"
        " (stream TEXT, found INTEGER, PRIMARY KEY (stream, found)) WITHOUT ROWID"
    )


def mark(db: Database, stream: Stream, where: str, params: dict[str, Any], now: str) -> int:
    """Mark the live rows that a condition names; gives how many they were."""
    return db.execute(
        f"UPDATE {stream.name} SET deleted_at = :now, synced_at = :now"
        f" WHERE {where} AND {live(TABLES[stream.name])}",
        {**params, "now": now},
    ).rowcount


def mark_all(db: Database, stream: Stream, where: str, params: dict[str, Any], now: str) -> int:
    """Mark the live records that a condition names, and the children that they had; gives how
    many. Marks of children that were read go too: they are read should a record come back."""
    gone = mark(db, stream, where, params, now)
    if gone:
        parents = f"SELECT {stream.key[0]} FROM {stream.name} WHERE deleted_at IS NOT NULL"
        _mark_children(db, stream, parents, {}, now)
    return gone


def mark_one(db: Database, stream: Stream, key: str, now: str) -> int:
    """Mark a record as `mark_all` does; gives how many that was (0, 1)."""
    gone = mark(db, stream, f"{stream.key[0]} = :key", {"key": key}, now)
    _mark_children(db, stream, "SELECT :key", {"key": key}, now)
    return gone


def begin_walk(db: Database, stream: Stream) -> None:
    """From here on what `found` is told of is what the list holds."""
    db.execute("DELETE FROM temp.walked WHERE stream = ?", [stream.name])


def found(db: Database, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> None:
    """A walk has come by the records of these keys, which are in their table by now."""
    rowids = by_key(TABLES[stream.name], ("rowid",))
    db.execute(
        f"INSERT OR IGNORE INTO temp.walked SELECT ?, rowid FROM ({rowids})",
        [stream.name, json.dumps(keys)],
    )


def mark_unseen(
    db: Database, stream: Stream, parts: Sequence[str] | None, now: str, *, is_allowed: bool
) -> int:
    """Mark what a finished walk has not come by, in the parts that were read whole (None: in all),
    or have it looked up where that can be; gives how many were marked.

    Raises Unexpected, with nothing marked, where that is most of what there is, unless it
    `is_allowed`.
    """
    key = stream.key[0]
    params = {"stream": stream.name, "parts": json.dumps(parts or ())}
    unlisted = "SELECT key FROM _pylon_unlisted WHERE stream = :stream"
    db.execute(
        "DELETE FROM _pylon_unlisted WHERE stream = :stream"
        f" AND key IN (SELECT {key} FROM {stream.name} WHERE {_WALKED})",
        params,
    )
    where = f"NOT {_WALKED} AND {key} NOT IN ({unlisted})"
    part = stream.part_column or "NULL"
    if parts is not None:
        where += f" AND {part} IN (SELECT value FROM json_each(:parts))"
    is_live = live(TABLES[stream.name])
    # A part of a list can be cut off as a whole one can.
    for total, missing in db.execute(
        f"SELECT count(*), count(*) FILTER (WHERE {where}) FROM {stream.name} WHERE {is_live}"
        f" GROUP BY {part}",
        params,
    ).fetchall():
        if missing > FEW and 2 * missing > total and not is_allowed:
            raise Unexpected(
                f"Pylon's list lacks {missing:,} of the {total:,} {stream.name} that are here, so"
                " none was marked as deleted. If they are gone, say so once with"
                f" --allow-deletes {stream.name}"
            )
    if stream.by_id:
        # A list can lack what is there: the records themselves are asked for (lookups.py).
        db.execute(
            f"INSERT OR IGNORE INTO _pylon_unlisted SELECT :stream, {key}, '' FROM {stream.name}"
            f" WHERE {where} AND {is_live}",
            params,
        )
        return 0
    return mark_all(db, stream, where, params, now)


def unseen(
    db: Database, stream: Stream, where: str, params: dict[str, Any]
) -> tuple[int, list[str]]:
    """How many live rows a condition names, and the keys of those that no walk came by."""
    named = f"FROM {stream.name} WHERE {where} AND {live(TABLES[stream.name])}"
    params = {**params, "stream": stream.name}
    (total,) = db.execute(f"SELECT count(*) {named}", params).fetchone()
    missing = db.execute(f"SELECT {stream.key[0]} {named} AND NOT {_WALKED}", params)
    return total, [row[0] for row in missing]


def _mark_children(
    db: Database, stream: Stream, parents: str, params: dict[str, Any], now: str
) -> None:
    """What belongs to a record that is gone is gone; `parents` is SQL for the keys."""
    for child in STREAMS:
        if child.parent is stream:
            mark(db, child, f"{child.owner} IN ({parents})", params, now)
            db.execute(
                f"DELETE FROM _pylon_children WHERE stream = :child AND parent IN ({parents})",
                {**params, "child": child.name},
            )
