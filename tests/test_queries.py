"""What the canned queries answer, held against what the workspace says in plain words."""

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from asking import (
    NOW,
    QUERIES,
    START,
    Office,
    Payload,
    answer,
    filled,
    grouped,
    hours,
    key_of,
    monday,
    parameters,
)
from conftest import FakeClock
from desk import Desk
from mirroring import DAY, rows, sync

from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.sample import fill
from pylon_to_sqlite.sandbox.workspace import Workspace
from pylon_to_sqlite.schema import TABLES, live
from pylon_to_sqlite.streams import STREAMS


@pytest.fixture(scope="module")
def office() -> Office:
    clock = FakeClock()
    workspace = Workspace(clock)
    fill(workspace, now=clock())
    return Office(workspace)


def near(value: float, digits: int) -> Any:
    """As a query rounds it; halves may go either way."""
    return pytest.approx(value, abs=0.51 * 10**-digits)


def span(start: str, end: str, unit: float = 3600.0) -> float:
    times = (datetime.fromisoformat(one.replace("Z", "+00:00")) for one in (start, end))
    first, last = times
    return (last - first).total_seconds() / unit


def ordered(some: Iterable[dict[str, Any]], *fields: str) -> list[dict[str, Any]]:
    """Sorted by these fields, descending where one begins with a minus."""
    found = [*some]
    for field in reversed(fields):
        name = field.removeprefix("-")
        found.sort(key=lambda one: one[name], reverse=field != name)
    return found


@pytest.mark.parametrize(
    "given",
    [{}, {"since": "2026-03-01"}, {"until": "2026-04-01"}, {"since": "2026-05-03"}],
    ids=["all", "since", "until", "from-a-sunday"],
)
def test_conversations_vs_tickets(office: Office, pylon_db: Path, given: dict[str, str]) -> None:
    since, until = given.get("since", START), given.get("until", "9999")
    chosen = [one for one in office.issues if since <= one["created_at"][:10] <= until]
    weeks = grouped(chosen, lambda one: monday(one["created_at"]))
    expected = [
        {
            "week": week,
            "type": kind,
            "issues": len(some),
            "share_percent": near(100 * len(some) / len(weeks[week]), 1),
            "median_first_response_hours": hours(filled(some, "first_response_seconds")),
            "median_resolution_hours": hours(filled(some, "resolution_seconds")),
        }
        for week in weeks
        for kind, some in grouped(weeks[week], lambda one: one["type"].lower()).items()
    ]
    found = answer(pylon_db, QUERIES["conversations_vs_tickets"], **given)
    assert found == ordered(expected, "-week", "-issues", "type")


def test_volume_by_week(office: Office, pylon_db: Path) -> None:
    opened = grouped(office.issues, lambda one: monday(one["created_at"]))
    resolved = Counter(
        monday(time) for time in filled(office.all, "resolution_time") if time >= START
    )
    expected = [
        {
            "week": week,
            "opened": len(opened.get(week, ())),
            "conversations": sum(
                one["type"].lower() == "conversation" for one in opened.get(week, ())
            ),
            "tickets": sum(one["type"].lower() == "ticket" for one in opened.get(week, ())),
            "resolved": resolved[week],
        }
        for week in {*opened, *resolved}
    ]
    found = answer(pylon_db, QUERIES["volume_by_week"])
    assert found == ordered(expected, "-week")
    assert len(found) == 26
    # A week without any is there too.
    few = {"since": "2026-03-02", "until": "2026-03-02T00:00:01Z"}
    assert answer(pylon_db, QUERIES["volume_by_week"], **few) == []


@pytest.mark.parametrize("part", ["channel", "team", "tag"])
def test_volume_by_part(office: Office, pylon_db: Path, part: str) -> None:
    parts: dict[str, list[Payload]] = {}
    for issue in office.issues:
        names = {
            "channel": [issue["source"]],
            "team": [office.team(issue) or "no team"],
            "tag": issue["tags"] or [],
        }
        for name in names[part]:
            parts.setdefault(name, []).append(issue)
    expected = [
        {
            part: name,
            "issues": len(some),
            "share_percent": near(100 * len(some) / len(office.issues), 1),
            "conversations": sum(one["type"].lower() == "conversation" for one in some),
            "tickets": sum(one["type"].lower() == "ticket" for one in some),
            "still_open": sum(one["state"] != "closed" for one in some),
        }
        for name, some in parts.items()
    ]
    found = answer(pylon_db, QUERIES[f"volume_by_{part}"])
    assert found == ordered(expected, "-issues", part)


def test_backlog_by_state_and_age(office: Office, pylon_db: Path) -> None:
    ages = {91: "91 days and more", 28: "28-91 days", 7: "07-28 days", 3: "03-07 days"}
    ages |= {1: "01-03 days", 0: "00-01 days"}
    counted: Counter[tuple[str, str]] = Counter()
    for issue in office.open:
        days = span(issue["created_at"], NOW, 86400)
        age = next(text for least, text in ages.items() if days >= least)
        counted[age, office.labels[issue["state"]]] += 1
    expected = [
        {"age": age, "state": state, "issues": many} for (age, state), many in counted.items()
    ]
    found = answer(pylon_db, QUERIES["backlog_by_state_and_age"])
    assert found == ordered(expected, "age", "-issues", "state")


def waiting(messages: list[Payload]) -> str | None:
    """Since when the customer waits, who wrote last but for bots."""
    since = None
    for message in messages:
        if key_of(message["author"], "contact"):
            since = since or message["timestamp"]
        elif key_of(message["author"], "user"):
            since = None
    return since


def test_waiting_for_us(office: Office, pylon_db: Path) -> None:
    expected = [
        {
            "number": issue["number"],
            "title": issue["title"],
            "account": office.account(issue),
            "state": office.labels[issue["state"]],
            "assignee": office.assignee(issue),
            "team": office.team(issue),
            "waiting_since": since,
            "waiting_hours": near(span(since, NOW), 1),
            "link": issue["link"],
        }
        for issue in office.open
        if (since := waiting(office.said[issue["id"]]))
    ]
    assert len(expected) > 5
    found = answer(pylon_db, QUERIES["waiting_for_us"])
    assert found == ordered(expected, "waiting_since", "number")


@pytest.mark.parametrize(
    ("name", "time", "field", "count"),
    [
        ("first_response_by_week", "created_at", "first_response_seconds", "answered"),
        ("resolution_by_week", "resolution_time", "resolution_seconds", "resolved"),
    ],
)
def test_percentiles_by_week(
    office: Office, pylon_db: Path, name: str, time: str, field: str, count: str
) -> None:
    known = [one for one in office.all if one.get(time) and one.get(field) not in (None, "")]
    expected = []
    for week, some in grouped(known, lambda one: monday(one[time])).items():
        seconds = sorted(one[field] for one in some)
        nearest = {p: seconds[ceil(len(seconds) * p / 100) - 1] / 3600 for p in (75, 90)}
        expected.append(
            {
                "week": week,
                count: len(seconds),
                "median_hours": hours(seconds),
                "p75_hours": near(nearest[75], 2),
                "p90_hours": near(nearest[90], 2),
            }
        )
    found = answer(pylon_db, QUERIES[name])
    assert found == [row for row in ordered(expected, "-week") if row["week"] >= START]


def test_busiest_accounts(office: Office, pylon_db: Path) -> None:
    expected = []
    for key, some in grouped(office.issues, lambda one: key_of(one, "account")).items():
        seconds = filled(some, "first_response_seconds")
        expected.append(
            {
                "account": office.accounts.get(key, "none"),
                "issues": len(some),
                "share_percent": near(100 * len(some) / len(office.issues), 1),
                "tickets": sum(one["type"].lower() == "ticket" for one in some),
                "still_open": sum(one["state"] != "closed" for one in some),
                "mean_first_response_hours": near(sum(seconds) / len(seconds) / 3600, 2),
                "last_opened": max(one["created_at"] for one in some),
                "account_id": key,
            }
        )
    found = answer(pylon_db, QUERIES["busiest_accounts"])
    assert found == ordered(expected, "-issues", "account")[:50]


@pytest.mark.parametrize(("days", "first"), [("", "2026-06-03"), ("10", "2026-06-21")])
def test_quiet_accounts(office: Office, pylon_db: Path, days: str, first: str) -> None:
    known = {one["id"]: one for one in office.workspace.records("accounts")}
    expected = []
    for key, some in grouped(office.all, lambda one: key_of(one, "account")).items():
        last = max(one["created_at"] for one in some)
        if key in known and last < first:
            expected.append(
                {
                    "account": office.accounts[key],
                    "owner": office.users.get(key_of(known[key], "owner") or ""),
                    "issues_before": len(some),
                    "last_opened": last,
                    "days_quiet": int(span(last, NOW, 86400)),
                    "latest_customer_activity_time": known[key]["latest_customer_activity_time"],
                    "account_id": key,
                }
            )
    found = answer(pylon_db, QUERIES["quiet_accounts"], days=days)
    assert expected
    assert found == ordered(expected, "-issues_before", "account", "account_id")


def test_agents_load(office: Office, pylon_db: Path) -> None:
    expected = []
    for agent, some in grouped(office.open, lambda one: office.assignee(one) or "nobody").items():
        oldest = min(one["created_at"] for one in some)
        ours = sum(one["state"] in ("new", "waiting_on_you") for one in some)
        expected.append(
            {
                "agent": agent,
                "open_issues": len(some),
                "new_or_waiting_for_us": ours,
                "oldest_opened": oldest,
                "oldest_days": near(span(oldest, NOW, 86400), 1),
            }
        )
    found = answer(pylon_db, QUERIES["agents_load"])
    assert found == ordered(expected, "-open_issues", "agent")


@pytest.mark.parametrize("since", ["", "2026-02-01"])
def test_agents_replies(office: Office, pylon_db: Path, since: str) -> None:
    written: dict[str, list[tuple[str, Payload]]] = {}
    for issue in office.all:
        for message in office.workspace.messages(issue["id"]):
            agent = key_of(message["author"], "user")
            if agent and message["timestamp"] >= (since or "2026-06-01"):
                written.setdefault(office.users[agent], []).append((issue["id"], message))
    expected = [
        {
            "agent": agent,
            "replies": sum(not message["is_private"] for _, message in some),
            "notes": sum(message["is_private"] for _, message in some),
            "issues": len({issue for issue, _ in some}),
            "latest": max(message["timestamp"] for _, message in some),
        }
        for agent, some in written.items()
    ]
    found = answer(pylon_db, QUERIES["agents_replies"], since=since)
    assert found == ordered(expected, "-replies", "agent")


def rated(office: Office) -> list[dict[str, Any]]:
    found = [
        {
            **response,
            "issue": issue,
            "at": issue.get("resolution_time") or issue["created_at"],
            "agent": office.assignee(issue) or "nobody",
            "account": office.account(issue),
            "comment": response.get("comment") or None,
        }
        for issue in office.all
        for response in issue.get("csat_responses") or ()
    ]
    return [one for one in found if one["at"] >= START]


@pytest.mark.parametrize("part", ["week", "agent", "account"])
def test_csat_by_part(office: Office, pylon_db: Path, part: str) -> None:
    keys = {"week": lambda one: monday(one["at"])}
    expected = []
    for name, some in grouped(rated(office), keys.get(part, lambda one: one[part])).items():
        scores = [one["score"] for one in some]
        row = {
            part: name,
            "answers": len(scores),
            "mean_score": near(sum(scores) / len(scores), 2),
            "satisfied_percent": near(100 * sum(score >= 4 for score in scores) / len(scores), 1),
            "comments": sum(one["comment"] is not None for one in some),
        }
        if part == "account":
            row["account_id"] = key_of(some[0]["issue"], "account")
        expected.append(row)
    found = answer(pylon_db, QUERIES[f"csat_by_{part}"])
    assert len(expected) > 5
    assert {row[part]: row for row in found} == {row[part]: row for row in expected}
    means = [row["mean_score"] for row in found]
    weeks = [row.get("week") for row in found]
    assert (weeks == sorted(weeks, reverse=True)) if part == "week" else (means == sorted(means))


def test_csat_comments(office: Office, pylon_db: Path) -> None:
    expected = [
        {
            "at": one["at"],
            "score": one["score"],
            "comment": one["comment"],
            "number": one["issue"]["number"],
            "title": one["issue"]["title"],
            "account": one["account"],
            "agent": office.assignee(one["issue"]),
        }
        for one in rated(office)
        if one["comment"]
    ]
    assert answer(pylon_db, QUERIES["csat_comments"]) == ordered(expected, "-at", "-number")


def promises(office: Office, issue: Payload) -> Iterable[tuple[str, str, Payload]]:
    """What an issue and each of its teams promise: whose, what, and when due and reached."""
    for what, field in (("first response", "first_response"), ("resolution", "resolution")):
        times = {"breach_time": issue.get(f"{field}_breach_time")}
        yield "the issue", what, {**times, "time": issue.get(f"{field}_time")}
        for one in issue.get("team_slas") or ():
            yield office.teams[one["team_id"]], what, one[field]


def test_sla_breaches(office: Office, pylon_db: Path) -> None:
    expected = []
    for issue in office.issues:
        if issue["created_at"] < "2026-06-01":
            continue
        ended = issue.get("resolution_time") if issue["state"] == "closed" else NOW
        for whose, what, times in promises(office, issue):
            due, reached = times.get("breach_time"), times.get("time") or None
            if due and (reached or ended or "") > due:
                expected.append(
                    {
                        "number": issue["number"],
                        "title": issue["title"],
                        "account": office.account(issue),
                        "assignee": office.assignee(issue),
                        "state": office.labels[issue["state"]],
                        "what": what,
                        "whose": whose,
                        "due": due,
                        "reached": reached,
                        "hours_late": near(span(due, reached or ended or ""), 1),
                        "link": issue["link"],
                    }
                )
    assert {row["what"] for row in expected} == {"first response", "resolution"}
    assert {row["reached"] is None for row in expected} == {True, False}
    found = answer(pylon_db, QUERIES["sla_breaches"])
    assert found == ordered(expected, "-due", "number", "what", "whose")


def test_unanswered_messages(office: Office, pylon_db: Path) -> None:
    expected = []
    for issue in office.all:
        messages = office.said[issue["id"]]
        for at, message in enumerate(messages):
            if any(key_of(one["author"], "contact") is None for one in messages[at:]):
                continue
            if message["timestamp"] <= "2026-06-30T00:00:00Z":
                expected.append((message["timestamp"], issue["number"], message["author"]["name"]))
    found = answer(pylon_db, QUERIES["unanswered_messages"])
    assert len(found) == min(200, len(expected)) > 100
    rows = [(row["timestamp"], row["number"], row["author"]) for row in found]
    assert rows == sorted(expected, reverse=True)[:200]
    assert {row["hours_ago"] >= 24 for row in found} == {True}
    later = answer(pylon_db, QUERIES["unanswered_messages"], hours="240")
    assert {row["timestamp"] <= "2026-06-21T00:00:00Z" for row in later} == {True}


DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


@pytest.mark.parametrize("offset", [0, 5.5, -8, 5.75, 14])
def test_who_writes_when(office: Office, pylon_db: Path, offset: float) -> None:
    counted: Counter[tuple[str, str, str]] = Counter()
    for messages in office.said.values():
        for message in messages:
            if message["timestamp"] < "2026-04-06":
                continue
            seconds = datetime.fromisoformat(message["timestamp"].replace("Z", "+00:00"))
            local = datetime.utcfromtimestamp(seconds.timestamp() + offset * 3600)
            sides = {
                "customers": key_of(message["author"], "contact"),
                "us": key_of(message["author"], "user"),
            }
            side = next((name for name, key in sides.items() if key), "bots")
            day = f"{local.weekday() + 1} {DAYS[local.weekday()]}"
            counted[day, f"{local.hour:02}", side] += 1
    expected = [
        {
            "weekday": day,
            "hour": hour,
            **{side: counted[day, hour, side] for side in ("customers", "us", "bots")},
        }
        for day, hour in {(day, hour) for day, hour, _ in counted}
    ]
    found = answer(pylon_db, QUERIES["who_writes_when"], utc_offset=str(offset) if offset else "")
    assert found == ordered(expected, "weekday", "hour")


@pytest.mark.parametrize("slug", ["", "root_cause", "connector"])
def test_custom_field_breakdown(office: Office, pylon_db: Path, slug: str) -> None:
    wanted = slug or "product_area"
    (field,) = [
        one
        for one in office.workspace.records("custom_fields")
        if (one["object_type"], one["slug"]) == ("issue", wanted)
    ]
    options = ((field.get("select_metadata") or {}).get("options")) or ()
    labels = {option["slug"]: option["label"] for option in options}
    counted: dict[str, list[Payload]] = {}
    for issue in office.issues:
        given = (issue.get("custom_fields") or {}).get(wanted) or {}
        for value in given.get("values") or [given.get("value")]:
            if value:
                counted.setdefault(labels.get(value, value), []).append(issue)
    expected = [
        {
            "field": field["label"],
            "value": value,
            "issues": len(some),
            "share_percent": near(100 * len(some) / len(office.issues), 1),
            "still_open": sum(one["state"] != "closed" for one in some),
        }
        for value, some in counted.items()
    ]
    assert len(expected) > 3
    found = answer(pylon_db, QUERIES["custom_field_breakdown"], slug=slug)
    assert found == ordered(expected, "-issues", "value")


def test_ping_pong_issues(office: Office, pylon_db: Path) -> None:
    expected = {}
    for issue in office.issues:
        messages = office.said[issue["id"]]
        sides = [key_of(one["author"], "contact") is not None for one in messages]
        turns = sum(one != other for one, other in pairwise(sides))
        if turns > 1 and issue["created_at"] >= "2026-04-06":
            times = (messages[0]["timestamp"], messages[-1]["timestamp"])
            expected[issue["number"]] = {
                "number": issue["number"],
                "title": issue["title"],
                "account": office.account(issue),
                "assignee": office.assignee(issue),
                "state": office.labels[issue["state"]],
                "turns": turns,
                "public_messages": len(messages),
                "days": near(span(*times, 86400), 1),
                "reassignments": 0,
                "link": issue["link"],
            }
    found = answer(pylon_db, QUERIES["ping_pong_issues"])
    assert [expected[row["number"]] for row in found] == found
    places = [
        (row["turns"], row["public_messages"]) for row in ordered(expected.values(), "-turns")
    ]
    assert [(row["turns"], row["public_messages"]) for row in found] == sorted(
        places, reverse=True
    )[:100]


def test_nps_over_time(office: Office, pylon_db: Path) -> None:
    months: dict[str, list[int]] = {}
    for survey in office.workspace.records("surveys"):
        for response in responses(office.workspace, survey):
            scores = [int(one["value"]) for one in response["answers"] if numeric(one)]
            if survey["type"] == "nps" and scores:
                months.setdefault(response["submitted_at"][:7] + "-01", []).append(scores[0])
    expected = []
    for month, scores in months.items():
        good, bad = sum(one >= 9 for one in scores), sum(one <= 6 for one in scores)
        row = {"promoters": good, "passives": len(scores) - good - bad, "detractors": bad}
        nps = near(100 * (good - bad) / len(scores), 1)
        expected.append({"month": month, "answers": len(scores), **row, "nps": nps})
    found = answer(pylon_db, QUERIES["nps_over_time"])
    assert sum(row["answers"] for row in found) == 10
    assert found == ordered(expected, "-month")


def test_survey_answers_over_time(office: Office, pylon_db: Path) -> None:
    groups: dict[tuple[str, ...], list[Payload]] = {}
    for survey in office.workspace.records("surveys"):
        for response in responses(office.workspace, survey):
            for one in response["answers"]:
                if one.get("value"):
                    month = response["submitted_at"][:7] + "-01"
                    key = (month, survey["name"], survey["type"], one["prompt"])
                    groups.setdefault(key, []).append(one)
    expected = {}
    for key, some in groups.items():
        numbers = [int(one["value"]) for one in some if numeric(one)]
        expected[key] = {
            **dict(zip(("month", "survey", "type", "question"), key, strict=True)),
            "answers": len(some),
            "mean": near(sum(numbers) / len(numbers), 2) if numbers else None,
            "in_words": len(some) - len(numbers),
        }
    found = answer(pylon_db, QUERIES["survey_answers_over_time"])
    assert {tuple([*row.values()][:4]): row for row in found} == expected
    assert [row["month"] for row in found] == sorted((key[0] for key in expected), reverse=True)


def responses(workspace: Workspace, survey: Payload) -> list[Any]:
    children = workspace.children("survey_responses", survey["id"])
    return [workspace.payload(one) for one in children]


def numeric(given: Payload) -> bool:
    return str(given.get("value") or "").isdecimal()


def test_data_freshness(office: Office, pylon_db: Path) -> None:
    found = answer(pylon_db, QUERIES["data_freshness"])
    assert [row["stream"] for row in found] == sorted(one.name for one in STREAMS)
    optional = {*(one.name for one in STREAMS if one.is_optional), "custom_objects"}
    never = {row["stream"] for row in found if row["outcome"] == "never read"}
    assert never == optional
    for row in (row for row in found if row["stream"] not in optional):
        assert row["outcome"] == "ok"
        assert row["last_sync"] == row["last_read_whole"] == NOW
        assert row["hours_ago"] > 0
        children = row["stream"] in ("issue_messages", "issue_threads")
        assert (row["stale_issues"], row["error"]) == (0 if children else None, None)
    held = {row["stream"]: row["live_rows"] for row in found}
    assert held["issues"] == len(office.all)
    assert held["accounts"] == len(office.accounts)
    messages = sum(len(office.workspace.messages(issue["id"])) for issue in office.all)
    assert held["issue_messages"] == messages


def test_data_freshness_counts_live_rows_as_everybody_does() -> None:
    for stream in STREAMS:
        counted = f"count(*) FROM {stream.name} WHERE {live(TABLES[stream.name])}\n"
        assert counted in QUERIES["data_freshness"].sql, stream.name


@pytest.mark.parametrize("account", ["", "domain", "part", "id"])
def test_public_messages_of_account(office: Office, pylon_db: Path, account: str) -> None:
    counted = Counter(key_of(issue, "account") for issue in office.issues)
    del counted[None]
    most = min(counted, key=lambda one: (-counted[one], str(one)))
    (known,) = [one for one in office.workspace.records("accounts") if one["id"] == most]
    given = {"domain": known["domains"], "part": [known["name"][1:-1].upper()], "id": [most]}
    asked = given.get(account, [""])[0]
    expected = [
        (message["timestamp"], message["id"], issue["number"], office.account(issue))
        for issue in office.all
        if key_of(issue, "account") == most
        for message in office.said[issue["id"]]
    ]
    found = answer(pylon_db, QUERIES["public_messages_of_account"], account=asked)
    shown = [(row["timestamp"], row["id"], row["number"], row["account"]) for row in found]
    assert sorted(shown, reverse=True) == sorted(expected, reverse=True)
    times = [row["timestamp"] for row in found]
    assert times == sorted(times, reverse=True)


def test_articles_that_could_have_answered(office: Office, pylon_db: Path) -> None:
    found = answer(pylon_db, QUERIES["articles_that_could_have_answered"])
    titles = {one["number"]: one["title"] for one in office.all}
    fits = {(row["title"], row["article"]) for row in found}
    assert (
        "RW-2044 type conflict on a nested MongoDB field",
        "Error RW-2044: type conflict",
    ) in fits
    for row in found:
        assert titles[row["number"]] == row["title"]
        assert 2 <= row["words_found"] <= row["words_asked"]
    one = answer(
        pylon_db, QUERIES["articles_that_could_have_answered"], number=str(found[0]["number"])
    )
    assert one == found[:1]


def test_time_ends_where_the_mirror_does(
    path: Path, workspace: Workspace, desk: Desk, api: Api, clock: FakeClock
) -> None:
    """Later runs that failed, or were of something else, tell of no later time."""
    asked = workspace.reply(desk.issues[0], html="Hello?", author=desk.contacts[0])
    clock.sleep(DAY)
    sync(path, api, clock)
    queries = ("waiting_for_us", "agents_load", "unanswered_messages", "backlog_by_state_and_age")
    before = {name: answer(path, QUERIES[name]) for name in queries}
    assert [row["waiting_hours"] for row in before["waiting_for_us"]] == [near(24, 1)]
    clock.sleep(9 * DAY)
    sync(path, api, clock, "teams")
    assert {name: answer(path, QUERIES[name]) for name in queries} == before
    api.misbehave("400", "/issues/search", times=-1)
    assert any(one.error for one in sync(path, api, clock).results)
    assert {name: answer(path, QUERIES[name]) for name in queries} == before
    assert asked in {row["id"] for row in answer(path, QUERIES["public_messages_matching"])}


@pytest.mark.parametrize("offset", ["1e9", "-9999999", "15"])
def test_an_offset_that_is_nowhere_finds_nothing(pylon_db: Path, offset: str) -> None:
    assert answer(pylon_db, QUERIES["who_writes_when"], utc_offset=offset) == []


TIMED = [name for name, query in QUERIES.items() if ":until" in query.sql]


@pytest.mark.parametrize("name", TIMED)
def test_a_day_given_alone_is_meant_whole(pylon_db: Path, name: str) -> None:
    query, since = QUERIES[name], {"since": "2026-05-04"}
    whole = answer(pylon_db, query, **since, until="2026-06-11")
    assert whole
    for same in ("2026-06-12T00:00:00Z", "2026-06-12 02:00+02:00", " 2026-06-12T00:00 "):
        assert answer(pylon_db, query, **since, until=same) == whole
    assert answer(pylon_db, query, since="2026-05-04T00:00Z", until="2026-06-11") == whole
    one = answer(pylon_db, query, since="2026-05-01", until="2026-05-01T00:00:00Z")
    assert one == []


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize("time", ["2026-13-01", "2026-7-1", "July", "2026", "abcd-ef-gh", "-1"])
def test_what_is_no_time_finds_nothing(pylon_db: Path, name: str, time: str) -> None:
    assert answer(pylon_db, QUERIES[name], since=time) == []
    assert answer(pylon_db, QUERIES[name], since="2026-05-04", until=time) == []


@pytest.mark.parametrize("name", TIMED)
def test_a_time_is_found_by_an_index(pylon_db: Path, name: str) -> None:
    """And not by a walk through all issues or messages."""
    query = QUERIES[name]
    given: Any = dict.fromkeys(parameters(query.sql), "")
    plan = [row["detail"] for row in rows(pylon_db, f"EXPLAIN QUERY PLAN {query.sql}", given)]
    walked = [one for one in plan if re.match(r"SCAN [im]\b|.* AUTOMATIC .*placeholder", one)]
    assert walked == []


def test_neither_bots_nor_the_same_second_end_the_waiting(
    path: Path, workspace: Workspace, desk: Desk, api: Api, clock: FakeClock
) -> None:
    first, second, third, fourth = desk.issues
    for issue in (first, second):
        workspace.reply(issue, html="Hello?", author=desk.contacts[0])
    workspace.reply(first, html="Please wait.", author_name="Helper")
    workspace.reply(second, html="Here we are.", author=desk.agents[0])
    workspace.reply(third, html="Ours.", author=desk.agents[0])
    workspace.reply(third, html="Theirs.", author=desk.contacts[0])
    workspace.reply(fourth, html="Theirs.", author=desk.contacts[0])
    workspace.reply(fourth, html="Ours.", author=desk.agents[0])
    clock.sleep(DAY)
    sync(path, api, clock)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "UPDATE issue_messages SET timestamp = substr(timestamp, 1, 17) || '00Z'"
        )
        connection.commit()
    found = answer(path, QUERIES["waiting_for_us"])
    assert sorted(row["number"] for row in found) == [1, 3]


def test_times_of_teams_are_times_in_any_zone(mirror: Path) -> None:
    pairs = [
        ("2026-07-01T12:00:00+02:00", "2026-07-01T11:00:00Z"),
        ("2026-06-30T23:30:00-02:00", "2026-07-01T00:30:00Z"),
    ]
    slas = [{"first_response": {"breach_time": due, "time": time}} for due, time in pairs]
    with closing(sqlite3.connect(mirror)) as connection:
        connection.execute("UPDATE issues SET team_slas = ? WHERE number = 2", [json.dumps(slas)])
        connection.commit()
    found = answer(mirror, QUERIES["sla_breaches"], since="2000-01-01")
    late = [(row["due"], row["hours_late"]) for row in found if row["whose"] == "a team"]
    assert late == [(pairs[0][0], 1.0)]


@pytest.mark.parametrize("asked", ["Äpfel", "äpfel", "ÄPFEL", "apfel", "pfel und", "pfel UND"])
def test_an_account_is_found_by_a_part_of_its_name_in_any_case(
    path: Path, workspace: Workspace, desk: Desk, api: Api, clock: FakeClock, asked: str
) -> None:
    workspace.change("accounts", desk.accounts[1], name="Äpfel und Birnen")
    clock.sleep(DAY)
    sync(path, api, clock)
    found = answer(path, QUERIES["public_messages_of_account"], account=asked)
    assert found
    assert {row["account"] for row in found} == {"Äpfel und Birnen"}
