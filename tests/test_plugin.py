"""The package as a Datasette plugin: what Datasette shows of a mirror without being told anything.

These tests hold on both lines of Datasette, whichever is installed."""

import copy
import html
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from datasette.database import Database
from datasette.utils import tilde_encode
from surfing import IS_1, links, page, tree, visit

from pylon_to_sqlite.metadata import SORT_DESCENDING, metadata_for, queries
from pylon_to_sqlite.plugin import described
from pylon_to_sqlite.schema import BOOKKEEPING, FULL_TEXT, TABLES

TOLD = metadata_for(["x"])
QUERIES = {query.name: query for query in queries()}


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A database of somebody else's."""
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE issues (number INTEGER, title TEXT)")
        connection.execute("INSERT INTO issues VALUES (7, 'Theirs')")
        connection.commit()
    return path


def text(path: Path, wanted: str, **options: Any) -> str:
    return html.unescape(page(path, wanted, **options))


@pytest.mark.parametrize("name", ["pylon", "another name-2", "ü"])
def test_datasette_alone_shows_everything_whatever_the_file_is_called(
    mirror: Path, name: str
) -> None:
    path = mirror.with_name(f"{name}.db")
    if path != mirror:
        shutil.copy(mirror, path)
    base = f"/{tilde_encode(name)}"
    home, database, issues = (
        html.unescape(answer.text) for answer in visit(path, "/", base, f"{base}/issues")
    )
    assert TOLD["description"] in home
    assert TOLD["databases"]["x"]["description"] in database
    assert TABLES["issues"].description in issues
    for column, description in TOLD["databases"]["x"]["tables"]["issues"]["columns"].items():
        assert description in issues, column
    # A reference shows the name of what it refers to.
    assert re.search(r'/accounts/[^"]+">Quarry</a>', issues)
    assert f"sorted by {SORT_DESCENDING['issues']} descending" in issues
    assert 'name="_search"' in issues
    for facet in TOLD["databases"]["x"]["tables"]["issues"]["facets"]:
        assert f'data-facet-name="{facet}"' in issues or f'id="facet-{facet}"' in issues
    for name_ in BOOKKEEPING:
        assert f">{name_}</a>" not in database
    # In Datasette 1.0 nothing hides a view but what would forbid the search.
    assert (">_pylon_live_issues<" in database) == IS_1


@pytest.mark.parametrize("table", FULL_TEXT)
def test_one_can_search(mirror: Path, table: str) -> None:
    (answer,) = visit(mirror, f"/pylon/{table}?_search=question")
    assert answer.status_code == 200


def test_a_search_finds_what_is_there(mirror: Path) -> None:
    (answer,) = visit(mirror, "/pylon/issue_messages.json?_search=because&_shape=array")
    assert sorted(row["message_text"] for row in answer.json()) == [
        f"Because {n}." for n in range(4)
    ]


@pytest.mark.skipif(not IS_1, reason="Datasette 0.65 asks for descriptions, and keeps none")
def test_columns_are_described_whatever_becomes_of_datasette_s_own_tables(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> None:
        raise sqlite3.OperationalError("no such table: metadata_columns")

    monkeypatch.setattr(Database, "execute_write_many", refuse)
    shown = text(mirror, "/pylon/issues")
    for description in TOLD["databases"]["x"]["tables"]["issues"]["columns"].values():
        assert description in shown


@pytest.mark.skipif(not IS_1, reason="Datasette 0.65 keeps nothing of what it is told")
def test_what_datasette_keeps_is_renewed_and_removed(
    mirror: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a file for what it keeps, that outlives versions of ours, and mirrors."""
    internal = tmp_path / "internal.db"

    def kept() -> set[str]:
        with closing(sqlite3.connect(internal)) as connection:
            return {
                str(row[0])
                for sql in (
                    *(
                        "SELECT value FROM metadata_instance",
                        "SELECT value FROM metadata_databases",
                    ),
                    *("SELECT value FROM metadata_resources", "SELECT value FROM metadata_columns"),
                    *("SELECT title FROM queries", "SELECT sql FROM queries"),
                )
                for row in connection.execute(sql)
            }

    ours = copy.deepcopy(TOLD["databases"]["x"])
    ours["tables"]["issues"]["description"] = "Of old."
    ours["tables"]["issues"]["columns"]["title"] = "Of old, too."
    with monkeypatch.context() as patch:
        patch.setattr(described, "_mirror", lambda _: ours)
        visit(mirror, internal=str(internal))
    assert {"Of old.", "Of old, too."} <= kept()
    with closing(sqlite3.connect(internal)) as connection:
        sql = "UPDATE metadata_resources SET value = 'Of mine.' WHERE resource_name = 'accounts'"
        assert connection.execute(sql).rowcount == 1
        connection.commit()
    for _ in range(2):
        visit(mirror, internal=str(internal))
        found = kept()
        assert found & {"Of old.", "Of old, too.", "Of mine."} == {"Of mine."}
        assert {TABLES["issues"].description, TOLD["description"]} <= found
        assert {query.title for query in queries()} <= found
    mirror.unlink()
    shutil.copy(other, mirror)
    visit(mirror, internal=str(internal))
    assert kept() == {"Of mine."}


def test_all_queries_are_there(mirror: Path) -> None:
    for answer, query in zip(
        visit(mirror, *(f"/pylon/{name}" for name in QUERIES)), QUERIES.values(), strict=True
    ):
        assert answer.status_code == 200
        told = html.unescape(answer.text)
        assert query.title in told
        assert query.description in told


def test_queries_need_no_right_to_sql(mirror: Path) -> None:
    """One may let people ask the canned questions only."""
    question, own = visit(
        mirror,
        "/pylon/conversation_by_number?number=1",
        "/pylon/-/query?sql=select+1" if IS_1 else "/pylon?sql=select+1",
        settings={"default_allow_sql": False},
    )
    assert question.status_code == 200
    assert "Because 0." in question.text
    assert own.status_code == 403


def test_the_ways_to_close_it_that_the_readme_names(mirror: Path) -> None:
    everybody = {"allow": {"id": "*"}}
    wanted = ("/", "/pylon", "/pylon/issues", "/pylon/-/pylon", "/pylon/-/conversation/1")
    for answer in visit(mirror, *wanted, metadata=everybody):
        assert answer.status_code == 403
        assert "Quarry" not in answer.text
    for answer in visit(mirror, *wanted, metadata=everybody, actor={"id": "ann"}):
        assert answer.status_code == 200
    served = {"files": [], "immutables": [str(mirror)]}
    for is_allowed in (True, False):
        (answer,) = visit([], "/pylon.db", **served, settings={"allow_download": is_allowed})
        assert answer.status_code == (200 if is_allowed else 403)
    # A rule for a table does not hold for canned queries that read it.
    denied = {"databases": {"pylon": {"tables": {"issue_messages": {"allow": False}}}}}
    rows, query = visit(
        mirror, "/pylon/issue_messages", "/pylon/conversation_by_number?number=1", metadata=denied
    )
    assert (rows.status_code, query.status_code) == (403, 200)
    assert "Because 0." in query.text


NOTE = "Careful: late payer."


def test_what_is_told_to_close_private_notes_closes_them(mirror: Path) -> None:
    """Wherever one can look without SQL of one's own."""
    page = (Path(__file__).parents[1] / "docs" / "privacy.md").read_text(encoding="utf-8")
    snippet = next(one for one in re.findall(r"```json\n(.+?)```", page, re.S) if "notes" in one)
    with closing(sqlite3.connect(mirror)) as connection:
        # Of an issue that begins with a note, it is the body.
        connection.execute("UPDATE issues SET body_text = ?, body_html = ?", (NOTE, NOTE))
        connection.commit()
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
    given = {"config" if IS_1 else "metadata": json.loads(snippet)}
    wanted = [f"/pylon/{name}?_size=max" for name in names]
    wanted += [f"/pylon/{name}" for name in QUERIES]
    wanted += ["/", "/pylon", "/pylon/-/pylon", "/pylon/-/conversation/1"]
    wanted += ["/pylon/conversation_by_number?number=1"]
    wanted += ["/pylon/search_everywhere?words=payer&private=1"]
    wanted += ["/pylon/issue_messages_fts?_search=payer"]
    settings = {"default_allow_sql": False, "allow_download": False}
    told = dict(zip(wanted, visit(mirror, *wanted, settings=settings), strict=True))
    assert len([one for one in told.values() if "late payer" in one.text]) > 8
    closed = dict(zip(wanted, visit(mirror, *wanted, settings=settings, **given), strict=True))
    assert [one for one, found in closed.items() if "payer" in found.text] == []
    assert {found.status_code for found in closed.values()} <= {200, 403, 404}
    assert closed["/pylon/public_messages?_size=max"].status_code == 200


# Datasette 0.65 reads permissions of the user's own file only.
RULES: list[dict[str, Any]] = [
    {"allow": False},
    *([{"permissions": {"view-table": False}}] if IS_1 else []),
]


@pytest.mark.parametrize("rule", RULES)
def test_an_index_follows_the_rule_of_its_table(mirror: Path, rule: dict[str, Any]) -> None:
    tables = {"issue_messages": rule, "issues_fts": {"allow": {"id": "ann"}}}
    rules = {"databases": {"pylon": {"tables": tables}}}
    given = {"config" if IS_1 else "metadata": rules}
    wanted = [
        *("issue_messages_fts", "issue_messages_fts_data", "_pylon_live_issue_messages"),
        *("issues_fts", "accounts_fts"),
    ]
    answers = visit(mirror, *(f"/pylon/{one}" for one in wanted), **given)
    # What the user says of an index holds.
    assert [one.status_code for one in answers] == [403, 403, 403, 403, 200]
    (ann,) = visit(mirror, "/pylon/issues_fts", actor={"id": "ann"}, **given)
    assert ann.status_code == 200


def test_no_link_leads_to_a_query_that_may_not_be_seen(mirror: Path) -> None:
    closed = {"allow": False, "sql": "select 1"}
    names = ("waiting_for_us", "search_everywhere", "volume_by_week", "csat_comments")
    rules = {"databases": {"pylon": {"queries": dict.fromkeys(names, closed)}}}
    shown = tree(page(mirror, "/pylon/-/pylon", **{"config" if IS_1 else "metadata": rules}))
    paths = [path for _, path in links(shown)]
    paths += [form.get("action") or "" for form in shown.iter("form")]
    assert [path for path in paths if any(name in path for name in names)] == []
    # The next best instead.
    assert any("conversations_vs_tickets" in path for path in paths)
    assert "/pylon/public_messages_matching" in paths


MINE = {
    "title": "My desk",
    "description": "My words.",
    "databases": {
        "pylon": {
            "description": "My mirror.",
            "tables": {
                "issues": {
                    "description": "My issues.",
                    "columns": {"number": "My number."},
                    "sort": "number",
                    "facets": ["author_unverified"],
                }
            },
            "queries": {"conversation_by_number": {"sql": "select 'mine' as it", "title": "Mine"}},
        }
    },
}


def test_what_the_user_says_wins(mirror: Path) -> None:
    options = {"metadata": MINE, **({"config": MINE} if IS_1 else {})}
    wanted = ("/", "/pylon", "/pylon/issues", "/pylon/conversation_by_number")
    home, database, issues, query = (
        html.unescape(answer.text) for answer in visit(mirror, *wanted, **options)
    )
    assert "My desk" in home
    assert "My words." in home
    assert TOLD["description"] not in home
    assert "My mirror." in database
    assert TOLD["databases"]["x"]["description"] not in database
    assert "My issues." in issues
    assert TABLES["issues"].description not in issues
    assert "My number." in issues
    assert "sorted by number" in issues
    assert "facet-author_unverified" in issues.replace('data-facet-name="', "facet-")
    assert ">mine<" in query
    # What the user does not speak of is told all the same.
    assert TOLD["databases"]["x"]["tables"]["issues"]["columns"]["title"] in issues
    assert QUERIES["conversations_vs_tickets"].title in text(
        mirror, "/pylon/conversations_vs_tickets", **options
    )


def test_other_files_are_left_alone(mirror: Path, other: Path) -> None:
    home, database, rows, ours, conversation, overview = visit(
        [mirror, other],
        *("/", "/other", "/other/issues", "/pylon/issues"),
        *("/other/-/conversation/7", "/other/-/pylon"),
    )
    assert TOLD["description"] not in home.text
    assert "/other/-/pylon" not in home.text + database.text
    assert "conversation" not in rows.text + database.text
    assert "/pylon/-/conversation/1" in ours.text
    assert (conversation.status_code, overview.status_code) == (404, 404)
    for answer in visit(other, "/", "/other"):
        assert "ylon-" not in answer.text
        assert "Overview" not in answer.text


@pytest.mark.parametrize("wanted", ["/-/pylon", "/-/conversation/1"])
def test_no_page_of_a_database_that_is_not_there(mirror: Path, wanted: str) -> None:
    (answer,) = visit(mirror, f"/nothing{wanted}")
    assert answer.status_code == 404


def test_a_table_of_the_user_s_that_bears_the_name_of_a_view_is_the_user_s(mirror: Path) -> None:
    with closing(sqlite3.connect(mirror)) as connection:
        connection.execute("DROP VIEW conversations")
        connection.execute("CREATE TABLE conversations (id INTEGER PRIMARY KEY, state TEXT)")
        connection.commit()
    told = TOLD["databases"]["x"]["tables"]
    mine, ours = (
        html.unescape(a.text) for a in visit(mirror, "/pylon/conversations", "/pylon/tickets")
    )
    assert told["conversations"]["description"] not in mine
    assert told["tickets"]["description"] in ours


def test_a_query_is_offered_only_where_nothing_of_the_users_bears_its_name_and_it_has_tables(
    mirror: Path,
) -> None:
    with closing(sqlite3.connect(mirror)) as connection:
        connection.execute("CREATE TABLE volume_by_tag (seat TEXT)")
        connection.execute("INSERT INTO volume_by_tag VALUES ('A1')")
        connection.execute("DROP TABLE issue_changes")
        connection.commit()
    mine, lacking, other = visit(
        mirror, "/pylon/volume_by_tag", "/pylon/reopened_issues", "/pylon/volume_by_team"
    )
    assert "A1</td>" in mine.text
    assert QUERIES["volume_by_tag"].description not in html.unescape(mine.text)
    assert (lacking.status_code, other.status_code) == (404, 200)


def test_a_file_that_only_looks_like_a_mirror_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE _pylon_meta (schema_version TEXT)")
        connection.commit()
    answers = visit(path, "/", "/x", "/x/-/pylon")
    assert [answer.status_code for answer in answers] == [200, 200, 404]


def test_pages_are_linked(mirror: Path) -> None:
    """The overview from the first page, the database's page and every menu; conversations from
    rows, beside the usual links."""
    wanted = ("/", "/pylon", "/pylon/accounts", "/pylon/issues", "/pylon/issue_messages")
    home, database, accounts, issues, messages = (
        dict(links(tree(answer.text))) for answer in visit(mirror, *wanted)
    )
    for one in (database, accounts):
        assert one["Overview"] == "/pylon/-/pylon"
    # In Datasette 0.65 nothing tells who asks for the first page.
    assert home["Overview"] in ("/-/pylon", "/pylon/-/pylon")
    (way,) = visit(mirror, "/-/pylon")
    assert (way.status_code, way.headers["location"]) == (302, "/pylon/-/pylon")
    assert issues["3"] == "/pylon/-/conversation/3"
    assert messages["Question 1"].startswith("/pylon/issues/")
    assert messages["conversation"].startswith("/pylon/-/conversation/")
    (found,) = visit(mirror, messages["conversation"].partition("#")[0])
    assert found.status_code == 302
    assert re.fullmatch(r"/pylon/-/conversation/\d\?message=[0-9a-f-]+", found.headers["location"])


def test_one_chooses_among_several_mirrors(mirror: Path, other: Path) -> None:
    second = mirror.with_name("second.db")
    shutil.copy(mirror, second)
    (choice,) = visit([mirror, second, other], "/-/pylon")
    assert choice.status_code == 200
    found = dict(links(tree(choice.text)))
    assert found["Overview of pylon"] == "/pylon/-/pylon"
    assert found["Overview of second"] == "/second/-/pylon"
    denied = {"databases": {"pylon": {"allow": False}}}
    (way,) = visit([mirror, second], "/-/pylon", metadata=denied)
    assert (way.status_code, way.headers["location"]) == (302, "/second/-/pylon")
    assert visit(mirror, "/-/pylon", metadata=denied)[0].status_code == 403
    assert visit(other, "/-/pylon")[0].status_code == 403


def test_numbers_in_answers_lead_to_conversations(mirror: Path) -> None:
    found = page(mirror, "/pylon/public_messages_matching?words=because")
    assert "/pylon/-/conversation/2" in dict(links(tree(found))).values()


def test_numbers_in_answers_to_sql_of_one_s_own_lead_nowhere(mirror: Path) -> None:
    """They may be any."""
    asked = "/pylon/-/query?sql=" if IS_1 else "/pylon?sql="
    found = page(mirror, f"{asked}select+count(*)+as+number+from+issues")
    assert ">4<" in found
    assert "/-/conversation/" not in found


def test_links_keep_to_the_base_of_addresses(mirror: Path) -> None:
    for wanted in ("/pylon/issues", "/pylon/-/pylon", "/pylon/-/conversation/1"):
        # Datasette's own client puts the base before it.
        (answer,) = visit(mirror, wanted, settings={"base_url": "/of/"})
        assert answer.status_code == 200
        paths = {path for _, path in links(tree(answer.text)) if path.startswith("/")}
        assert any("/-/" in path for path in paths)
        assert {path for path in paths if not path.startswith("/of/")} == set()


def test_importing_the_plugin_brings_nothing_heavy() -> None:
    """Every `datasette` command imports it."""
    code = (
        "import sys, datasette.app; before = set(sys.modules); import pylon_to_sqlite.plugin;"
        " print(sorted(set(sys.modules) - before))"
    )
    # Datasette has loaded it already, if it is installed as it should be.
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"
    code = (
        "import sys, datasette.app;"
        " print(*sorted(one for one in sys.modules if one.startswith(('pylon', 'nh3'))))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "pylon_to_sqlite pylon_to_sqlite.plugin\n"


def test_starting_does_not_count_rows(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start is as quick over many rows as over few: no statement of it reads a table of ours."""
    asked: list[str] = []
    execute = Database.execute

    async def noted(self: Any, sql: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(sql)
        return await execute(self, sql, *args, **kwargs)

    monkeypatch.setattr(Database, "execute", noted)
    began = time.perf_counter()
    assert visit(mirror) == []
    assert time.perf_counter() - began < 10
    tables = "|".join(TABLES)
    assert asked
    assert [sql for sql in asked if re.search(rf"\bfrom \W?({tables})\b", sql, re.I)] == []
