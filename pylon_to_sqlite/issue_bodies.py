"""Bodies of issues where private notes are left out: the body may be such a note.

It is the first message's words, as a rule, and comes with the issue, before the messages tell
whether that one is public. So it is withheld until they do; `_pylon_bodies` remembers which are.
"""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import timedelta

from sqlite_utils import Database

from pylon_to_sqlite.plan import iso, moment
from pylon_to_sqlite.privacy import is_public
from pylon_to_sqlite.purge import ERASED
from pylon_to_sqlite.rows import Rows
from pylon_to_sqlite.schema import TABLES, live
from pylon_to_sqlite.stale import Parent

COLUMNS = ("body_html", "body_text")

# A body is its issue's first message as a rule, so that one is written when the issue is opened, or
# was before. A note from so early may be it, though others moved here are older (merged issues).
EARLY = timedelta(minutes=1)
# What messages told of a body: that it is public, or that it may be a note. That stays, whatever
# becomes of the note, until the words are seen in public.
SURE, DOUBTED = 1, -1

# Told by the messages that are here, private ones too, as `_judged` does it.
_JUDGED = f"""
    SELECT i.id, i.updated_at AS judged_for,
        iif(m.issue_id IS NULL OR m.note IS NULL
            OR coalesce(NOT m.is_doubtful AND m.first <= i.early AND i.early < m.note, 0),
            {SURE}, {DOUBTED}) AS is_sure
    FROM (
        SELECT id, updated_at, strftime('%Y-%m-%dT%H:%M:%S', created_at,
            '+{EARLY.total_seconds():.0f} seconds') AS early FROM issues
    ) AS i
    JOIN _pylon_children AS c ON c.stream = 'issue_messages' AND c.parent = i.id
        AND c.read_for IS i.updated_at
    LEFT JOIN (
        SELECT issue_id, min(substr(timestamp, 1, 19)) AS first,
            total(strftime('%Y-%m-%dT%H:%M:%S', timestamp) IS NOT substr(timestamp, 1, 19))
                AS is_doubtful,
            min(coalesce(substr(timestamp, 1, 19), '')) FILTER (WHERE is_private IS NOT 0) AS note
        FROM issue_messages GROUP BY issue_id
    ) AS m ON m.issue_id = i.id
    WHERE m.issue_id IS NOT NULL OR c.again_at IS NULL
"""
# That the customer saw these very words is as good as knowing which message they are of.
_SEEN = """
    SELECT 1 FROM issue_messages AS m WHERE m.issue_id = {issue} AND m.is_private = 0
        AND (m.message_html = {html} OR m.message_text = {text})
"""
_OF_ISSUES = _SEEN.format(issue="issues.id", html="issues.body_html", text="issues.body_text")
_HAS_BODY = "body_html IS NOT NULL OR body_text IS NOT NULL"
_NOTES = "issue_messages WHERE is_private IS NOT 0"
_MAY_BE_NOTES = (
    f"id NOT IN (SELECT issue FROM _pylon_bodies WHERE is_sure = {SURE})"
    " AND NOT (id IN (SELECT issue FROM _pylon_bodies WHERE is_sure <> 0)"
    f" AND EXISTS ({_OF_ISSUES}))"
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.ASCII)


def withhold(db: Database, batch: Iterable[Rows]) -> list[Rows]:
    """The rows of issues, without those bodies of which it is not known that they are public."""
    batch = list(batch)
    keys = json.dumps([rows.row["id"] for rows in batch])
    known = {
        row[0]: row[1:]
        for row in db.execute(
            "SELECT i.id, b.is_sure, b.judged_for, i.body_html, i.body_text FROM issues AS i"
            " LEFT JOIN _pylon_bodies AS b ON b.issue = i.id"
            " WHERE i.id IN (SELECT value FROM json_each(?))",
            [keys],
        )
    }
    written, marks = [], []
    for rows in batch:
        issue, body = str(rows.row["id"]), [rows.row.get(name) for name in COLUMNS]
        is_sure, judged_for, *here = known.get(issue, (0, None, None, None))
        is_judged = judged_for is not None and judged_for == rows.row["updated_at"]
        is_public = body == here or (is_judged and (is_sure == SURE or _is_seen(db, issue, *body)))
        if any(body) and not is_public:
            rows = rows._replace(row={**rows.row, **dict.fromkeys(COLUMNS)})
        written.append(rows)
        marks.append((issue, any(body) and not is_public and not is_judged))
    db.conn.executemany(
        "INSERT INTO _pylon_bodies VALUES (?, NULL, 0, ?)"
        " ON CONFLICT (issue) DO UPDATE SET is_awaited = excluded.is_awaited",
        marks,
    )
    return written


def judge(
    db: Database, issue: Parent, messages: Sequence[Rows], again_at: str | None, now: str
) -> list[Rows]:
    """Take note of what all messages of an issue tell of its body, and leave nothing of private
    ones; gives the public ones. Where there are none at all, the body is no note, unless one may
    only just be coming."""
    sql = "SELECT created_at FROM issues WHERE id = ?"
    created_at = db.execute(sql, [issue.key]).fetchone()[0]
    judged_for = issue.changed_at if messages or again_at is None else None
    db.execute(
        "INSERT INTO _pylon_bodies VALUES (?1, ?2, ?3, 0) ON CONFLICT (issue) DO UPDATE"
        f" SET judged_for = ?2, is_sure = iif(is_sure = {DOUBTED}, {DOUBTED}, ?3)",
        [issue.key, judged_for, _judged(created_at, messages)],
    )
    # One that comes twice, and as a note once, is one.
    private = {rows.row["id"] for rows in messages if not is_public(rows.row)}
    found = "DELETE FROM issue_messages WHERE id IN (SELECT value FROM json_each(?))"
    if private and db.execute(found, [json.dumps(sorted(map(str, private)))]).rowcount:
        _note_erased(db)
    return [rows for rows in messages if rows.row["id"] not in private]


def _judged(created_at: str | None, messages: Sequence[Rows]) -> int:
    told = [(rows.row["timestamp"], is_public(rows.row)) for rows in messages]
    if all(is_open for _, is_open in told):
        return SURE
    times = [str(time or "") for time, _ in told]
    if not all(map(_TIME.fullmatch, (*times, created_at or ""))):
        return DOUBTED
    try:
        early = iso(moment(str(created_at)) + EARLY)[:19]
    except (ValueError, OverflowError):
        return DOUBTED
    notes = [time[:19] for time, (_, is_open) in zip(times, told, strict=True) if not is_open]
    return SURE if min(times)[:19] <= early < min(notes) else DOUBTED


def take_out(db: Database, issue: str, now: str) -> int:
    """Leave no body of an issue, whose messages are written, that may be a note; gives how many
    had one (0, 1)."""
    unseen = "SELECT issue FROM _pylon_bodies WHERE issue = :issue AND is_sure < 1"
    params = {"issue": issue, "now": now}
    return _take_out(db, f"id IN ({unseen}) AND NOT EXISTS ({_OF_ISSUES})", params)


def recall(db: Database) -> None:
    """Take note of what the messages in a file tell, which holds private ones, of all bodies."""
    db.execute(
        "INSERT OR REPLACE INTO _pylon_bodies"
        " SELECT i.id, j.judged_for, coalesce(j.is_sure, 0), 0"
        f" FROM issues AS i LEFT JOIN ({_JUDGED}) AS j ON j.id = i.id"
    )


def close(db: Database, now: str) -> tuple[int, int]:
    """Take private notes out of a file, and bodies that may be such, for all that is known of them;
    gives how many it was of both."""
    bodies = take_out_all(db, now)
    notes = db.execute(f"DELETE FROM {_NOTES}").rowcount
    if notes:
        _note_erased(db)
    return notes, bodies


def take_out_all(db: Database, now: str) -> int:
    """Leave no body that may be a note, for all that is known and here; gives how many it was."""
    return _take_out(db, _MAY_BE_NOTES, {"now": now})


def count_open(db: Database) -> tuple[int, int]:
    """How many of both `close` would take out."""
    bodies = f"SELECT count(*) FROM issues WHERE ({_MAY_BE_NOTES}) AND ({_HAS_BODY})"
    notes = f"SELECT count(*) FROM {_NOTES}"
    return db.execute(notes).fetchone()[0], db.execute(bodies).fetchone()[0]


def awaited(db: Database) -> list[tuple[str, str | None]]:
    """The issues whose bodies were withheld and are known to be public by now, with the times at
    which they were created, in their order."""
    return [
        (row[0], row[1])
        for row in db.execute(
            "SELECT i.id, i.created_at FROM _pylon_bodies AS b JOIN issues AS i ON i.id = b.issue"
            f" WHERE b.is_awaited AND b.judged_for = i.updated_at AND {live(TABLES['issues'], 'i')}"
            " ORDER BY i.created_at, i.id"
        )
    ]


def _take_out(db: Database, which: str, params: dict[str, str]) -> int:
    """Leave no body of these issues; gives how many had one."""
    had = f"({which}) AND ({_HAS_BODY})"
    lost = f"SELECT id FROM issues WHERE {had}"
    # What is known of them already brings them back only where it changes.
    db.execute(
        f"UPDATE _pylon_bodies SET is_awaited = 1 WHERE judged_for IS NULL AND issue IN ({lost})",
        params,
    )
    taken = db.execute(
        f"UPDATE issues SET body_html = NULL, body_text = NULL, synced_at = :now WHERE {had}",
        params,
    ).rowcount
    if taken:
        _note_erased(db)
    return taken


def _note_erased(db: Database) -> None:
    db.execute("INSERT OR IGNORE INTO _pylon_unpurged VALUES (?)", [ERASED])


def _is_seen(db: Database, issue: str, html: object, text: object) -> bool:
    sql = _SEEN.format(issue="?", html="?", text="?")
    return db.execute(sql, [issue, html, text]).fetchone() is not None
