"""The questions behind the overview. Each is answered from an index that holds all it needs: with
100,000 issues none takes a third of a second. Pure SQL, asked of a mirror as far as one may see it.
"""

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from statistics import median
from typing import Any

from pylon_to_sqlite.plugin.pages import Mirror, Row
from pylon_to_sqlite.plugin.words import mapped, moment

_LIVE = "i.deleted_at IS NULL AND i.placeholder = 0"
# Open: neither closed itself, nor a state of the workspace's own that counts as closed.
_OPEN = (
    "i.state IS NOT 'closed'"
    " AND coalesce(i.state, '') NOT IN (SELECT value FROM json_each(:closed))"
)
_MOST = 8
AGES = (
    ("under a day", 1),
    ("1 to 3 days", 3),
    ("3 to 7 days", 7),
    ("1 to 4 weeks", 28),
    ("4 to 13 weeks", 91),
    ("over 13 weeks", 300_000),
    ("unknown", 0),
)
TYPES = ("conversation", "ticket", "other")


@dataclass(frozen=True)
class Scope:
    """Which issues are asked about, and when: up to `now`, the time that the mirror is complete
    up to, for so many weeks that begin on Mondays."""

    now: datetime
    weeks: int = 12
    team: str = ""
    accounts: tuple[str, ...] | None = None
    type: str = ""

    @property
    def mondays(self) -> list[date]:
        """The weeks' first days; the last week is not over."""
        this = self.now.date() - timedelta(days=self.now.weekday())
        return [this - timedelta(weeks=back) for back in range(self.weeks - 1, -1, -1)]

    def before(self, days: float) -> str:
        """The time so many days before now, as columns hold it."""
        return _iso(self.now - timedelta(days=days))

    def chosen(self) -> tuple[str, dict[str, Any]]:
        """SQL for the live issues, named i, that the filters let through; and its parameters."""
        where, params = [_LIVE], dict[str, Any]()
        if self.team:
            where.append("+i.team_id = :team")
            params["team"] = self.team
        if self.type:
            where.append("lower(i.type) = :type")
            params["type"] = self.type
        if self.accounts is not None:
            names = {f"account{at}": key for at, key in enumerate(self.accounts)}
            where.append(f"i.account_id IN ({', '.join(f':{name}' for name in names)})")
            params |= names
        return " AND ".join(where), params


def _monday(day: str) -> date | None:
    """The first day of a day's week."""
    at = moment(day)
    return at.date() - timedelta(days=at.weekday()) if at else None


def _iso(at: datetime) -> str:
    return f"{at.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


async def complete_up_to(mirror: Mirror) -> tuple[datetime | None, Row]:
    """The time that the mirror's issues are complete up to, and what is remembered of them."""
    kept: Row = {}
    if await mirror.has("_pylon_checkpoints"):
        sql = "SELECT state FROM _pylon_checkpoints WHERE stream = 'issues'"
        for row in await mirror.rows(sql):
            kept = mapped(row["state"])
    at = moment(kept.get("watermark"))
    if at is None:
        (row,) = await mirror.rows(f"SELECT max(i.created_at) AS at FROM issues AS i WHERE {_LIVE}")
        at = moment(row["at"])
    return at, kept


async def volume(mirror: Mirror, scope: Scope) -> list[Row]:
    """Issues by week and type."""
    where, params = scope.chosen()
    days = await mirror.rows(
        "SELECT substr(i.created_at, 1, 10) AS day, lower(i.type) AS type, count(*) AS issues"
        f" FROM issues AS i WHERE i.created_at >= :start AND {where} GROUP BY 1, 2",
        {**params, "start": scope.mondays[0].isoformat()},
    )
    weeks: dict[date | None, Row] = {
        monday: {"week": monday, **dict.fromkeys(TYPES, 0)} for monday in scope.mondays
    }
    for row in days:
        week = weeks.get(_monday(row["day"]))
        if week:
            week[row["type"] if row["type"] in TYPES else "other"] += row["issues"]
    return list(weeks.values())


async def first_response(mirror: Mirror, scope: Scope) -> list[Row]:
    """The median time to the first response, in seconds, by the week in which an issue was
    opened, and of how many."""
    weeks: dict[date | None, list[float]] = {monday: [] for monday in scope.mondays}
    days = await _responses(
        mirror, scope, "substr(i.created_at, 1, 10)", scope.mondays[0].isoformat()
    )
    for day, seconds in days.items():
        weeks.setdefault(_monday(str(day)), []).extend(seconds)
    return [
        {"week": week, "median": _median(weeks[week]), "issues": len(weeks[week])}
        for week in scope.mondays
    ]


async def _responses(
    mirror: Mirror, scope: Scope, bucket: str, start: str
) -> dict[str | int, list[float]]:
    """By bucket, the times to the first response. SQLite would take three times as long to find
    the middle of them as it takes to hand them out."""
    where, params = scope.chosen()
    rows = await mirror.rows(
        f"SELECT {bucket} AS bucket,"
        " group_concat(CAST(i.first_response_seconds AS REAL)) AS seconds FROM issues AS i"
        # What is no number is above all numbers; infinity would have no axis.
        f" WHERE i.created_at >= :start AND i.first_response_seconds < 1e12 AND {where}"
        " GROUP BY 1",
        {**params, "start": start, "week_ago": scope.before(7)},
    )
    return {row["bucket"]: [float(one) for one in row["seconds"].split(",")] for row in rows}


def _median(values: list[float]) -> float | None:
    return median(values) if values else None


async def past_week(mirror: Mirror, scope: Scope) -> Row:
    """New and resolved issues and the median first response: of the past seven days, and of the
    seven before."""
    where, params = scope.chosen()
    params |= {"week_ago": scope.before(7), "start": scope.before(14)}
    (new,) = await mirror.rows(
        "SELECT count(*) FILTER (WHERE i.created_at >= :week_ago) AS now,"
        " count(*) FILTER (WHERE i.created_at < :week_ago) AS before"
        f" FROM issues AS i WHERE i.created_at >= :start AND {where}",
        params,
    )
    (resolved,) = await mirror.rows(
        "SELECT count(*) FILTER (WHERE i.resolution_time >= :week_ago) AS now,"
        " count(*) FILTER (WHERE i.resolution_time < :week_ago) AS before"
        f" FROM issues AS i WHERE i.resolution_time >= :start AND {where}",
        params,
    )
    seconds = await _responses(mirror, scope, "i.created_at >= :week_ago", scope.before(14))
    response = {
        "now": _median(seconds.get(1, [])),
        "before": _median(seconds.get(0, [])),
        "answered": len(seconds.get(1, [])),
    }
    return {"new": new, "resolved": resolved, "response": response}


async def backlog(mirror: Mirror, scope: Scope) -> Row:
    """Open issues by age, and by state. Whatever the period."""
    where, params = scope.chosen()
    statuses = await _statuses(mirror)
    age, bounds = _age(scope)
    found = await mirror.rows(
        f"SELECT i.state, {age} AS age, count(*) AS issues FROM issues AS i"
        # Else SQLite walks an index of states that does not hold what is filtered by.
        f" WHERE {_OPEN} AND {where} GROUP BY +i.state, 2",
        {**params, **bounds, "closed": _closed(statuses)},
    )
    by_age: list[Row] = [{"age": label, "open": 0} for label, _ in AGES]
    states: dict[str, int] = {}
    for row in found:
        state = row["state"] or ""
        by_age[row["age"]]["open"] += row["issues"]
        states[state] = states.get(state, 0) + row["issues"]
    labels = {slug: (statuses.get(slug) or {}).get("label") or slug or "none" for slug in states}
    return {
        "open": sum(row["open"] for row in by_age),
        "ages": by_age,
        "states": [
            {"slug": slug, "label": labels[slug], "issues": states[slug]}
            for slug in sorted(states, key=lambda slug: (-states[slug], slug))
        ],
    }


async def waiting(mirror: Mirror, scope: Scope) -> list[int] | None:
    """How many open issues wait for us, by age, as the query waiting_for_us tells it: the last
    public message by a person is the customer's. Bots end no waiting."""
    if not await mirror.has("issue_messages"):
        return None
    where, params = scope.chosen()
    age, bounds = _age(scope)
    found = await mirror.rows(
        f"SELECT {age} AS age, count(*) AS issues FROM issues AS i WHERE {_OPEN} AND {where}"
        " AND (SELECT m.author_contact_id IS NOT NULL FROM issue_messages AS m"
        " WHERE m.issue_id = i.id AND m.is_private = 0 AND m.deleted_at IS NULL"
        " AND (m.author_contact_id IS NOT NULL OR m.author_user_id IS NOT NULL)"
        " ORDER BY m.timestamp DESC, m.rowid DESC LIMIT 1) GROUP BY 1",
        {**params, **bounds, "closed": _closed(await _statuses(mirror))},
    )
    counted = {row["age"]: int(row["issues"]) for row in found}
    return [counted.get(at, 0) for at in range(len(AGES))]


async def _statuses(mirror: Mirror) -> dict[str, Row]:
    if not await mirror.has("issue_statuses"):
        return {}
    rows = await mirror.rows("SELECT slug, label, category FROM issue_statuses")
    return {row["slug"]: row for row in rows}


def _closed(statuses: dict[str, Row]) -> str:
    """The states of the workspace's own that count as closed, for SQL."""
    return json.dumps([slug for slug, row in statuses.items() if row["category"] == "closed"])


def _age(scope: Scope) -> tuple[str, dict[str, str]]:
    """SQL for an issue's place in AGES; and its parameters."""
    bounds = {f"age{at}": scope.before(days) for at, (_, days) in enumerate(AGES[:-1])}
    ages = " ".join(f"WHEN i.created_at > :{name} THEN {at}" for at, name in enumerate(bounds))
    unknown = len(AGES) - 1
    return (
        f"CASE WHEN julianday(i.created_at) IS NULL THEN {unknown} {ages} ELSE {unknown} END",
        bounds,
    )


async def satisfaction(mirror: Mirror, scope: Scope) -> list[Row] | None:
    """The mean score by the week in which an issue was opened, and of how many answers."""
    if not await mirror.has("issue_csat_responses"):
        return None
    where, params = scope.chosen()
    days = await mirror.rows(
        "SELECT substr(i.created_at, 1, 10) AS day, total(r.score) AS score, count(*) AS answers"
        " FROM issues AS i CROSS JOIN issue_csat_responses AS r ON r.issue_id = i.id"
        f" WHERE i.created_at >= :start AND r.score IS NOT NULL AND {where} GROUP BY 1",
        {**params, "start": scope.mondays[0].isoformat()},
    )
    weeks: dict[date | None, Row] = {
        monday: {"week": monday, "score": 0.0, "answers": 0} for monday in scope.mondays
    }
    for row in days:
        week = weeks.get(_monday(row["day"]))
        if week:
            week["score"] += row["score"]
            week["answers"] += row["answers"]
    for week in weeks.values():
        week["mean"] = week["score"] / week["answers"] if week["answers"] else None
    return list(weeks.values())


async def accounts(mirror: Mirror, scope: Scope) -> list[Row] | None:
    """The accounts with most issues in the period."""
    if not await mirror.has("accounts"):
        return None
    where, params = scope.chosen()
    # The sign keeps SQLite from walking the accounts' index, which lacks the rest.
    return await mirror.rows(
        "SELECT busy.account_id AS id, a.name, busy.issues FROM ("
        " SELECT i.account_id, count(*) AS issues FROM issues AS i"
        f" WHERE i.created_at >= :start AND i.account_id IS NOT NULL AND {where}"
        f" GROUP BY +i.account_id ORDER BY issues DESC, 1 LIMIT {_MOST}"
        ") AS busy JOIN accounts AS a ON a.id = busy.account_id ORDER BY busy.issues DESC, a.name",
        {**params, "start": scope.mondays[0].isoformat()},
    )


async def tags(mirror: Mirror, scope: Scope) -> list[Row] | None:
    """The most frequent tags of issues in the period."""
    if not await mirror.has("issue_tags"):
        return None
    where, params = scope.chosen()
    return await mirror.rows(
        "SELECT t.tag, count(*) AS issues FROM issues AS i"
        " CROSS JOIN issue_tags AS t ON t.issue_id = i.id"
        f" WHERE i.created_at >= :start AND {where}"
        f" GROUP BY t.tag ORDER BY issues DESC, t.tag LIMIT {_MOST}",
        {**params, "start": scope.mondays[0].isoformat()},
    )


async def freshness(mirror: Mirror) -> Row | None:
    """When the last run ended and how, and the streams that did not end well when last read."""
    if not await mirror.has("_pylon_runs", "_pylon_run_streams"):
        return None
    last = await mirror.rows(
        "SELECT started_at, ended_at, outcome FROM _pylon_runs ORDER BY id DESC LIMIT 1"
    )
    streams = await mirror.rows(
        "SELECT stream, max(run) AS run, coalesce(outcome, 'interrupted') AS outcome"
        " FROM _pylon_run_streams WHERE run > (SELECT max(id) FROM _pylon_runs) - 50"
        " GROUP BY stream ORDER BY stream"
    )
    bad = [row for row in streams if row["outcome"] not in ("ok", "not available")]
    return {"last": last[0] if last else None, "bad": bad, "streams": len(streams)}
