"""What the tests of canned queries and views share: asking a mirror, and the plain words of its
workspace."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from mirroring import rows

from pylon_to_sqlite.metadata import Query, queries
from pylon_to_sqlite.sandbox.workspace import Workspace

QUERIES = {query.name: query for query in queries()}

# The last sync of the sample, and the Monday from which queries count unless told otherwise.
NOW, START = "2026-07-01T00:00:00Z", "2026-01-05"

Payload = Mapping[str, Any]


def parameters(sql: str) -> set[str]:
    """The names that a query asks for; a colon inside a text asks for nothing."""
    return set(re.findall(r":([a-z_]+)", re.sub(r"'[^']*'", "''", sql)))


def answer(path: Path, query: Query, **given: str) -> list[dict[str, Any]]:
    """What a canned query gives; as in Datasette, what is not given is empty."""
    names = parameters(query.sql)
    assert set(given) <= names
    return rows(path, query.sql, {**dict.fromkeys(names, ""), **given})  # type: ignore[arg-type]


def monday(time: str) -> str:
    """The week of a time."""
    day = date.fromisoformat(time[:10])
    return str(day - timedelta(days=day.weekday()))


def grouped(some: Iterable[Payload], key: Callable[[Payload], Any]) -> dict[Any, list[Payload]]:
    found: dict[Any, list[Payload]] = {}
    for one in some:
        found.setdefault(key(one), []).append(one)
    return found


def hours(seconds: Iterable[float]) -> Any:
    """The median in hours, as queries round it; None of none."""
    known = [*seconds]
    return pytest.approx(median(known) / 3600, abs=0.0051) if known else None


def filled(issues: Iterable[Payload], field: str) -> list[Any]:
    """The values that are set; unset comes as null, "" or not at all."""
    return [issue[field] for issue in issues if issue.get(field) not in (None, "")]


def key_of(payload: Payload, field: str) -> str | None:
    return (payload.get(field) or {}).get("id")


class Office:
    """The workspace in plain words: its issues since START, and who is who."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.all = workspace.records("issues")
        self.issues = [issue for issue in self.all if issue["created_at"] >= START]
        self.open = [issue for issue in self.all if issue["state"] != "closed"]
        self.accounts = {one["id"]: one["name"] for one in workspace.records("accounts")}
        self.teams = {one["id"]: one["name"] for one in workspace.records("teams")}
        people = workspace.listed("users", deactivated=True)
        self.users = {user.key: user.fields["name"] for user in people}
        statuses = workspace.records("issue_statuses")
        self.labels = {status["slug"]: status["label"] for status in statuses}
        self.said = {
            issue["id"]: [one for one in workspace.messages(issue["id"]) if not one["is_private"]]
            for issue in self.all
        }

    def account(self, issue: Payload) -> str | None:
        return self.accounts.get(key_of(issue, "account") or "")

    def assignee(self, issue: Payload) -> str | None:
        return self.users.get(key_of(issue, "assignee") or "")

    def team(self, issue: Payload) -> str | None:
        return self.teams.get(key_of(issue, "team") or "")
