"""What the page of one conversation shows: its messages in order, who wrote them, and what was
removed. Asks a mirror, knows no HTML but what is in messages."""

import re
from typing import Any

from pylon_to_sqlite.plugin.links import anchor
from pylon_to_sqlite.plugin.pages import Mirror, Row
from pylon_to_sqlite.plugin.sanitise import Sanitiser, Shown
from pylon_to_sqlite.plugin.words import files, minute, moment

# Messages on a page: the longest conversations have thousands.
PAGE = 100
_LARGEST = 2**63 - 1

_ORDER = "coalesce(timestamp, ''), rowid"
_SIDES = {"us": "agent", "customer": "customer", "bot": "bot"}


async def issue_of(mirror: Mirror, asked: str) -> Row | None:
    """The issue of a number, or of an id; a live one first, where a number was given twice."""
    number = re.fullmatch(r"(-?)([0-9]+)", asked)
    column = "number" if number else "id"
    # Python refuses to read thousands of digits.
    digits = number[2].lstrip("0") or "0" if number else ""
    if len(digits) > 19 or (digits and int(digits) > _LARGEST):
        return None
    found = await mirror.rows(
        f"SELECT * FROM issues WHERE {column} = :asked"
        " ORDER BY deleted_at IS NOT NULL OR placeholder, created_at DESC LIMIT 1",
        {"asked": int(number[1] + digits) if number else asked},
    )
    return found[0] if found else None


async def page_of(mirror: Mirror, issue: str, message: str) -> int:
    """The page that a message is on, from 1; the first where it is on none."""
    (found,) = await mirror.rows(
        "SELECT count(*) AS before FROM issue_messages AS m, ("
        " SELECT coalesce(timestamp, '') AS at, rowid AS place FROM issue_messages"
        " WHERE id = :message AND issue_id = :issue"
        ") WHERE m.issue_id = :issue AND (coalesce(m.timestamp, ''), m.rowid) < (at, place)",
        {"issue": issue, "message": message},
    )
    return int(found["before"]) // PAGE + 1


async def count(mirror: Mirror, issue: str) -> int:
    """How many messages the issue has, removed ones too: each has its place."""
    sql = "SELECT count(*) AS many FROM issue_messages WHERE issue_id = :issue"
    (found,) = await mirror.rows(sql, {"issue": issue})
    return int(found["many"])


async def messages(mirror: Mirror, issue: str, page: int) -> list[Row]:
    """The messages of a page, as they are shown."""
    found = await mirror.rows(
        f"SELECT * FROM issue_messages WHERE issue_id = :issue ORDER BY {_ORDER}"
        " LIMIT :limit OFFSET :offset",
        {"issue": issue, "limit": PAGE, "offset": (page - 1) * PAGE},
    )
    people = {
        **await named(mirror, "contacts", {row["author_contact_id"] for row in found}),
        **await named(mirror, "users", {row["author_user_id"] for row in found}),
    }
    threads = await named(mirror, "issue_threads", {row["thread_id"] for row in found})
    kept = await _kept(mirror, issue)
    bodies = await mirror.in_thread(lambda: _bodies(found))
    shown: list[Row] = []
    day = ""
    for row, body in zip(found, bodies, strict=True):
        one = _message(row, people, threads, body)
        one["files"] = [] if row["deleted_at"] else files(row["file_urls"], kept)
        one["new_day"] = one["day"] if one["day"] != day else ""
        day = one["day"]
        shown.append(one)
    return shown


async def body(mirror: Mirror, issue: Row) -> Row:
    """What an issue says where none of its messages has been read; else that is the first one.
    It may be a private note, unless its messages were read as it is now and it has none."""
    shown = await mirror.in_thread(
        lambda: Sanitiser().shown(issue["body_html"], issue["body_text"])
    )
    return {"shown": shown, "is_untold": not await _is_read(mirror, issue)}


async def _is_read(mirror: Mirror, issue: Row) -> bool:
    """Whether an issue's messages were read for its present state, and need not be read again."""
    if not await mirror.has("_pylon_children"):
        return False
    found = await mirror.rows(
        "SELECT 1 FROM _pylon_children WHERE stream = 'issue_messages' AND parent = :issue"
        " AND read_for IS :updated_at AND again_at IS NULL",
        {"issue": issue["id"], "updated_at": issue["updated_at"]},
    )
    return bool(found)


async def _kept(mirror: Mirror, issue: str) -> dict[str, str]:
    """Where the contents of an issue's files are, by address, below the directory that they were
    downloaded into."""
    if not await mirror.has("attachments"):
        return {}
    found = await mirror.rows(
        "SELECT address, path FROM attachments"
        " WHERE issue_id = :issue AND path IS NOT NULL AND deleted_at IS NULL",
        {"issue": issue},
    )
    return {row["address"]: row["path"] for row in found}


def _bodies(found: list[Row]) -> list[Shown | None]:
    sanitiser = Sanitiser()
    return [
        # Its words are gone from Pylon; that it was there is part of the conversation.
        None if row["deleted_at"] else sanitiser.shown(row["message_html"], row["message_text"])
        for row in found
    ]


def _message(
    row: Row, people: dict[str, str], threads: dict[str, str], body: Shown | None
) -> dict[str, Any]:
    author = row["author_contact_id"] or row["author_user_id"]
    side = "customer" if row["author_contact_id"] else "us" if row["author_user_id"] else "bot"
    at = moment(row["timestamp"])
    return {
        "id": row["id"],
        "anchor": anchor(str(row["id"])),
        "side": side,
        "role": _SIDES[side],
        "author": row["author_name"] or people.get(author or "") or "Unknown",
        "time": row["timestamp"],
        "clock": f"{at:%H:%M}" if at else minute(row["timestamp"]),
        "day": f"{at:%A}, {at.day} {at:%B %Y}" if at else "",
        "source": str(row["source"] or "").replace("_", " "),
        # What is not said to be public is no customer's.
        "is_private": row["is_private"] != 0,
        "is_untold": row["is_private"] is None,
        "thread": threads.get(row["thread_id"] or "", ""),
        "body": body,
        "removed": minute(row["deleted_at"]),
    }


async def named(mirror: Mirror, table: str, keys: set[str | None]) -> dict[str, str]:
    """Names of records by key, as far as they may be seen: their addresses where they have none."""
    wanted = [key for key in keys if key]
    if not wanted or not await mirror.has(table):
        return {}
    name = "coalesce(name, email)" if table in ("contacts", "users") else "name"
    places = {f"k{at}": key for at, key in enumerate(wanted)}
    found = await mirror.rows(
        f"SELECT id, {name} AS name FROM {table}"
        f" WHERE id IN ({', '.join(f':{place}' for place in places)})",
        places,
    )
    return {row["id"]: row["name"] for row in found if row["name"]}
