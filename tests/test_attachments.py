"""Addresses without what is secret in them, and the table of files in files of earlier versions."""

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from mirroring import DAY, rows, sync
from test_machine import data
from test_versions import FILES, upgrade

from pylon_to_sqlite.rows import rows_of
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.streams import BY_NAME
from pylon_to_sqlite.unsigned import addresses, file_name, unsigned

S3 = "https://b.s3.amazonaws.com/a/b.png"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (f"{S3}?X-Amz-Signature=s&X-Amz-Expires=1", S3),
        (f"{S3}?Expires=1&Signature=a%2Fb&Key-Pair-Id=K", S3),
        (f"{S3}#x?y", S3),
        (f"  {S3}?sig=1 ", S3),
        (f"{S3}?a=\nb", S3),
        ("HTTPS://me:secret@Files.example/x?y", "https://Files.example/x"),
        ("https://me:p@ss@files.example", "https://files.example"),
        ("//files.example/x?sig=1", "//files.example/x"),
        ("s3://bucket/key?sig=1", "s3://bucket/key"),
        ("https://files.example/@x/y%3Fz?sig", "https://files.example/@x/y%3Fz"),
        ("no address?", "no address?"),
        ("", ""),
    ],
)
def test_an_address_is_kept_without_its_secrets(given: str, kept: str) -> None:
    assert unsigned(given) == kept
    assert unsigned(kept) == kept


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([f"{S3}?sig=1", "x"], json.dumps([S3, "x"])),
        (f"{S3}?sig=1", json.dumps(S3)),
        ([{"url": f"{S3}?sig=1"}], json.dumps([{"url": S3}])),
        ([1, None, True], "[1, null, true]"),
        ([], None),
        (None, None),
    ],
)
def test_whatever_shape_they_come_in(given: Any, kept: str | None) -> None:
    record = {"id": "m", "file_urls": given, "attachment_urls": given}
    assert rows_of(BY_NAME["issue_messages"], record).row["file_urls"] == kept
    assert rows_of(BY_NAME["issues"], record).row["attachment_urls"] == kept


def test_only_addresses_on_the_web_are_files() -> None:
    named = [S3, f"{S3}?again=1", "ftp://x/y", "javascript:1", "http://a/b", 7, None, "https://"]
    assert addresses(json.dumps(named)) == [S3, "http://a/b"]
    for nothing in (None, "", "no JSON", json.dumps(S3), "[" * 10**5):
        assert addresses(nothing) == []


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://h/a/b%20c.png", "b c.png"),
        ("https://h/..%2F..%2Fx.sh", "x.sh"),
        ("https://h/a%5Cb.exe", "b.exe"),
        ("https://h/a%00%0Ab", "a\ufffd\ufffdb"),
        ("https://h/%E2%80%AEgpj.exe", "\ufffdgpj.exe"),
        ("https://h/" + "x" * 5000, "x" * 255),
        ("https://h/%ff", "\ufffd"),
        ("https://h/..", None),
        ("https://h/", None),
        ("https://h", None),
    ],
)
def test_what_a_file_is_called(address: str, name: str | None) -> None:
    assert file_name(address) == name


@pytest.mark.parametrize("version", FILES, ids=lambda path: path.name.partition(".")[0])
def test_a_file_of_an_earlier_version_gets_the_table_and_loses_signatures(
    path: Path, version: Path
) -> None:
    path.write_bytes(gzip.decompress(version.read_bytes()))
    with closing(sqlite3.connect(path)) as theirs:
        signed = json.dumps([f"{S3}?Signature=hunter2", "https://h/ü.png?x"], ensure_ascii=False)
        message, issue = theirs.execute(
            "SELECT id, issue_id FROM issue_messages WHERE is_private = 1 AND deleted_at IS NULL"
        ).fetchone()
        theirs.execute("UPDATE issue_messages SET file_urls = ? WHERE id = ?", [signed, message])
        theirs.execute("UPDATE issues SET attachment_urls = ? WHERE id = ?", [signed, issue])
        theirs.execute("UPDATE issues SET attachment_urls = ? WHERE deleted_at > ''", [signed])
        theirs.commit()
    upgrade(path)
    gone = {row["id"] for row in rows(path, "SELECT id FROM issues WHERE deleted_at > ''")}
    found = rows(path, "SELECT * FROM attachments")
    assert {
        (one["issue_id"], one["message_id"], one["address"], one["file_name"], one["is_private"])
        for one in found
        if one["deleted_at"] is None
    } == {
        (issue, message, S3, "b.png", 1),
        (issue, message, "https://h/ü.png", "ü.png", 1),
    }
    assert {one["issue_id"] for one in found if one["deleted_at"]} == gone
    kept = json.dumps([S3, "https://h/ü.png"], ensure_ascii=False)
    sql = f"SELECT file_urls FROM issue_messages WHERE id = '{message}'"
    assert rows(path, sql) == [{"file_urls": kept}]
    with closing(Store(str(path))) as store:
        assert store.is_unpurged()
        assert store.purge("2026-11-26T00:00:00Z") == ""
    for one in path.parent.glob(f"{path.name}*"):
        assert b"hunter2" not in one.read_bytes()


def test_erased_with_what_they_belong_to(path: Path, desk: Desk, api: Api, clock: Any) -> None:
    form = desk.workspace.add_file("form.pdf", b"%PDF")
    desk.workspace.change_issue(desk.issues[1], attachment_urls=[form])
    clock.sleep(DAY)
    sync(path, api, clock)
    assert len(rows(path, "SELECT * FROM attachments")) == 4 * 5 + 1
    note = desk.workspace.messages(desk.issues[0])[2]["id"]
    desk.workspace.delete_message(note)
    desk.workspace.delete_issue(desk.issues[1])
    clock.sleep(DAY)
    sync(path, api, clock, reconcile=True)
    marked = "SELECT * FROM attachments WHERE deleted_at IS NOT NULL"
    assert len(rows(path, marked)) == 2 + 5 + 1
    clock.sleep(1)
    sync(path, api, clock, erase_deleted=0)
    assert rows(path, marked) == []
    assert len(rows(path, "SELECT * FROM attachments")) == 3 * 5 - 2
    assert rows(path, "PRAGMA foreign_key_check") == []
    for one in path.parent.glob(f"{path.name}*"):
        assert b"ledger 1" not in one.read_bytes()
        assert b"ledger%200" not in one.read_bytes()
    before = data(path)
    clock.sleep(DAY)
    sync(path, api, clock, full=True)
    assert data(path) == before


def test_files_go_with_their_messages_where_issues_are_merged(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    into, other = desk.issues[:2]
    moved = {one["id"] for one in desk.workspace.messages(other)}
    desk.workspace.merge_issues(into, other)
    clock.sleep(3600)
    sync(mirror, api, clock)
    # Though nobody knows yet that the other is gone.
    assert rows(mirror, "SELECT deleted_at FROM issues WHERE id = ?", [other])[0] == {
        "deleted_at": None
    }
    found = rows(mirror, "SELECT * FROM attachments WHERE message_id IS NOT NULL")
    assert {one["issue_id"] for one in found if one["message_id"] in moved} == {into}
    clock.sleep(DAY)
    sync(mirror, api, clock, reconcile=True)
    found = rows(mirror, "SELECT * FROM attachments WHERE message_id IS NOT NULL")
    assert {one["issue_id"] for one in found if one["message_id"] in moved} == {into}
    assert {one["deleted_at"] for one in found} == {None}


def test_recordings_of_phone_calls_have_no_signatures_either(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    address = desk.workspace.add_file("call.mp3", b"ID3")
    desk.workspace.add_voice_call(desk.issues[2], recordings=[{"id": "r", "download_url": address}])
    clock.sleep(DAY)
    sync(path, api, clock, "issue_voice_calls")
    found = rows(path, "SELECT * FROM issue_voice_call_recordings")
    assert [row["download_url"] for row in found] == [address]
    before = data(path)
    clock.sleep(DAY)
    sync(path, api, clock, "issue_voice_calls", full=True)
    assert data(path) == before
    assert b"K2SANDBOX" not in path.read_bytes()


def test_files_go_with_the_issues_that_are_no_longer_wanted(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    clock.sleep(DAY)
    sync(mirror, api, clock, issue_type="ticket")
    types = {one["id"]: one["type"].lower() for one in desk.workspace.records("issues")}
    found = rows(mirror, "SELECT issue_id, deleted_at FROM attachments")
    assert {(types[one["issue_id"]], one["deleted_at"] is None) for one in found} == {
        ("ticket", True),
        ("conversation", False),
    }
