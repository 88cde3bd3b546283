"""Records that are gone from Pylon, erased from the file for good."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from mirroring import DAY, errors, rows, sync
from oracle import differences

from pylon_to_sqlite.sandbox.api import Api

LISTS = ["issue_tags", "issue_custom_fields"]


def words(path: Path) -> bytes:
    """All that is on the disk."""
    return b"".join(one.read_bytes() for one in sorted(path.parent.glob(f"{path.name}*")))


def of_issue(path: Path, issue: str) -> int:
    """How many rows tell of an issue."""
    tables = ["issue_messages", "issue_threads", "issue_changes", *LISTS]
    found = rows(path, "SELECT 1 FROM issues WHERE id = ?", [issue])
    for table in tables:
        found += rows(path, f"SELECT 1 FROM {table} WHERE issue_id = ?", [issue])
    return len(found)


def test_a_record_is_erased_after_so_many_days_with_all_that_belongs_to_it(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    issue = desk.issues[3]
    desk.workspace.reply(issue, html="<p>My kumquats wilted.</p>", author=desk.contacts[0])
    clock.sleep(3600)
    sync(path, api, clock)
    desk.workspace.change_issue(issue, state="closed")
    clock.sleep(3600)
    sync(path, api, clock)
    desk.workspace.delete_issue(issue)
    sync(path, api, clock, reconcile=True)
    there = of_issue(path, issue)
    assert there > 8
    clock.sleep(29 * DAY)
    outcome = sync(path, api, clock, erase_deleted=30)
    assert (outcome.erased, of_issue(path, issue)) == (0, there)
    assert b"kumquats" in words(path)
    clock.sleep(2 * DAY)
    outcome = sync(path, api, clock, erase_deleted=30)
    # The issue, its five messages and their thread.
    assert (outcome.erased, outcome.unpurged, of_issue(path, issue)) == (7, "", 0)
    assert b"kumquats" not in words(path)
    assert rows(path, "PRAGMA foreign_key_check") == []
    assert differences(path, desk.workspace) == []


def test_what_is_still_named_keeps_its_key_and_its_mark(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """And no name of theirs comes back with what names them."""
    gone = {"accounts": desk.accounts[1], "contacts": desk.contacts[1]}
    for stream, key in gone.items():
        desk.workspace.remove(stream, key)
    sync(mirror, api, clock)
    clock.sleep(3600)
    outcome = sync(mirror, api, clock, erase_deleted=0)
    assert outcome.erased == 2
    for _ in range(2):
        for stream, key in gone.items():
            (row,) = rows(mirror, f"SELECT * FROM {stream} WHERE id = ?", [key])
            kept = {name for name, value in row.items() if value is not None}
            assert kept == {"id", "deleted_at", "synced_at", "placeholder"}, stream
            assert row["placeholder"] == 1
        assert rows(mirror, "PRAGMA foreign_key_check") == []
        clock.sleep(2 * DAY)
        desk.workspace.change_issue(desk.issues[1], title="Who was it?")
        asked = api.count("GET /(accounts|contacts)/.*")
        outcome = sync(mirror, api, clock, erase_deleted=0)
        assert (errors(outcome), outcome.erased) == ({}, 0)
        assert api.count("GET /(accounts|contacts)/.*") == asked
    assert differences(mirror, desk.workspace) == []


def test_an_erased_record_that_comes_back_is_whole(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    before = desk.workspace.snapshot()
    for issue in desk.issues[:2]:
        desk.workspace.delete_issue(issue)
    desk.workspace.remove("accounts", desk.accounts[1])
    desk.workspace.remove("knowledge_bases", desk.base)
    sync(mirror, api, clock, reconcile=True)
    clock.sleep(DAY)
    assert sync(mirror, api, clock, erase_deleted=0).erased > 10
    clock.sleep(DAY)
    again = Api(before, allowance=None)
    before.clock = clock.now
    assert errors(sync(mirror, again, clock, reconcile=True)) == {}
    assert errors(sync(mirror, again, clock)) == {}
    assert differences(mirror, before) == []


def test_rows_of_ones_own_that_name_a_record_keep_its_key(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    tag = desk.workspace.records("tags")[0]["id"]
    with closing(sqlite3.connect(mirror)) as connection:
        connection.execute("CREATE TABLE mine (tag REFERENCES tags(ID), why TEXT)")
        connection.execute("INSERT INTO mine VALUES (?, 'because')", [tag])
        connection.commit()
    desk.workspace.remove("tags", tag)
    sync(mirror, api, clock)
    assert sync(mirror, api, clock, erase_deleted=0).erased == 1
    (row,) = rows(mirror, "SELECT * FROM tags WHERE id = ?", [tag])
    assert (row["value"], row["deleted_at"] is None) == (None, False)
    assert rows(mirror, "PRAGMA foreign_key_check") == []


def test_only_placeholders_are_told_of_by_what_names_them(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """Somebody whom Pylon never had itself: their address, which an issue told, is erased too."""
    desk.workspace.remove("contacts", desk.contacts[1])
    sync(path, api, clock)
    sync(path, api, clock)
    address = "SELECT email FROM contacts WHERE id = ? AND deleted_at IS NOT NULL"
    assert rows(path, address, [desk.contacts[1]])[0]["email"] is not None
    sync(path, api, clock, erase_deleted=0)
    assert rows(path, address, [desk.contacts[1]]) == [{"email": None}]


@pytest.mark.parametrize("days", ["-1", "x"])
def test_days_are_days(days: str) -> None:
    from click.testing import CliRunner

    from pylon_to_sqlite.cli import cli

    result = CliRunner().invoke(cli, ["sync", "x.db", "--erase-deleted", days])
    assert result.exit_code == 2
