"""Who asked: a contact or a user. Pylon gives one id for both, so the lists decide."""

import json
from collections.abc import Sequence
from typing import Any

from sqlite_utils import Database


def decide(db: Database, now: str, keys: Sequence[str] | None, *, with_email: bool = True) -> None:
    """Fill requester_contact_id and requester_user_id of the issues with these keys, or of all; a
    contact that no list has gets a row, `with_email` if that is known.

    Does nothing before contacts and users have been read whole.
    """
    complete = db.execute(
        "SELECT count(*) FROM _pylon_checkpoints"
        " WHERE stream IN ('contacts', 'users') AND completed_at IS NOT NULL"
    ).fetchone()
    if complete != (2,):
        return
    params: dict[str, Any] = {"now": now, "keys": None if keys is None else json.dumps(keys)}
    chosen = "1" if keys is None else "id IN (SELECT value FROM json_each(:keys))"
    db.execute(
        f"""
        WITH decided AS (
            SELECT id, iif(is_user, NULL, requester_id) AS contact, iif(is_user, requester_id, NULL)
                AS user
            FROM (
                SELECT id, requester_id, requester_id IN (SELECT id FROM users)
                    AND requester_id NOT IN (SELECT id FROM contacts WHERE placeholder = 0)
                    AS is_user
                FROM issues WHERE {chosen}
            )
        )
        -- Issues may have columns of any name.
        UPDATE issues SET synced_at = :now,
            requester_contact_id = decided.contact, requester_user_id = decided.user
        FROM decided WHERE issues.id = decided.id
            AND (issues.requester_contact_id IS NOT decided.contact
                OR issues.requester_user_id IS NOT decided.user)
        """,
        params,
    )
    db.execute(
        f"""
        INSERT OR IGNORE INTO contacts (id, email, placeholder, synced_at)
        SELECT requester_contact_id, {"max(requester_email)" if with_email else "NULL"}, 1, :now
        FROM issues
        WHERE requester_contact_id IS NOT NULL AND {chosen} GROUP BY 1
        """,
        params,
    )
    if keys is None:
        # Who was taken for a contact before the users' list named them.
        db.execute(
            """
            DELETE FROM contacts WHERE placeholder = 1 AND id IN (SELECT id FROM users)
                AND NOT EXISTS (SELECT 1 FROM issues WHERE requester_contact_id = contacts.id)
                AND NOT EXISTS (
                    SELECT 1 FROM issue_messages WHERE author_contact_id = contacts.id)
            """
        )
