"""What stands beside a conversation: the facts of its issue, and the account's other issues."""

from typing import NamedTuple

from pylon_to_sqlite.plugin.conversation import named
from pylon_to_sqlite.plugin.links import conversation_path
from pylon_to_sqlite.plugin.pages import Mirror, Row
from pylon_to_sqlite.plugin.sanitise import is_web
from pylon_to_sqlite.plugin.words import listed, mapped, minute, span

_LIVE = "deleted_at IS NULL AND placeholder = 0"
_NEIGHBOURS = 5


class Fact(NamedTuple):
    """A label, and values, each with an address to go to or none. `is_outside` where that is no
    page of this Datasette."""

    label: str
    values: list[tuple[str, str]]
    is_outside: bool = False


async def facts(mirror: Mirror, issue: Row) -> list[Fact]:
    """The facts that are known and may be seen."""
    found = [
        *await _people(mirror, issue),
        Fact("State", [(await _state(mirror, issue["state"]), "")]),
        Fact("Type", [(str(issue["type"] or "").lower(), "")]),
        Fact("Channel", [(str(issue["source"] or "").replace("_", " "), "")]),
        *await _fields(mirror, issue["id"]),
        *await _lists(mirror, issue),
        *_times(issue),
    ]
    return [
        Fact(fact.label, values, fact.is_outside)
        for fact in found
        if (values := [(text, path) for text, path in fact.values if text])
    ]


async def _people(mirror: Mirror, issue: Row) -> list[Fact]:
    contact, user = issue["requester_contact_id"], issue["requester_user_id"]
    columns = {
        "Account": ("accounts", issue["account_id"]),
        "Requester": ("users", user) if user else ("contacts", contact),
        "Assignee": ("users", issue["assignee_id"]),
        "Team": ("teams", issue["team_id"]),
    }
    found: list[Fact] = []
    for label, (table, key) in columns.items():
        name = (await named(mirror, table, {key})).get(key or "")
        if name:
            found.append(Fact(label, [(name, mirror.row(table, str(key)))]))
        elif label == "Requester":
            found.append(Fact(label, [(issue["requester_email"] or "", "")]))
        elif label == "Assignee" and not key:
            found.append(Fact(label, [("nobody", "")]))
    return found


async def _state(mirror: Mirror, slug: str | None) -> str:
    if slug and await mirror.has("issue_statuses"):
        sql = "SELECT label FROM issue_statuses WHERE slug = :slug"
        for row in await mirror.rows(sql, {"slug": slug}):
            return str(row["label"] or slug)
    return slug or ""


async def _fields(mirror: Mirror, issue: str) -> list[Fact]:
    """Custom fields, among them priority, under the labels that people know."""
    if not await mirror.has("issue_custom_fields"):
        return []
    defined: dict[str, Row] = {}
    if await mirror.has("custom_fields"):
        rows = await mirror.rows(
            "SELECT slug, label, select_metadata FROM custom_fields"
            " WHERE object_type = 'issue' AND deleted_at IS NULL"
        )
        defined = {row["slug"]: row for row in rows}
    values = await mirror.rows(
        "SELECT slug, coalesce(value, interpreted_value) AS value FROM issue_custom_fields"
        " WHERE issue_id = :issue ORDER BY slug != 'priority', slug, position",
        {"issue": issue},
    )
    found: dict[str, Fact] = {}
    for row in values:
        field = defined.get(row["slug"]) or {}
        label = str(field.get("label") or row["slug"])
        text = _option(field.get("select_metadata"), str(row["value"] or ""))
        found.setdefault(row["slug"], Fact(label, [])).values.append((text, ""))
    return list(found.values())


def _option(metadata: object, value: str) -> str:
    """The label of an option that is known by its slug."""
    options = mapped(metadata).get("options")
    for option in options if isinstance(options, list) else ():
        if isinstance(option, dict) and option.get("slug") == value:
            return str(option.get("label") or value)
    return value


async def _lists(mirror: Mirror, issue: Row) -> list[Fact]:
    found = []
    tags = [str(tag) for tag in listed(issue["tags"])]
    see = await mirror.has("issue_tags")
    paths = [mirror.table("issue_tags", tag=tag) if see else "" for tag in tags]
    found.append(Fact("Tags", list(zip(tags, paths, strict=True))))
    of_issue = {"issue": issue["id"]}
    if await mirror.has("issue_csat_responses"):
        rows = await mirror.rows(
            "SELECT score, comment FROM issue_csat_responses WHERE issue_id = :issue"
            " ORDER BY position",
            of_issue,
        )
        answers = [f"{row['score']}: {row['comment']}".removesuffix(": None") for row in rows]
        found.append(Fact("Satisfaction", [(answer.removesuffix(": "), "") for answer in answers]))
    if await mirror.has("issue_external_issues"):
        rows = await mirror.rows(
            "SELECT source, external_id, link FROM issue_external_issues"
            " WHERE issue_id = :issue ORDER BY position",
            of_issue,
        )
        linked = [
            (
                " ".join(filter(None, (row["source"], row["external_id"]))),
                row["link"] if is_web(row["link"]) else "",
            )
            for row in rows
        ]
        found.append(Fact("In trackers", linked, is_outside=True))
    return found


def _times(issue: Row) -> list[Fact]:
    times = [
        ("Opened", minute(issue["created_at"])),
        ("First response", span(issue["first_response_seconds"])),
        ("Resolved", minute(issue["resolution_time"])),
        ("Time to resolve", span(issue["resolution_seconds"])),
        ("Latest message", minute(issue["latest_message_time"])),
        ("Snoozed until", minute(issue["snoozed_until_time"])),
    ]
    return [Fact(label, [(text, "")]) for label, text in times]


async def neighbours(mirror: Mirror, issue: Row) -> dict[str, list[Row]]:
    """The account's issues before and after this one, the nearest first."""
    if not issue["account_id"] or not issue["created_at"]:
        return {"earlier": [], "later": []}
    found: dict[str, list[Row]] = {}
    for name, sign, order in (("earlier", "<", "DESC"), ("later", ">", "ASC")):
        rows = await mirror.rows(
            "SELECT number, title, created_at FROM issues"
            f" WHERE account_id = :account AND (created_at, id) {sign} (:at, :id) AND {_LIVE}"
            f" AND number IS NOT NULL ORDER BY created_at {order}, id {order}"
            f" LIMIT {_NEIGHBOURS}",
            {"account": issue["account_id"], "at": issue["created_at"], "id": issue["id"]},
        )
        found[name] = [
            {
                "title": row["title"] or f"Issue {row['number']}",
                "day": str(row["created_at"])[:10],
                "path": conversation_path(mirror.datasette, mirror.name, row["number"]),
            }
            for row in rows
        ]
    return found
