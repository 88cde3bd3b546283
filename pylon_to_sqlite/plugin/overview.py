"""The overview: what its form asks for, and its figures as tiles, charts and tables."""

import asyncio
import json
import re
from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from datasette.database import QueryInterrupted

from pylon_to_sqlite.metadata import queries
from pylon_to_sqlite.plugin import charts, figures
from pylon_to_sqlite.plugin.figures import TYPES, Scope
from pylon_to_sqlite.plugin.pages import Mirror, Row
from pylon_to_sqlite.plugin.words import span

PERIODS = (4, 12, 26, 52)
_TYPES = ("conversation", "ticket")
_SUGGESTED = 500
# After so long somebody should look why no sync has been.
_STALE = timedelta(hours=26)

# Where each figure leads: the first of these queries that is there.
LEADS = {
    "new": ("volume_by_week", "conversations_vs_tickets"),
    "resolved": ("resolution_by_week", "conversations_vs_tickets"),
    "response": ("first_response_by_week", "conversations_vs_tickets"),
    "open": ("waiting_for_us", "issues_by_state_and_assignee"),
    "volume": ("volume_by_week", "conversations_vs_tickets"),
    "backlog": ("backlog_by_state_and_age", "issues_by_state_and_assignee"),
    "satisfaction": ("csat_by_week",),
    "accounts": ("busiest_accounts",),
    "tags": ("volume_by_tag",),
    "freshness": ("data_freshness",),
}
# Those that tell the same, whatever is chosen.
_UNFILTERED = {"freshness"}
MORE = (
    *("conversations_vs_tickets", "waiting_for_us", "public_messages_of_account"),
    *("volume_by_channel", "volume_by_team", "resolution_by_week", "agents_load"),
    *("quiet_accounts", "csat_comments", "nps_over_time", "search_everywhere"),
)
_SEARCHES = ("search_everywhere", "public_messages_matching")


async def asked(mirror: Mirror, now: datetime) -> tuple[Scope, Row]:
    """What the form asks for, and what it shows."""
    given = mirror.request.args.get
    weeks = given("weeks") or ""
    kind = given("type") or ""
    teams = await _teams(mirror)
    team = given("team") or ""
    account = (given("account") or "").strip()
    accounts = await _accounts(mirror, account) if account else None
    scope = Scope(
        now,
        weeks=int(weeks) if weeks in map(str, PERIODS) else 12,
        team=team if team in {row["id"] for row in teams} else "",
        accounts=accounts,
        type=kind if kind in _TYPES else "",
    )
    form = {
        "periods": PERIODS,
        "types": _TYPES,
        "teams": teams,
        "account": account,
        "is_unknown": accounts == (),
        "suggested": await _suggested(mirror),
        "is_set": bool(scope.team or account or scope.type or scope.weeks != 12),
    }
    return scope, form


async def _teams(mirror: Mirror) -> list[Row]:
    if not await mirror.has("teams"):
        return []
    return await mirror.rows(
        "SELECT id, name FROM teams WHERE deleted_at IS NULL AND placeholder = 0"
        " AND name IS NOT NULL ORDER BY name"
    )


async def _accounts(mirror: Mirror, name: str) -> tuple[str, ...]:
    """The accounts of this name, or id."""
    if not await mirror.has("accounts"):
        return ()
    rows = await mirror.rows(
        "SELECT id FROM accounts WHERE id = :name OR name = :name COLLATE NOCASE LIMIT 50",
        {"name": name},
    )
    return tuple(row["id"] for row in rows)


async def _suggested(mirror: Mirror) -> list[str]:
    if not await mirror.has("accounts"):
        return []
    rows = await mirror.rows(
        "SELECT name FROM accounts WHERE deleted_at IS NULL AND placeholder = 0"
        " AND name IS NOT NULL ORDER BY latest_customer_activity_time DESC, name LIMIT :limit",
        {"limit": _SUGGESTED},
    )
    return sorted({row["name"] for row in rows})


async def shown(mirror: Mirror, scope: Scope) -> Row:
    """All that the page shows, figure by figure; None where one took longer than Datasette
    allows, False where it may not be seen."""
    past, volume, response, backlog, waiting, scores, accounts, tags = await asyncio.gather(
        _in_time(figures.past_week(mirror, scope)),
        _in_time(figures.volume(mirror, scope)),
        _in_time(figures.first_response(mirror, scope)),
        _in_time(figures.backlog(mirror, scope)),
        _in_time(figures.waiting(mirror, scope)),
        _in_time(_or_false(figures.satisfaction(mirror, scope))),
        _in_time(_or_false(figures.accounts(mirror, scope))),
        _in_time(_or_false(figures.tags(mirror, scope))),
    )
    start = scope.mondays[0].isoformat()
    return {
        "tiles": _tiles(past, backlog, waiting),
        "volume": volume and _volume(volume),
        "response": response and _response(response),
        "backlog": backlog and _backlog(mirror, scope, backlog, waiting),
        "satisfaction": scores and _satisfaction(scores),
        "accounts": _ranked(
            accounts,
            "name",
            lambda row: _issues(mirror, scope, created_at__gte=start, account_id=row["id"]),
        ),
        "tags": _ranked(
            tags,
            "tag",
            lambda row: _issues(
                mirror, scope, created_at__gte=start, tags__arraycontains=row["tag"]
            ),
        ),
    }


async def _in_time(question: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await question
    except QueryInterrupted:
        return None


async def _or_false(question: Coroutine[Any, Any, list[Row] | None]) -> list[Row] | bool:
    found = await question
    return False if found is None else found


def _issues(mirror: Mirror, scope: Scope, **filters: str) -> str:
    """The address of the table of issues with just those that a figure counts."""
    kept = {"deleted_at__isnull": "1", "placeholder": "0"}
    if scope.team:
        kept["team_id"] = scope.team
    if scope.type:
        # Pylon writes it large and small.
        kept["type__like"] = scope.type
    if scope.accounts is not None and "account_id" not in filters:
        kept["account_id__in"] = json.dumps(scope.accounts)
    return mirror.table("issues", **filters, **kept)


def _tiles(past: Row | None, backlog: Row | None, waiting: list[int] | None) -> list[Row]:
    tiles: list[Row] = []
    if past:
        for key, label in (("new", "New issues"), ("resolved", "Resolved issues")):
            now, before = past[key]["now"], past[key]["before"]
            tiles.append({"key": key, "label": label, "value": f"{now:,}"})
            tiles[-1]["against"] = f"{before:,} in the 7 days before"
        now, before = past["response"]["now"], past["response"]["before"]
        pace = _pace(now, before)
        tiles.append(
            {
                "key": "response",
                "label": "First response, median",
                "value": "none" if now is None else span(now),
                "against": f"{pace and pace + ': '}{'none' if before is None else span(before)}"
                " in the 7 days before",
                "answered": f"{past['response']['answered']:,} of {past['new']['now']:,} answered",
                "tone": {"faster": "better", "slower": "worse"}.get(pace, ""),
            }
        )
    if backlog:
        tiles.append(
            {
                "key": "open",
                "label": "Open now",
                "value": f"{backlog['open']:,}",
                "against": "" if waiting is None else f"{sum(waiting):,} of them wait for us",
            }
        )
    return tiles


def _pace(now: float | None, before: float | None) -> str:
    """What became of a time, where one can tell the two apart."""
    if now is None or before is None or span(now) == span(before):
        return ""
    return "slower" if now > before else "faster"


def _labels(weeks: list[Row]) -> list[str]:
    return [f"{row['week'].day} {row['week']:%b}" for row in weeks]


def _volume(weeks: list[Row]) -> Row:
    # Hardly ever is there another type.
    types = [kind for kind in TYPES if kind != "other" or any(row[kind] for row in weeks)]
    totals = [sum(row[kind] for kind in types) for row in weeks]
    total, most = sum(totals), max(totals)
    return {
        "chart": charts.columns(
            _labels(weeks),
            [[row[kind] for row in weeks] for kind in types],
            title="New issues by week",
            description=f"{total:,} issues in {len(weeks)} weeks; most in the week of"
            f" {weeks[totals.index(most)]['week']}: {most:,}.",
        ),
        "legend": [
            (charts.swatch(at), kind if kind == "other" else f"{kind}s")
            for at, kind in enumerate(types)
        ],
        "rows": [(row["week"], [row[kind] for kind in types]) for row in weeks],
        "total": total,
    }


def _response(weeks: list[Row]) -> Row:
    medians = [row["median"] for row in weeks]
    known = [one for one in medians if one is not None]
    # In the unit in which the largest is a figure of one or two digits.
    top = max(known, default=0)
    unit, name = next(
        (size, sign)
        for size, sign in ((86_400, "d"), (3_600, "h"), (60, "min"))
        if top >= 2 * size or size == 60
    )
    end = charts.nice(top / unit)
    return {
        "chart": charts.line(
            _labels(weeks),
            [None if one is None else one / unit for one in medians],
            ticks={at: f"{charts.number(at)} {name}" for at in (0, end / 2, end)},
            words=["" if one is None else span(one) for one in medians],
            title="Median time to the first response by week",
            description=f"Between {span(min(known, default=0))} and {span(top)}.",
        ),
        "rows": [{**row, "words": span(row["median"])} for row in weeks],
        "is_empty": not known,
    }


def _satisfaction(weeks: list[Row]) -> Row:
    means = [row["mean"] for row in weeks]
    answers = sum(row["answers"] for row in weeks)
    mean = sum(row["score"] for row in weeks) / answers if answers else 0
    # Scores go to five, or to ten.
    end = 5 if max((one for one in means if one is not None), default=0) <= 5 else 10
    return {
        "chart": charts.line(
            _labels(weeks),
            means,
            ticks={at: charts.number(at) for at in (0, end / 2, end)},
            words=["" if one is None else f"{one:.1f}" for one in means],
            title="Mean satisfaction score by week",
            description=f"{answers:,} answers, {mean:.1f} on average.",
        ),
        "rows": weeks,
        "answers": answers,
        "mean": f"{mean:.1f}",
    }


def _backlog(mirror: Mirror, scope: Scope, backlog: Row, waiting: list[int] | None) -> Row:
    most = max((row["open"] for row in backlog["ages"]), default=0)
    largest = max((row["issues"] for row in backlog["states"]), default=0)
    return {
        "open": backlog["open"],
        "is_told": waiting is not None,
        "ages": [
            {
                **row,
                "bar": charts.bar(row["open"] / most if most else 0),
                "waiting": waiting[at] if waiting else 0,
            }
            for at, row in enumerate(backlog["ages"])
            if row["open"] or row["age"] != "unknown"
        ],
        "states": [
            {
                **row,
                "bar": charts.bar(row["issues"] / largest),
                "path": _issues(
                    mirror,
                    scope,
                    **({"state": row["slug"]} if row["slug"] else {"state__isnull": "1"}),
                ),
            }
            for row in backlog["states"]
        ],
    }


def _ranked(rows: Any, label: str, path: Any) -> Any:
    """Rows with bars and addresses; what is no list stays as it is."""
    if not isinstance(rows, list):
        return rows
    most = max((row["issues"] for row in rows), default=0)
    return [
        {
            "label": row[label] or "without a name",
            "issues": row["issues"],
            "bar": charts.bar(row["issues"] / most),
            "path": path(row),
        }
        for row in rows
    ]


async def links(mirror: Mirror, scope: Scope | None = None) -> Row:
    """Addresses of the canned queries that are there and may be seen, by what they are about.
    Those that a figure leads to ask for its time; where it is of a team, an account or a type they
    would tell another figure, so it leads nowhere."""
    given = {"since": scope.mondays[0].isoformat()} if scope else {}
    is_whole = not scope or (scope.team, scope.accounts, scope.type) == ("", None, "")
    leads = {
        key: await _first(mirror, names, **given) if is_whole or key in _UNFILTERED else ""
        for key, names in LEADS.items()
    }
    titles = {query.name: query.title for query in queries()}
    more = [(titles[name], path) for name in MORE if (path := await mirror.query(name))]
    return {"leads": leads, "more": more, "search": await _search(mirror)}


async def _first(mirror: Mirror, names: Sequence[str], **given: str) -> str:
    for name in names:
        if path := await mirror.query(name, **given):
            return path
    return ""


async def _search(mirror: Mirror) -> Row | None:
    """The first query over words that is there, and the name of its parameter."""
    there = {query.name: query for query in queries()}
    for name in _SEARCHES:
        path = await mirror.query(name)
        parameters = re.findall(r":(words|search|q|query|text)\b", there[name].sql) if path else []
        if parameters:
            return {
                "path": path,
                "parameter": parameters[0],
                "is_everywhere": name == "search_everywhere",
            }
    return None


def age(now: datetime, complete: datetime, kept: Mapping[str, Any]) -> Row:
    """How old the mirror is, and what it lacks."""
    lag = now - complete
    return {
        "ago": span(lag.total_seconds()),
        "is_stale": lag > _STALE,
        "is_partial": bool(kept) and not kept.get("watermark"),
        "since": kept.get("since") or "",
    }
