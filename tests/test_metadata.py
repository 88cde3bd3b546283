"""What Datasette is told of a mirror, and what its canned queries answer."""

import asyncio
import html
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from asking import QUERIES, answer, parameters
from conftest import FakeClock
from datasette.app import Datasette
from desk import open_desk
from mirroring import DAY, rows, sync
from surfing import IS_1

from pylon_to_sqlite.full_text import index_of, shadows, view_of
from pylon_to_sqlite.metadata import (
    FACETS,
    SORT_DESCENDING,
    USUAL_NAMES,
    Query,
    metadata_for,
)
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.sample import fill
from pylon_to_sqlite.sandbox.workspace import Workspace
from pylon_to_sqlite.schema import BOOKKEEPING, FULL_TEXT, MIGRATED, TABLES
from pylon_to_sqlite.serving import metadata_of
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.streams import STREAMS
from pylon_to_sqlite.views import VIEWS

ROOT = Path(__file__).parent.parent
# Some parameters with which queries have something to answer on the sample.
SENSIBLE = {
    "agents_replies": {"since": "2026-03-01", "until": "2026-06-01"},
    "conversation_by_number": {"number": "1"},
    "conversations_vs_tickets": {"since": "2026-03-01", "until": "2026-06-01"},
    "custom_field_breakdown": {"slug": "priority"},
    "issues_by_state_and_assignee": {"closed": "1"},
    "public_messages_matching": {"words": "sync thanks"},
    "public_messages_of_account": {"account": "fjord"},
    "public_messages_of_issue": {"number": "1"},
    "quiet_accounts": {"days": "10"},
    "search_everywhere": {"words": "sync", "private": "1"},
    "unanswered_messages": {"hours": "1.5"},
    "who_writes_when": {"utc_offset": "-3.5"},
}

each_query = pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)


@pytest.fixture(scope="module")
def sample() -> Workspace:
    clock = FakeClock()
    workspace = Workspace(clock)
    fill(workspace, now=clock())
    return workspace


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
    assert there == {*TABLES, *VIEWS, *BOOKKEEPING, MIGRATED, *map(view_of, FULL_TEXT)}
    for name in (*BOOKKEEPING, MIGRATED):
        assert told[name] == {"hidden": True}
    for name in (*TABLES, *VIEWS):
        columns = {row["name"] for row in rows(pylon_db, f"PRAGMA table_info({name})")}
        assert described(told[name]["description"]), name
        assert set(told[name]["columns"]) == columns
        for column, text in told[name]["columns"].items():
            assert described(text), f"{name}.{column}"
        assert told[name].get("label_column", "id") in {*columns, "id"}


def test_facets_and_sorting_name_columns_that_exist() -> None:
    for name, columns in [*FACETS.items(), *((k, [v]) for k, v in SORT_DESCENDING.items())]:
        there = VIEWS[name].columns if name in VIEWS else columns_of(name)
        assert set(columns) <= {*there}, name
    assert {*VIEWS} <= {*SORT_DESCENDING}


def columns_of(table: str) -> set[str]:
    return {column.name for column in TABLES[table].columns}


@each_query
def test_query_is_described(query: Query) -> None:
    assert query.title
    assert not query.title.endswith(".")
    assert described(query.description)
    assert query.sql.startswith(("SELECT", "WITH"))


def test_no_name_shadows_another() -> None:
    """Datasette shows the query where one is named like a table or view."""
    indexes = [name for table in FULL_TEXT for name in shadows(table)]
    names = [*TABLES, *BOOKKEEPING, MIGRATED, *VIEWS, *QUERIES, *map(view_of, FULL_TEXT), *indexes]
    assert len(names) == len(set(names))


@each_query
def test_query_reads_tables_alone(query: Query) -> None:
    """A view can be missing where the user has something of its name."""
    read = set(re.findall(r"(?:FROM|JOIN|IN) (\w+)", query.sql))
    assert read & {*TABLES}
    assert not read & {*VIEWS}


@pytest.fixture(scope="module")
def empty_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, clock = tmp_path_factory.mktemp("empty") / "pylon.db", FakeClock()
    sync(path, Api(Workspace(clock), allowance=None), clock)
    return path


@pytest.fixture(scope="module")
def desk_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, clock = tmp_path_factory.mktemp("desk") / "pylon.db", FakeClock()
    desk = open_desk(Workspace(clock))
    clock.sleep(DAY)
    sync(path, Api(desk.workspace, allowance=None), clock)
    return path


@each_query
def test_query_runs_on_an_empty_mirror(query: Query, empty_db: Path) -> None:
    # How fresh an empty mirror is can be told too.
    rows = len(STREAMS) if query.name == "data_freshness" else 0
    assert len(answer(empty_db, query)) == rows
    assert len(answer(empty_db, query, **SENSIBLE.get(query.name, {}))) == rows


def test_queries_run_on_a_file_no_sync_has_been_in(path: Path) -> None:
    with closing(Store(str(path))) as store:
        store.prepare("2026-07-01T00:00:00Z")
    for query in QUERIES.values():
        if query.name != "data_freshness":
            assert answer(path, query) == []
    for row in answer(path, QUERIES["data_freshness"]):
        assert (row["live_rows"], row["outcome"], row["last_sync"]) == (0, "never read", None)


@each_query
def test_query_answers_on_the_sample_at_one_click(query: Query, pylon_db: Path) -> None:
    assert answer(pylon_db, query)
    assert answer(pylon_db, query, **SENSIBLE.get(query.name, {}))


# Of what the desk has nothing: nobody is late, satisfied or not, or waits for an answer.
NOT_AT_THE_DESK = {
    *("articles_that_could_have_answered", "csat_by_account", "csat_by_agent", "csat_by_week"),
    *("csat_comments", "ping_pong_issues", "quiet_accounts", "reopened_issues"),
    *("resolution_by_week", "unanswered_messages", "waiting_for_us"),
}


@each_query
def test_query_answers_on_the_desk(query: Query, desk_db: Path) -> None:
    assert bool(answer(desk_db, query)) == (query.name not in NOT_AT_THE_DESK)


@each_query
def test_query_has_parameters_that_can_be_anything(query: Query, desk_db: Path) -> None:
    """Whatever somebody types is an answer, if an empty one, and no error."""
    nonsense = ("'", '"', "%", "-", "(", "*", "NEAR", "\x00", "x' OR 1 --", "9" * 30, "{", "🙂")
    for text in nonsense:
        answer(desk_db, query, **dict.fromkeys(parameters(query.sql), text))


@pytest.fixture(scope="module")
def wider_db(pylon_db: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, whose tables have more columns: one of each name that a query uses."""
    path = tmp_path_factory.mktemp("wider") / "pylon.db"
    names: set[str] = set()
    for query in QUERIES.values():
        names |= {*re.findall(r"[a-z_]+", re.sub(r"'[^']*'|--.*", "", query.sql.lower()))}
    # The index's own, and SQLite's.
    names -= {"rowid", *(name for name in names if name.endswith("_fts"))}
    with closing(sqlite3.connect(pylon_db)) as source, closing(sqlite3.connect(path)) as target:
        source.backup(target)
        target.execute("PRAGMA writable_schema = ON")
        for table in (*TABLES, *BOOKKEEPING):
            there = {row[1].lower() for row in target.execute(f"PRAGMA table_info({table})")}
            (sql,) = target.execute(
                "SELECT sql FROM sqlite_master WHERE name = ?", [table]
            ).fetchone()
            # As ALTER TABLE does it, but at once.
            more = "".join(f""", "{one}" TEXT DEFAULT 'astray'""" for one in sorted(names - there))
            at = re.search(r",\s*PRIMARY KEY \(|\s*\)$", sql)
            assert at
            wider = sql[: at.start()] + more + sql[at.start() :]
            target.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", [wider, table])
        target.commit()
    assert rows(path, "SELECT DISTINCT turns, week FROM issue_statuses") == [
        {"turns": "astray", "week": "astray"}
    ]
    return path


@each_query
def test_query_is_not_led_astray_by_new_fields(
    query: Query, pylon_db: Path, wider_db: Path
) -> None:
    """Pylon's new fields become columns, under any name that a query may use itself."""
    expected, found = answer(pylon_db, query), answer(wider_db, query)
    for row in (*found, *expected):
        # By the clock of this machine.
        row.pop("hours_ago", None)
    assert found == expected


def test_charts_name_columns_of_their_answers(pylon_db: Path) -> None:
    charts = {query.name: query for query in QUERIES.values() if query.chart}
    assert len(charts) > 15
    for query in charts.values():
        told = dict(parse_qsl(query.fragment, strict_parsing=True))
        assert told.pop("g.mark") in {"bar", "line", "circle"}
        types = {told.pop("g.x_type"), told.pop("g.y_type")}
        assert types <= {"nominal", "ordinal", "quantitative"}
        columns = answer(pylon_db, query)[0]
        assert {*told} <= {"g.x_column", "g.y_column", "g.color_column", "g.size_column"}
        assert {*told.values()} <= {*columns}, query.name
        assert metadata_for(["x"])["databases"]["x"]["queries"][query.name]["fragment"]


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


@pytest.mark.parametrize("name", ["conversation_by_number", "public_messages_of_issue"])
def test_another_issue_is_never_shown_for_the_one_that_was_asked_for(
    desk_db: Path, name: str
) -> None:
    def shown(number: str) -> set[tuple[int, str]]:
        found = answer(desk_db, QUERIES[name], number=number)
        return {(row["number"], row["title"]) for row in found}

    for text in ("2", "#2", " # 2 ", "02"):
        assert shown(text) == {(2, "Question 1")}
    for text in ("", "  "):
        assert len(shown(text)) == 1
    for text in ("abc", "0", "#", "-2", "2x", "2.0", "1 2", "9" * 30, "é"):
        assert shown(text) == set()


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
        datasette = Datasette([str(path)], metadata=metadata_of(path))
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
    # Datasette 1.0 has but the first of them here, and all of them on a page of their own.
    (every,) = pages(path, f"{base}/-/queries?_size=max") if IS_1 else (database,)
    for query in QUERIES.values():
        assert f">{query.title}</a>" in every
        # Its link opens the chart.
        chart = f"#{query.fragment}" if query.chart else ""
        assert re.search(rf'<a [^>]*href="/[^/"]+/{re.escape(query.name + chart)}"', every)
    assert TABLES["issues"].description in issues
    for text in told["tables"]["issues"]["columns"].values():
        assert text in issues
    # A reference shows the name of what it refers to.
    (account,) = rows(pylon_db, "SELECT name FROM accounts WHERE name LIKE 'Fjord%'")
    assert re.search(rf'/accounts/[^"]+">{account["name"]}</a>', issues)


def test_what_is_the_users_own_is_shown_as_it_is(path: Path, api: Api, clock: FakeClock) -> None:
    """Though it bears the name of a view, which has columns to sort by."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE tickets (seat TEXT)")
        connection.execute("INSERT INTO tickets VALUES ('A1')")
        connection.execute("CREATE VIEW issue_overview AS SELECT 'B2' AS seat")
        connection.commit()
    sync(path, api, clock)
    told = metadata_of(path)
    assert {*VIEWS} - {*told["databases"]["pylon"]["tables"]} == {"tickets", "issue_overview"}
    tickets, overview, _ = pages(path, "/pylon/tickets", "/pylon/issue_overview", "/pylon/tags")
    assert "A1</td>" in tickets
    assert "B2</td>" in overview


@each_query
def test_what_a_query_reads_is_known(query: Query, pylon_db: Path) -> None:
    read: set[str] = set()

    def note(action: int, table: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_READ and table:
            read.add(table)
        return sqlite3.SQLITE_OK

    with closing(sqlite3.connect(pylon_db)) as connection:
        connection.set_authorizer(note)
        connection.execute(query.sql, dict.fromkeys(parameters(query.sql), ""))  # type: ignore[arg-type]
    assert query.reads == read & {*TABLES, *BOOKKEEPING, *map(index_of, FULL_TEXT)}
    assert query.reads


def test_queries_that_are_the_users_or_have_no_tables_are_not_offered(
    path: Path, api: Api, clock: FakeClock
) -> None:
    """Datasette would show the query where the user has a table, and an error where one lacks."""
    sync(path, api, clock)
    assert {*metadata_of(path)["databases"]["pylon"]["queries"]} == {*QUERIES}
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE Volume_by_tag (seat TEXT)")
        connection.execute("INSERT INTO Volume_by_tag VALUES ('A1')")
        connection.execute("CREATE VIEW csat_by_week AS SELECT 'B2' AS seat")
        connection.execute("DROP TABLE issue_changes")
        connection.commit()
    told = metadata_of(path)["databases"]["pylon"]["queries"]
    lost = {"volume_by_tag", "csat_by_week", "reopened_issues", "ping_pong_issues"}
    assert {*QUERIES} - {*told} == lost
    mine, view, _ = pages(path, "/pylon/Volume_by_tag", "/pylon/csat_by_week", "/pylon/tags")
    assert "A1</td>" in mine
    assert "B2</td>" in view


def test_metadata_is_told_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert metadata_of(tmp_path / "pylon.db") == metadata_for(["pylon"])


@pytest.mark.parametrize("given", [{}, SENSIBLE], ids=["empty", "sensible"])
def test_datasette_answers_each_query(pylon_db: Path, given: dict[str, dict[str, str]]) -> None:
    wanted = [f"/pylon/{name}?{urlencode(given.get(name, {}))}" for name in QUERIES]
    for query, page in zip(QUERIES.values(), pages(pylon_db, *wanted), strict=True):
        assert f"{query.title}</h1>" in re.sub(r"\s+</h1>", "</h1>", page)
        assert query.description in page
        assert ("<td" in page) == bool(answer(pylon_db, query, **given.get(query.name, {})))
