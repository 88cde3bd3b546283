"""What Datasette is told of a mirror, and what its canned queries answer."""

import asyncio
import html
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

import pytest
from conftest import FakeClock
from datasette.app import Datasette
from desk import open_desk
from mirroring import rows, sync

from pylon_to_sqlite.full_text import index_of, view_of
from pylon_to_sqlite.metadata import (
    FACETS,
    SORT_DESCENDING,
    USUAL_NAMES,
    Query,
    metadata_for,
    queries,
)
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.sample import fill
from pylon_to_sqlite.sandbox.workspace import Workspace
from pylon_to_sqlite.schema import BOOKKEEPING, FULL_TEXT, MIGRATED, TABLES

ROOT = Path(__file__).parent.parent
QUERIES = {query.name: query for query in queries()}

# Parameters with which each query has something to answer on the sample.
SENSIBLE = {
    "conversation_by_number": {"number": "1"},
    "conversations_vs_tickets": {"since": "2026-03-01", "until": "2026-06-01"},
    "issues_by_state_and_assignee": {"closed": "1"},
    "public_messages_matching": {"words": "sync thanks"},
    "public_messages_of_issue": {"number": "1"},
}
# Those that need no parameter to have an answer.
OVERVIEWS = {
    "conversations_vs_tickets",
    "issues_by_state_and_assignee",
    "public_messages_matching",
}

each_query = pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)


@pytest.fixture(scope="module")
def sample() -> Workspace:
    clock = FakeClock()
    workspace = Workspace(clock)
    fill(workspace, now=clock())
    return workspace


@pytest.fixture(scope="module")
def pylon_db(sample: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "pylon.db"
    sync(path, Api(sample, allowance=None), FakeClock())
    return path


def answer(path: Path, query: Query, **given: str) -> list[dict[str, Any]]:
    """What a canned query gives; as in Datasette, what is not given is empty."""
    names = re.findall(r":(\w+)", query.sql)
    assert set(given) <= set(names)
    return rows(path, query.sql, {**dict.fromkeys(names, ""), **given})


def test_metadata_json_is_up_to_date() -> None:
    written = (ROOT / "metadata.json").read_text(encoding="utf-8")
    assert written == json.dumps(metadata_for(USUAL_NAMES), indent=4) + "\n"


def test_the_same_is_told_under_every_name() -> None:
    pylon, db = metadata_for(["pylon", "db"])["databases"].values()
    assert pylon == db
    assert metadata_for(["x y"])["databases"] == {"x y": pylon}


def described(text: object) -> bool:
    return isinstance(text, str) and len(text) > 1 and text.endswith(".")


def test_everything_in_the_file_is_described_or_hidden(pylon_db: Path) -> None:
    told = metadata_for(["pylon"])["databases"]["pylon"]["tables"]
    there = {row["name"] for row in rows(pylon_db, "SELECT name FROM sqlite_master")} & set(told)
    tables = rows(pylon_db, "SELECT name FROM sqlite_master WHERE type = 'table'")
    indexes = tuple(map(index_of, FULL_TEXT))
    assert {row["name"] for row in tables if not row["name"].startswith(indexes)} == {
        *TABLES,
        *BOOKKEEPING,
        MIGRATED,
    }
    assert there == {*TABLES, *BOOKKEEPING, MIGRATED, *map(view_of, FULL_TEXT)}
    for name in (*BOOKKEEPING, MIGRATED):
        assert told[name] == {"hidden": True}
    for name in TABLES:
        columns = {row["name"] for row in rows(pylon_db, f"PRAGMA table_info({name})")}
        assert described(told[name]["description"]), name
        assert set(told[name]["columns"]) == columns
        for column, text in told[name]["columns"].items():
            assert described(text), f"{name}.{column}"
        assert told[name].get("label_column", "id") in {*columns, "id"}


def test_facets_and_sorting_name_columns_that_exist() -> None:
    for name, columns in [*FACETS.items(), *((k, [v]) for k, v in SORT_DESCENDING.items())]:
        assert set(columns) <= {column.name for column in TABLES[name].columns}, name


@each_query
def test_query_is_described(query: Query) -> None:
    assert query.title
    assert not query.title.endswith(".")
    assert described(query.description)
    assert query.sql.startswith(("SELECT", "WITH"))


def test_no_query_is_named_like_a_table() -> None:
    assert not set(QUERIES) & {*TABLES, *BOOKKEEPING}


@each_query
def test_query_runs_on_an_empty_mirror(
    query: Query, tmp_path: Path, api: Api, clock: FakeClock
) -> None:
    path = tmp_path / "pylon.db"
    sync(path, api, clock)
    assert answer(path, query) == []
    assert answer(path, query, **SENSIBLE[query.name]) == []


@each_query
def test_query_answers_on_the_sample(query: Query, pylon_db: Path) -> None:
    assert answer(pylon_db, query, **SENSIBLE[query.name])
    assert bool(answer(pylon_db, query)) == (query.name in OVERVIEWS)


WEEKS = [f"2026-{month:02}-{day:02}" for month in range(3, 6) for day in (1, 8, 15, 22)]
SPANS = [{}, *({"since": start, "until": end} for start, end in pairwise(WEEKS))]


@pytest.mark.parametrize("span", SPANS, ids=lambda span: span.get("since", "all"))
def test_conversations_vs_tickets(sample: Workspace, pylon_db: Path, span: dict[str, str]) -> None:
    since, until = span.get("since", ""), span.get("until", "9999")
    issues = [one for one in sample.records("issues") if since <= one["created_at"] < until]
    expected = {}
    for kind in ("conversation", "ticket"):
        ours = [issue for issue in issues if issue["type"].lower() == kind]
        assert ours
        expected[kind] = {
            "type": kind,
            "issues": len(ours),
            "share_percent": pytest.approx(100 * len(ours) / len(issues), abs=0.051),
            "median_first_response_hours": hours(ours, "first_response_seconds"),
            "median_resolution_hours": hours(ours, "resolution_seconds"),
        }
    found = answer(pylon_db, QUERIES["conversations_vs_tickets"], **span)
    assert {row["type"]: row for row in found} == expected
    assert [row["issues"] for row in found] == sorted(
        (row["issues"] for row in expected.values()), reverse=True
    )


def hours(issues: list[Mapping[str, Any]], field: str) -> Any:
    """The median as the query rounds it; unset comes as null, "" or not at all."""
    seconds = [issue[field] for issue in issues if issue.get(field) not in (None, "")]
    return pytest.approx(median(seconds) / 3600, abs=0.0051)


@pytest.mark.parametrize("closed", ["", "1"])
def test_issues_by_state_and_assignee(sample: Workspace, pylon_db: Path, closed: str) -> None:
    # Who has left too.
    users = sample.listed("users", deactivated=True)
    names = {user.key: user.fields["name"] for user in users}
    labels = {status["slug"]: status["label"] for status in sample.records("issue_statuses")}
    expected: Counter[tuple[str, str]] = Counter()
    oldest: dict[tuple[str, str], str] = {}
    for issue in sample.records("issues"):
        if issue["state"] == "closed" and not closed:
            continue
        who = issue.get("assignee") or {}
        name = names[who["id"]] if who else "nobody"
        key = (labels.get(issue["state"], issue["state"]), name)
        expected[key] += 1
        oldest[key] = min(oldest.get(key, "9999"), issue["created_at"])
    found = answer(pylon_db, QUERIES["issues_by_state_and_assignee"], closed=closed)
    assert {(row["state"], row["assignee"]): row["issues"] for row in found} == expected
    assert {(row["state"], row["assignee"]): row["oldest_opened"] for row in found} == oldest


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_conversation_by_number_is_the_whole_conversation(
    number: int, tmp_path: Path, api: Api, clock: FakeClock
) -> None:
    path = tmp_path / "pylon.db"
    desk = open_desk(api.workspace)
    clock.sleep(60)
    sync(path, api, clock)
    messages = api.workspace.messages(desk.issues[number - 1])
    found = answer(path, QUERIES["conversation_by_number"], number=str(number))
    assert [(row["id"], row["seen_by"]) for row in found] == [
        (one["id"], "us only" if one["is_private"] else "everybody") for one in messages
    ]
    public = answer(path, QUERIES["public_messages_of_issue"], number=str(number))
    assert [row["id"] for row in public] == [one["id"] for one in messages if not one["is_private"]]
    assert [row["side"] for row in public][1:] == ["us", "bot"]


def test_public_queries_never_show_a_private_note(
    tmp_path: Path, api: Api, workspace: Workspace, clock: FakeClock
) -> None:
    path = tmp_path / "pylon.db"
    desk = open_desk(workspace)
    for number, issue in enumerate(desk.issues):
        workspace.reply(issue, html=f"<p>A pomelo, {number}.</p>", author=desk.agents[0])
        workspace.reply(issue, html="A kumquat.", author=desk.agents[0], private=True)
    clock.sleep(60)
    sync(path, api, clock)
    public = [query for query in QUERIES.values() if query.name.startswith("public_")]
    assert len(public) == 2
    told = ""
    for query in public:
        asked = {"number": map(str, range(1, 5)), "words": ["", "a", "kumquat", "a kumquat"]}
        (name,) = set(re.findall(r":(\w+)", query.sql))
        for value in asked[name]:
            told += repr(answer(path, query, **{name: value}))
    assert told.count("pomelo") == 4 + 4 + 4
    assert "kumquat" not in told
    # It is there to be found, where private notes are asked for.
    assert "kumquat" in repr(answer(path, QUERIES["conversation_by_number"], number="1"))


def test_public_messages_matching_takes_all_words_in_any_case(
    tmp_path: Path, api: Api, workspace: Workspace, clock: FakeClock
) -> None:
    path = tmp_path / "pylon.db"
    desk = open_desk(workspace, issues=2)
    workspace.reply(desk.issues[0], html="The Export 100% FAILS_now", author=desk.contacts[0])
    workspace.reply(desk.issues[1], html="The export works", author=desk.contacts[0])
    clock.sleep(60)
    sync(path, api, clock)

    def texts(words: str) -> list[str]:
        found = answer(path, QUERIES["public_messages_matching"], words=words)
        return [row["message_text"] for row in found]

    assert sorted(texts("  export  ")) == ["The Export 100% FAILS_now", "The export works"]
    fails = ["The Export 100% FAILS_now"]
    assert texts("fails EXPORT") == texts("100%") == texts("now fail") == fails
    assert texts("expörtéd 100") == texts('"fail -') == texts("exports FAILS_now") == fails
    assert texts("works fails") == texts("wor%s") == texts("port") == []
    assert texts('" OR NOT * ') == texts("\x00") == []


def pages(path: Path, *wanted: str) -> Iterator[str]:
    """HTML of pages of a Datasette that serves the file with its metadata."""

    async def fetch() -> list[Any]:
        datasette = Datasette([str(path)], metadata=metadata_for([path.stem]))
        await datasette.invoke_startup()
        return [await datasette.client.get(one) for one in wanted]

    for response in asyncio.run(fetch()):
        assert response.status_code == 200, response.text
        yield html.unescape(response.text)


@pytest.mark.parametrize("name", ["pylon", "another name-2"])
def test_datasette_shows_it(pylon_db: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.db"
    with closing(sqlite3.connect(pylon_db)) as source, closing(sqlite3.connect(path)) as target:
        source.backup(target)
    told = metadata_for([name])["databases"][name]
    # Datasette's own spelling of names in addresses.
    base = "/" + name.replace("-", "~2D").replace(" ", "+")
    database, issues = pages(path, base, f"{base}/issues")
    assert told["description"] in database
    for query in QUERIES.values():
        assert f">{query.title}</a>" in database
    assert TABLES["issues"].description in issues
    for text in told["tables"]["issues"]["columns"].values():
        assert text in issues
    # A reference shows the name of what it refers to.
    (account,) = rows(pylon_db, "SELECT name FROM accounts WHERE name LIKE 'Fjord%'")
    assert re.search(rf'/accounts/[^"]+">{account["name"]}</a>', issues)


@pytest.mark.parametrize("given", [{}, SENSIBLE], ids=["empty", "sensible"])
def test_datasette_answers_each_query(pylon_db: Path, given: dict[str, dict[str, str]]) -> None:
    wanted = [f"/pylon/{name}?{urlencode(given.get(name, {}))}" for name in QUERIES]
    for query, page in zip(QUERIES.values(), pages(pylon_db, *wanted), strict=True):
        assert f"{query.title}</h1>" in re.sub(r"\s+</h1>", "</h1>", page)
        assert query.description in page
        assert ("<td" in page) == bool(answer(pylon_db, query, **given.get(query.name, {})))
