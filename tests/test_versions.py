"""A file of an earlier version is brought up to date with nothing lost; a newer one is refused.

The files in tests/files were written by those versions: a small desk, some fields nobody knew, an
issue and a tag that were deleted, and a last run that died. Each release adds one of its own.
"""

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from desk import open_desk
from mirroring import DAY, Death, errors, rows, sync
from oracle import differences

from pylon_to_sqlite import layout, schema
from pylon_to_sqlite.full_text import index_of
from pylon_to_sqlite.migrations import MIGRATIONS
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.workspace import Workspace
from pylon_to_sqlite.schema import FULL_TEXT, TABLES, VERSION, Table
from pylon_to_sqlite.status import status_of
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.stream import Column
from pylon_to_sqlite.streams import STREAMS
from pylon_to_sqlite.views import VIEWS, mark_of

NOW = "2026-11-22T00:00:00Z"
# Left to files that have them: the user may have made one of such a name.
EARLIER_INDEXES = (
    ("issues", "state"),
    ("issues", "created_at", "id"),
    (
        *("issues", "state", "assignee_id", "created_at", "latest_message_time"),
        *("deleted_at", "placeholder"),
    ),
    (
        *("issues", "created_at", "type", "first_response_seconds", "resolution_seconds"),
        *("deleted_at", "placeholder"),
    ),
    ("issue_custom_fields", "slug", "value"),
    ("issue_messages", "timestamp"),
    ("issue_messages", "issue_id", "timestamp"),
)
SUPERSEDED = {
    (table, "_".join(("idx", table, *columns)), *columns) for table, *columns in EARLIER_INDEXES
}
FILES = sorted(Path(__file__).with_name("files").glob("version-*.db.gz"))


@pytest.fixture(params=FILES, ids=lambda path: path.name.partition(".")[0])
def earlier(request: pytest.FixtureRequest, path: Path) -> Path:
    """A file of an earlier version."""
    path.write_bytes(gzip.decompress(request.param.read_bytes()))
    return path


def upgrade(path: Path) -> None:
    with closing(Store(str(path))) as store:
        store.prepare(NOW)


def shape(path: Path) -> dict[str, Any]:
    """What the file is made of, but for the order of columns and the fields nobody knew."""
    added = {(row["table"], row["column"]) for row in rows(path, "SELECT * FROM _pylon_fields")}
    tables = {
        row["name"]: {
            tuple(column[name] for name in ("name", "type", "notnull", "dflt_value", "pk"))
            for column in rows(path, f"PRAGMA table_info({row['name']})")
            if (row["name"], column["name"]) not in added
        }
        for row in rows(path, "SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    keys = {
        name: {
            (key["from"], key["table"], key["to"])
            for key in rows(path, f"PRAGMA foreign_key_list({name})")
        }
        for name in tables
    }
    indexes = {
        (name, index["name"], *columns)
        for name in tables
        for index in rows(path, f"PRAGMA index_list({name})")
        for columns in [[one["name"] for one in rows(path, f"PRAGMA index_info({index['name']})")]]
    }
    others = rows(path, "SELECT name, sql FROM sqlite_master WHERE type IN ('view', 'trigger')")
    made = {one["name"]: one["sql"] for one in others}
    return {"tables": tables, "keys": keys, "indexes": indexes - SUPERSEDED, **made}


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [*connection.iterdump()]


def contents(path: Path) -> dict[str, list[dict[str, Any]]]:
    there = {row["name"] for row in rows(path, "SELECT name FROM sqlite_master")}
    return {
        name: rows(path, f"SELECT rowid, * FROM {name} ORDER BY rowid")
        for name in TABLES
        if name in there
    }


def check(path: Path) -> None:
    """Keys hold, and indexes hold what they should."""
    assert rows(path, "PRAGMA foreign_key_check") == []
    with closing(sqlite3.connect(path)) as connection:
        for table in FULL_TEXT:
            index = index_of(table)
            connection.execute(f"INSERT INTO {index}({index}, rank) VALUES ('integrity-check', 1)")


def test_the_version_is_that_of_the_last_step() -> None:
    with closing(Store(":memory:")) as store:
        names = [one.name for one in MIGRATIONS.pending(store.db)]
    assert names == [str(number) for number in range(2, VERSION + 1)]


def test_a_file_of_an_earlier_version_becomes_like_a_new_one(earlier: Path, tmp_path: Path) -> None:
    before = contents(earlier)
    upgrade(earlier)
    after = contents(earlier)
    assert {name: after[name] for name in before} == before
    upgrade(tmp_path / "new.db")
    assert shape(earlier) == shape(tmp_path / "new.db")
    assert rows(earlier, "SELECT value FROM _pylon_meta WHERE key = 'schema_version'") == [
        {"value": str(VERSION)}
    ]
    check(earlier)


def test_its_status_is_told_before_it_is_brought_up_to_date(earlier: Path) -> None:
    told = {one.stream: one for one in status_of(earlier, NOW).streams}
    assert told["issue_messages"].rows > 0
    assert (told["projects"].rows, told["projects"].last_run) == (0, None)


def test_its_words_are_found(earlier: Path) -> None:
    upgrade(earlier)
    found = "SELECT rowid FROM issue_messages_fts WHERE issue_messages_fts MATCH 'payers'"
    messages = rows(earlier, f"SELECT message_text FROM issue_messages WHERE rowid IN ({found})")
    assert {message["message_text"] for message in messages} == {"Careful: late payer."}


def test_its_new_fields_are_still_filled_and_told_once(
    earlier: Path, workspace: Workspace, api: Api, clock: Any
) -> None:
    _become(earlier, workspace, clock)
    workspace.add("teams", name="Later")
    api.misbehave("extra-field", "/teams", times=-1, field="sentiment", value="gloomy")
    outcome = sync(earlier, api, clock, "teams", allow_deletes=["teams"])
    assert rows(earlier, "SELECT sentiment FROM teams WHERE name = 'Later'") == [
        {"sentiment": "gloomy"}
    ]
    assert [one.column for one in outcome.drift] == []


def test_syncs_go_on_in_it(earlier: Path, workspace: Workspace, api: Api, clock: Any) -> None:
    _become(earlier, workspace, clock)
    open_desk(workspace)
    clock.sleep(86400)
    allowed = [stream.name for stream in STREAMS if stream.is_walked or stream.name == "issues"]
    outcome = sync(earlier, api, clock, allow_deletes=allowed, reconcile=True)
    assert errors(outcome) == {}
    assert differences(earlier, workspace) == []
    check(earlier)


def test_its_scope_stays_as_wide_as_it_was(
    earlier: Path, workspace: Workspace, api: Api, clock: Any
) -> None:
    """Though its columns are others by now, so that its issues are read again."""
    _become(earlier, workspace, clock)
    sync(earlier, api, clock, "issues", since="2026-07-20T00:00:00Z")
    (row,) = rows(earlier, "SELECT state FROM _pylon_checkpoints WHERE stream = 'issues'")
    assert "since" not in row["state"]
    assert "watermark" in row["state"]


def test_an_upgrade_that_is_cut_short_leaves_the_file_as_it_was(
    earlier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dump(earlier)

    def die(*_: object) -> None:
        raise Death

    with monkeypatch.context() as patched:
        patched.setattr(layout, "_create_full_text", die)
        with pytest.raises(Death):
            upgrade(earlier)
    assert dump(earlier) == before
    upgrade(earlier)
    check(earlier)


def test_views_of_an_earlier_version_are_made_anew(earlier: Path) -> None:
    """Whatever is rebuilt beneath them, and a view that is no longer made goes."""
    upgrade(earlier)
    now = shape(earlier)
    with closing(sqlite3.connect(earlier)) as connection:
        for name in ("tickets", "gone"):
            connection.execute(f"DROP VIEW IF EXISTS {name}")
            sql = f"CREATE VIEW {name} AS {mark_of(name)}\nSELECT i.title, i.no FROM issues AS i"
            connection.execute(sql)
        connection.execute("ALTER TABLE issue_statuses ADD COLUMN no TEXT")
        connection.commit()
    with closing(Store(str(earlier))) as store, store.transactions.one():
        store.db.table("issues").transform(types={"number": str})
    upgrade(earlier)
    assert shape(earlier)["tickets"] == now["tickets"]
    assert "gone" not in shape(earlier)
    assert rows(earlier, "SELECT number FROM tickets")
    check(earlier)


@pytest.mark.parametrize("kind", ["TABLE", "VIEW", "INDEX", "TRIGGER"])
def test_what_bears_the_name_of_a_view_and_is_somebodys_own_stays(path: Path, kind: str) -> None:
    made = {
        "TABLE": "CREATE TABLE Tickets (seat TEXT)",
        "VIEW": "CREATE VIEW Tickets AS SELECT 'A1' AS seat",
        "INDEX": "CREATE INDEX Tickets ON seats (seat)",
        "TRIGGER": "CREATE TRIGGER Tickets AFTER INSERT ON seats BEGIN SELECT 1; END",
    }
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE seats (seat TEXT)")
        connection.execute(made[kind])
        connection.execute(
            f"CREATE VIEW mine AS SELECT 1 /* a copy of {mark_of('conversations')} */"
        )
    for _ in range(2):
        upgrade(path)
        there = {row["name"]: row for row in rows(path, "SELECT * FROM sqlite_master")}
        assert there["Tickets"]["sql"] == made[kind]
        assert "mine" in there
        assert {*VIEWS} - {"tickets"} <= set(there)
        # An index or a trigger is in nobody's way.
        assert ("tickets" in there) == (kind == "TRIGGER")


def test_views_that_are_as_they_should_be_are_left_alone(path: Path) -> None:
    upgrade(path)
    before = rows(path, "PRAGMA schema_version")
    upgrade(path)
    assert rows(path, "PRAGMA schema_version") == before


@pytest.mark.parametrize("name", ["account_id", "number", "is_archived"])
def test_a_new_field_that_a_later_version_knows_keeps_its_values(
    path: Path, name: str, workspace: Workspace, api: Api, clock: Any
) -> None:
    """Its column gets the type and the foreign key that it would have had."""
    table = TABLES["issue_statuses" if name == "is_archived" else "issues"]
    open_desk(workspace)
    clock.sleep(86400)
    sync(path, api, clock)
    expected = contents(path)
    with closing(Store(str(path))) as store, store.transactions.one():
        # As the version before would have it, to which the field was new.
        store.db.table(table.name).transform(types={name: str}, drop_foreign_keys=[name])
        trigger = f"CREATE TRIGGER mine AFTER UPDATE ON {table.name} BEGIN SELECT 1; END"
        store.db.execute(trigger)
        values = (table.name, name, "new", None, NOW, 1)
        store.db.execute("INSERT INTO _pylon_fields VALUES (?, ?, ?, ?, ?, ?)", values)
    upgrade(path)
    assert contents(path) == expected
    upgrade(path.with_name("new.db"))
    here = shape(path)
    assert here.pop("mine")
    assert here == shape(path.with_name("new.db"))
    check(path)


def test_a_column_that_an_earlier_version_did_not_have_is_added(
    path: Path, monkeypatch: pytest.MonkeyPatch, workspace: Workspace, api: Api, clock: Any
) -> None:
    """With its foreign key; and what its table is made of is read again."""
    open_desk(workspace)
    clock.sleep(86400)
    sync(path, api, clock)
    table = TABLES["issues"]
    columns = (Column("shift_id", "Which shift.", refers="teams"), Column("weight", "", "integer"))
    wider = Table(table.name, "", (*table.columns, *columns), table.key, table.source)
    monkeypatch.setitem(schema.TABLES, "issues", wider)  # type: ignore[arg-type]
    upgrade(path)
    there = {row["name"]: row["type"] for row in rows(path, "PRAGMA table_info(issues)")}
    assert (there["shift_id"], there["weight"]) == ("TEXT", "INTEGER")
    keys = {row["from"]: row["table"] for row in rows(path, "PRAGMA foreign_key_list(issues)")}
    assert keys["shift_id"] == "teams"
    assert rows(path, "SELECT 1 FROM sqlite_master WHERE name = 'idx_issues_shift_id'")
    check(path)


def _become(path: Path, workspace: Workspace, clock: Any) -> None:
    """Have the workspace be the one that the file mirrors."""
    (row,) = rows(path, "SELECT value FROM _pylon_meta WHERE key = 'organization_id'")
    workspace.organization["id"] = row["value"]
    # After whatever that holds.
    clock.sleep(30 * DAY)
