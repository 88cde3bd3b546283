"""What became of issues, as far as syncs saw it: Pylon tells how they are, not how they were."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlite_utils import Database

from pylon_to_sqlite.pseudonyms import DOMAIN

# Priority is a custom field.
_PRIORITY = "SELECT value FROM issue_custom_fields WHERE issue_id = issues.id AND slug = 'priority'"
WATCHED: Mapping[str, str] = {
    **{name: name for name in ("state", "assignee_id", "team_id", "account_id", "type", "tags")},
    "priority": f"({_PRIORITY} LIMIT 1)",
}

State = Mapping[str, tuple[Any, ...]]


def watched(db: Database, keys: Sequence[str]) -> State:
    """The issues of these keys as they are here, by key; those that are not here yet are not."""
    found = db.execute(
        f"SELECT id, {', '.join(WATCHED.values())} FROM issues"
        " WHERE placeholder = 0 AND id IN (SELECT value FROM json_each(?))",
        [json.dumps(keys)],
    )
    return {row[0]: row[1:] for row in found}


def note(
    db: Database, before: State, after: State, now: str, returning: Collection[str] = ()
) -> None:
    """Note what changed of issues that were here before. Of columns that are `returning`, nobody
    knows what those held that are empty, and a pseudonym is what it stands for."""
    changes = [
        (key, name, old, new, now)
        for key, values in before.items()
        for name, old, new in zip(WATCHED, values, after.get(key, values), strict=True)
        if old != new and not (name in returning and (old is None or DOMAIN in str(old)))
    ]
    db.conn.executemany(
        'INSERT INTO issue_changes (issue_id, "column", old, new, seen_at) VALUES (?, ?, ?, ?, ?)',
        changes,
    )
