"""The doctor: what is wrong is told in a line, nothing is written, and --mend mends it."""

import gzip
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from conftest import FakeClock
from desk import Desk
from mirroring import ALL, DAY, TOKEN, rows, sync
from oracle import differences
from test_sync import change_everything

from pylon_to_sqlite import file
from pylon_to_sqlite.cli import cli
from pylon_to_sqlite.client import Client
from pylon_to_sqlite.doctor import diagnose
from pylon_to_sqlite.errors import Busy, Unusable
from pylon_to_sqlite.examine import FINE, Finding
from pylon_to_sqlite.full_text import created
from pylon_to_sqlite.limits import Clock
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import SandboxTransport
from pylon_to_sqlite.schema import VERSION

NOW = "2026-07-03T00:00:00Z"
UPDATE_TRIGGER = created("issues")["issues_fts_update"]
FILES = sorted(Path(__file__).with_name("files").glob("version-*.db.gz"))

Doctor = Callable[..., Result]


@pytest.fixture
def filled(path: Path, api: Api, desk: Desk, clock: Any) -> Path:
    sync(path, api, clock, **ALL)
    return path


@pytest.fixture
def doctor(path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Run the command without a token; it never ends with a traceback."""
    monkeypatch.chdir(path.parent)
    monkeypatch.delenv("PYLON_API_TOKEN", raising=False)

    def invoke(*options: str) -> Result:
        result = CliRunner().invoke(cli, ["doctor", str(path), *options])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return invoke


def content(path: Path) -> dict[str, bytes]:
    """The file and what lies beside it."""
    return {one.name: one.read_bytes() for one in path.parent.iterdir() if one.is_file()}


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for sql in statements:
            connection.execute(sql)
        connection.commit()


def checks(result: Result, state: str) -> set[str]:
    found = [line.split(maxsplit=2) for line in result.stdout.splitlines()]
    return {line[1] for line in found if line[0] == state}


def test_a_healthy_mirror(filled: Path, doctor: Doctor) -> None:
    before = content(filled)
    result = doctor()
    assert (result.exit_code, checks(result, "WRONG")) == (0, set())
    assert checks(result, "ok") == {*FINE, "mode", "lock", "wal", "space"}
    assert checks(result, "skipped") == {"token", "clock"}
    assert doctor("--mend").exit_code == 0
    assert content(filled) == before


def test_a_life_with_changes_deletions_and_erasures_has_no_findings(
    filled: Path, api: Api, desk: Desk, clock: FakeClock
) -> None:
    """An alarm that is false teaches to overlook those that are not."""

    def wrong() -> list[Finding]:
        found = diagnose(filled, lambda: None, NOW)
        return [one for one in found if one.state == "wrong"]

    change_everything(desk, clock)
    sync(filled, api, clock, issue_type="ticket", **ALL)
    assert wrong() == []
    for issue in desk.issues:
        desk.workspace.delete_issue(issue)
    sync(filled, api, clock, reconcile=True, allow_deletes=["issues"], issue_type="all", **ALL)
    assert wrong() == []
    sync(filled, api, clock, erase_deleted=0, **ALL)
    assert (rows(filled, "SELECT * FROM issues WHERE placeholder = 0"), wrong()) == ([], [])


def test_nothing_is_written_while_others_have_it_open(filled: Path, doctor: Doctor) -> None:
    """Not even what waits in the -wal goes into the file, which SQLite does for who closes last."""
    with closing(sqlite3.connect(filled)) as other:
        other.execute("UPDATE issues SET title = 'Waits in the -wal'")
        other.commit()
        main, wal = filled.read_bytes(), Path(f"{filled}-wal").read_bytes()
        assert wal
        assert doctor().exit_code == 0
        assert (filled.read_bytes(), Path(f"{filled}-wal").read_bytes()) == (main, wal)


BROKEN: dict[str, tuple[set[str], list[str]]] = {
    "parts": (
        {"checkpoints", "full_text", "layout", "marks", "unpurged"},
        [
            "DROP TRIGGER issue_messages_fts_update",
            "DROP INDEX idx_issues_number",
            "ALTER TABLE teams DROP COLUMN synced_at",
            "INSERT INTO _pylon_checkpoints VALUES ('pigs', '', '{}', '')",
            "INSERT INTO _pylon_children VALUES ('issue_messages', 'nobody', NULL, '', NULL)",
            "INSERT INTO _pylon_unlisted VALUES ('contacts', 'nobody', '')",
            "INSERT INTO _pylon_unpurged VALUES ('erased')",
        ],
    ),
    "words": ({"full_text"}, ["INSERT INTO issues_fts(issues_fts) VALUES ('delete-all')"]),
    "renumbered": (
        {"full_text"},
        [
            "UPDATE issues SET rowid = rowid + 1000",
            "INSERT INTO issues_fts(issues_fts) VALUES ('rebuild')",
            "DROP TRIGGER issues_fts_update",
            "UPDATE issues SET rowid = rowid - 1000",
            UPDATE_TRIGGER,
        ],
    ),
    "tables": (
        {"layout", "foreign_keys", "marks"},
        ["DROP TABLE issue_changes", "DELETE FROM issue_threads"],
    ),
    "orphans": (
        {"foreign_keys", "marks"},
        ["DELETE FROM issues WHERE number = 2", "DELETE FROM contacts WHERE name = 'Yusuf'"],
    ),
    "checkpoints": (
        {"checkpoints"},
        [
            f"UPDATE _pylon_checkpoints SET state = '{state}' WHERE stream = '{stream}'"
            for stream, state in {
                "issues": '{"watermark": "2999-01-01T00:00:00Z"}',
                "tasks": '{"watermark": 7}',
                "projects": "[]",
                "survey_responses": "{not json",
                "reconcile": '{"began": ""}',
            }.items()
        ],
    ),
    "odd checkpoints": (
        {"checkpoints"},
        [
            f"UPDATE _pylon_checkpoints SET state = '{state}' WHERE stream = '{stream}'"
            for stream, state in {
                "issues": '{"watermark": "2026-01-01T00:00:00Z", "span": -5}',
                "tasks": '{"window": [null, null]}',
                "projects": '{"watermark": "0001-01-01T00:00:00Z"}',
                "survey_responses": "[" * 100_000,
                "reconcile": '{"span": true}',
            }.items()
        ],
    ),
    "messages": (
        {"foreign_keys", "unpurged"},
        ["DELETE FROM issue_messages WHERE file_urls IS NOT NULL"],
    ),
    "a whole table": (
        {"foreign_keys", "full_text", "layout", "marks"},
        ["DROP TABLE issue_messages"],
    ),
    "text": (
        {"text"},
        [
            "UPDATE issues SET source = CAST(x'ff41' AS TEXT) WHERE number = 2",
            "UPDATE issue_messages SET source = x'41'",
            "UPDATE _pylon_children SET read_at = CAST(x'ff' AS TEXT)",
        ],
    ),
    "an index that cannot be opened": (
        {"full_text"},
        ["DELETE FROM issues_fts_data", "DELETE FROM issue_messages_fts_config"],
    ),
    "an index without its parts": (
        {"full_text"},
        [
            "DELETE FROM issues_fts_data",
            *(f"DROP TRIGGER issues_fts_{one}" for one in ("insert", "update", "delete")),
            "DROP VIEW _pylon_live_issues",
            "DROP TABLE contacts_fts_docsize",
        ],
    ),
    "several things at once": (
        {"full_text", "text", "layout"},
        [
            "DROP INDEX idx_issues_number",
            "DROP TRIGGER contacts_fts_insert",
            "UPDATE issue_messages SET source = x'41'",
            "DELETE FROM issue_messages_fts_config",
        ],
    ),
    "emptied": (
        {"checkpoints", "foreign_keys", "marks", "unpurged"},
        ["DELETE FROM issues", "DELETE FROM issue_messages", "DELETE FROM call_recordings"],
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_wrong_is_told_mended_and_read_again(
    filled: Path, doctor: Doctor, api: Api, desk: Desk, clock: FakeClock, kind: str
) -> None:
    wrong, statements = BROKEN[kind]
    change(filled, *statements)
    before = content(filled)
    told = doctor()
    assert (told.exit_code, checks(told, "WRONG")) == (1, wrong)
    assert content(filled) == before
    mended = doctor("--mend")
    assert (mended.exit_code, checks(mended, "WRONG")) == (0, set())
    assert checks(mended, "mended") == wrong
    assert doctor().exit_code == 0
    clock.sleep(DAY)
    sync(filled, api, clock, reconcile=True, **ALL)
    assert differences(filled, desk.workspace) == []
    assert doctor().exit_code == 0


def test_records_stay_when_what_they_name_is_gone(filled: Path, doctor: Doctor) -> None:
    """A placeholder stands in; only lists inside a record that is not here go."""
    (issue,) = rows(filled, "SELECT id FROM issues WHERE number = 2")
    change(filled, "DELETE FROM issues WHERE number = 2")
    messages = rows(filled, "SELECT * FROM issue_messages")
    assert doctor("--mend").exit_code == 0
    assert rows(filled, "SELECT * FROM issue_messages") == messages
    stand_in = rows(filled, "SELECT placeholder, title FROM issues WHERE id = ?", [issue["id"]])
    assert stand_in == [{"placeholder": 1, "title": None}]
    assert rows(filled, "SELECT * FROM issue_tags WHERE issue_id = ?", [issue["id"]]) == []


def test_tables_of_the_users_own_are_told_and_left_alone(filled: Path, doctor: Doctor) -> None:
    """And keep nothing of ours from being looked at and mended."""
    change(
        filled,
        "CREATE TABLE other (x, y, PRIMARY KEY (x, y))",
        "CREATE TABLE two (a, b, FOREIGN KEY (a, b) REFERENCES other (x, y))",
        "CREATE TABLE one (a REFERENCES other (y))",
        "INSERT INTO two VALUES (1, 2)",
        "INSERT INTO one VALUES (1)",
        "DELETE FROM issues WHERE number = 2",
    )
    told = doctor("--mend").stdout.splitlines()
    assert [line.partition(". What to do: ")[::2] for line in told if line.startswith("WRONG")] == [
        (f"WRONG    foreign_keys  {what}", "the table is not this tool's: mend it yourself")
        for what in (
            'of one: foreign key mismatch - "one" referencing "other"',
            "1 rows of two name a row of other that is not there",
        )
    ]
    assert rows(filled, "SELECT * FROM two") == [{"a": 1, "b": 2}]
    ours = {row["table"] for row in rows(filled, "PRAGMA foreign_key_check(issue_messages)")}
    assert ours == set()


@pytest.mark.parametrize("value", ["{bad", "[]", '{"off": 7}', '{"off": [7]}', None])
def test_what_was_wished_for_is_not_guessed(
    filled: Path, doctor: Doctor, api: Api, clock: FakeClock, value: str | None
) -> None:
    """It may have been to leave something out: no sync begins, and nothing mends it."""
    with closing(sqlite3.connect(filled)) as connection, connection:
        connection.execute("UPDATE _pylon_meta SET value = ? WHERE key = 'choice'", [value])
    assert checks(doctor("--mend"), "WRONG") == {"choice"}
    with pytest.raises(Unusable, match="of choice is garbled: pylon-to-sqlite doctor"):
        sync(filled, api, clock)
    assert CliRunner().invoke(cli, ["status", str(filled)]).exit_code == 2


def test_words_that_no_check_can_doubt_are_read_again_with_full(
    filled: Path, doctor: Doctor, api: Api, desk: Desk, clock: FakeClock
) -> None:
    change(filled, "UPDATE issue_messages SET message_html = 'z', message_text = 'z'")
    doctor("--mend")
    clock.sleep(DAY)
    sync(filled, api, clock, full=True, **ALL)
    assert differences(filled, desk.workspace) == []


@pytest.mark.parametrize("at", [4096, 40_000])
def test_torn_pages_are_told_and_left_alone(filled: Path, doctor: Doctor, at: int) -> None:
    with filled.open("r+b") as opened:
        opened.seek(at)
        opened.write(b"x" * 4096)
    before = content(filled)
    for options in ([], ["--mend"]):
        result = doctor(*options)
        assert (result.exit_code, content(filled) == before) == (1, True)
        assert "restore a backup, or move the file and its -wal aside" in result.stdout
        assert checks(result, "WRONG") <= {"integrity", "mirror"}


@pytest.mark.parametrize("given", ["cut", "notes", "newer"])
def test_what_is_no_usable_mirror_is_a_finding(filled: Path, doctor: Doctor, given: str) -> None:
    if given == "cut":
        filled.write_bytes(filled.read_bytes()[:100_000])
    elif given == "notes":
        filled.write_text("Milk, eggs, and all of the other things.")
    else:
        change(filled, "UPDATE _pylon_meta SET value = '99' WHERE key = 'schema_version'")
    before = content(filled)
    result = doctor("--mend")
    assert (result.exit_code, checks(result, "WRONG")) == (1, {"mirror"})
    assert content(filled) == before


def test_what_is_no_file_is_a_usage_error(path: Path, doctor: Doctor) -> None:
    assert doctor().exit_code == 2
    path.touch()
    assert (doctor().exit_code, os.listdir(path.parent)) == (2, [path.name])
    change(path, "CREATE TABLE recipes (name)")
    assert (doctor().exit_code, os.listdir(path.parent)) == (2, [path.name])


@pytest.mark.parametrize("earlier", FILES, ids=lambda one: one.name.partition(".")[0])
def test_a_file_of_an_earlier_version_is_told_and_brought_up_to_date(
    path: Path, doctor: Doctor, earlier: Path
) -> None:
    path.write_bytes(gzip.decompress(earlier.read_bytes()))
    path.chmod(0o600)
    result = doctor()
    assert (result.exit_code, checks(result, "WRONG")) == (1, {"schema"})
    assert doctor("--mend").exit_code == 0
    assert rows(path, "SELECT value FROM _pylon_meta WHERE key = 'schema_version'") == [
        {"value": str(VERSION)}
    ]


def test_a_file_that_others_can_read(filled: Path, doctor: Doctor) -> None:
    filled.chmod(0o644)
    result = doctor("--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["ok"]) == (1, False)
    assert [one for one in found["checks"] if one["state"] == "wrong"] == [
        {
            "check": "mode",
            "state": "wrong",
            "message": f"others can read customers' words: {filled} has mode 0644",
            "remedy": f"chmod 600 {filled}, or --mend",
            "can_mend": True,
        }
    ]
    assert doctor("--mend").exit_code == 0
    assert filled.stat().st_mode & 0o777 == 0o600


def test_a_sync_at_work_is_not_disturbed(filled: Path, doctor: Doctor) -> None:
    """What would make it wait is left out, and nothing is mended beside it."""
    with file.held(filled):
        result = doctor()
        assert (result.exit_code, "full_text" in checks(result, "skipped")) == (0, True)
        assert "a sync is at work on it now" in result.stdout
        busy = doctor("--mend")
    assert (busy.exit_code, busy.stdout) == (4, "")
    with pytest.raises(Busy), file.held(filled):
        diagnose(filled, lambda: None, NOW, mend=True)


def asked(path: Path, api: Api, token: str, now: float) -> dict[str, Finding]:
    """What is found with a token, on a machine on whose clock it is `now`."""
    client = Client(token, "http://localhost", SandboxTransport(api), Clock(lambda: now))
    found = diagnose(path, lambda: client, NOW)
    return {one.check: one for one in found if one.check in ("token", "clock")}


def test_token_and_clock(filled: Path, workspace: Any, clock: FakeClock) -> None:
    api = Api(workspace, token=TOKEN, allowance=None)
    found = asked(filled, api, TOKEN, clock.now() + 5)
    assert {one.state for one in found.values()} == {"ok"}
    assert found["token"].message == "it is one of Northwind Support, at http://localhost"
    found = asked(filled, api, TOKEN, clock.now() - 3600)
    assert (found["token"].state, found["clock"].state) == ("ok", "wrong")
    assert found["clock"].message.startswith("this machine's is 3,600 s behind Pylon's")
    found = asked(filled, api, "pylon_api_wrong", clock.now())
    assert found["token"].state == "wrong"
    assert "pylon_api_wrong" not in found["token"].message
    workspace.organization["id"] = "another"
    found = asked(filled, api, TOKEN, clock.now())
    assert (found["token"].state, found["token"].remedy) == (
        "wrong",
        "use that organisation's token",
    )
