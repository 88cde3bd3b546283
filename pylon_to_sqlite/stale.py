"""Which parents' children are stale: read before the parent last changed, or never. SQL only."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlite_utils import Database

from pylon_to_sqlite.schema import TABLES, live
from pylon_to_sqlite.stream import Belonging, Stream

BATCH = 500

_STALE = """
    FROM {parent} AS p
    LEFT JOIN _pylon_children AS m ON m.stream = :stream AND m.parent = p.id
    WHERE {is_live}{only}
      AND (m.parent IS NULL OR m.read_for IS NOT p.{stale_by}
           OR m.again_at <= :now OR m.read_at < :full)
"""


# Issues with messages since :since; and those without any, which may be a fault.
DOUBTED = """
    SELECT issue_id FROM issue_messages WHERE timestamp >= :since
    UNION SELECT id FROM issues WHERE id NOT IN (
        SELECT issue_id FROM issue_messages WHERE deleted_at IS NULL AND issue_id IS NOT NULL)
"""


def stale_sql(stream: Stream) -> str:
    """FROM and WHERE of the parents whose children are stale; takes :stream, :now and :full."""
    assert stream.belongs
    return _STALE.format(
        parent=stream.belongs.parent.name,
        stale_by=stream.belongs.stale_by,
        is_live=live(TABLES[stream.belongs.parent.name], "p"),
        only=_only(stream, stream.belongs),
    )


def _only(stream: Stream, belongs: Belonging) -> str:
    """Which parents may have children, where not all may."""
    column, value = belongs.only
    if not column:
        return ""
    # What had some once may still have, whatever it is by now.
    others = [(stream.name, belongs.owner, "1")]
    if other := belongs.only_by:
        # As it is in PARTIAL_INDEXES, for it is asked for often.
        others.append((other.name, other.owner, f"lower({column}) = '{value}'"))
    may = [f"p.id IN (SELECT {owner} FROM {name} WHERE {sql})" for name, owner, sql in others]
    may.append(f"lower(p.{column}) = '{value}'")
    return f" AND ({' OR '.join(may)})"


def stale_params(stream: Stream, now: str, full: str | None) -> dict[str, str | None]:
    """What the SQL takes."""
    return {"stream": stream.name, "now": now, "full": full}


class Parent(NamedTuple):
    """A parent whose children are to be read, and the state of it that they are read for."""

    key: str
    changed_at: str | None


def stale(db: Database, stream: Stream, now: str, full: str | None) -> Iterator[Parent]:
    """Parents whose children must be read, newest first, each once. It may be written to
    while this goes on: what is read meanwhile is not given again."""
    assert stream.belongs
    stale_by = stream.belongs.stale_by
    last: tuple[str | None, str] | None = None
    for order in ("p.created_at IS NOT NULL", "p.created_at IS NULL"):
        while True:
            beyond = "1"
            if last is not None and last[0] is not None:
                beyond = "(p.created_at, p.id) < (:created_at, :id)"
            elif last is not None:
                beyond = "p.id < :id"
            created_at, key = last or (None, None)
            batch = db.execute(
                f"SELECT p.id, p.created_at, p.{stale_by}"
                f"{stale_sql(stream)} AND {order} AND {beyond}"
                " ORDER BY p.created_at DESC, p.id DESC LIMIT :limit",
                {
                    **stale_params(stream, now, full),
                    "created_at": created_at,
                    "id": key,
                    "limit": BATCH,
                },
            ).fetchall()
            for key, created_at, changed_at in batch:
                last = (created_at, key)
                yield Parent(key, changed_at)
            if len(batch) < BATCH:
                last = None
                break


def count_stale(db: Database, stream: Stream, now: str, full: str | None) -> int:
    """How many parents' children must be read."""
    sql = f"SELECT count(*) {stale_sql(stream)}"
    return int(db.execute(sql, stale_params(stream, now, full)).fetchone()[0])
