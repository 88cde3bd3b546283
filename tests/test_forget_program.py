"""The forget command: what it shows and asks, how it ends, and that it can be stopped anywhere."""

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from desk import Desk
from fetching import contents, fetch
from forgetful import NOW, Less, forget_it, found_in
from mirroring import ALL, DAY, errors, rows, sync
from oracle import differences
from test_end_to_end import COMMAND, environment
from test_machine import data

from pylon_to_sqlite import file
from pylon_to_sqlite.backup import back_up
from pylon_to_sqlite.cli import cli
from pylon_to_sqlite.doctor import diagnose
from pylon_to_sqlite.errors import Unusable
from pylon_to_sqlite.folder import Folder
from pylon_to_sqlite.forgetting import forget, undo
from pylon_to_sqlite.sandbox.api import Api

YUSUF = b"yusuf"

Run = Callable[..., Result]


@pytest.fixture
def filled(path: Path, api: Api, desk: Desk, clock: Any) -> Path:
    fetch(path, api, clock, **ALL)
    return path


@pytest.fixture
def run(path: Path) -> Run:
    """The command, where nobody is at a terminal; it never ends with a traceback."""

    def invoke(*options: str) -> Result:
        result = CliRunner().invoke(cli, ["forget", str(path), *options])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return invoke


def address(path: Path, contact: str) -> str:
    (row,) = rows(path, "SELECT email FROM contacts WHERE id = ?", [contact])
    return str(row["email"])


def without(desk: Desk, address: str) -> Less:
    return Less(desk.workspace, {}, {address})


def test_nothing_is_done_unasked(filled: Path, desk: Desk, run: Run) -> None:
    before = filled.read_bytes()
    email = address(filled, desk.contacts[1])
    result = run("contact", email)
    assert (result.exit_code, "nobody is here to be asked" in result.output) == (2, True)
    assert filled.read_bytes() == before


def test_it_tells_what_it_would_do(filled: Path, desk: Desk, run: Run) -> None:
    before, files = data(filled), contents(filled)
    email = address(filled, desk.contacts[1])
    result = run("contact", email, "--dry-run")
    assert result.exit_code == 0
    assert result.output.startswith(f"To be forgotten: contact {desk.contacts[1]} (Yusuf)\ntable ")
    assert "\nissue_messages  " in result.output
    assert "files of theirs stay on the disk unless you name the directory" in result.output
    assert result.output.endswith("keep what they have.\nNothing was erased.\n")
    assert (data(filled), contents(filled)) == (before, files)
    assert rows(filled, "SELECT * FROM _pylon_forgotten") == []


def at_a_terminal(path: Path, answer: str, *arguments: str) -> tuple[int, str]:
    """The program, asked and answered at a terminal; its exit status and what it printed."""
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    done = subprocess.run(
        [*COMMAND, "forget", str(path), *arguments],
        stdin=theirs,
        capture_output=True,
        text=True,
        env=environment("", path.parent),
        timeout=60,
    )
    os.close(ours)
    os.close(theirs)
    return done.returncode, done.stdout


def test_it_does_what_it_is_told_to(filled: Path, desk: Desk) -> None:
    before = data(filled)
    status, output = at_a_terminal(filled, "n\n", "contact", desk.contacts[1])
    assert (status, output.endswith("Nothing was erased.\n")) == (0, True)
    # Ctrl-D.
    status, output = at_a_terminal(filled, "\x04", "contact", desk.contacts[1])
    assert (status, data(filled) == before) == (5, True)
    files = str(filled.parent / "files")
    status, output = at_a_terminal(filled, "y\n", "contact", desk.contacts[1], "--files", files)
    assert "Erase this for good, and keep it out of later syncs? [y/N]" in output
    assert status == 0
    assert found_in(filled, [YUSUF]) == []


def test_it_is_shown_who_is_kept_out(
    filled: Path, desk: Desk, run: Run, api: Api, clock: Any
) -> None:
    email = address(filled, desk.contacts[1])
    assert run("--list").output == "Nobody is kept out.\n"
    files = ("--files", str(filled.parent / "files"))
    assert run("contact", email, "--yes", *files).exit_code == 0
    assert run("issue", desk.issues[0], "--yes", *files).exit_code == 0
    told = {one["key"]: one for one in json.loads(run("--list", "--json").output)}
    assert {key: one["kind"] for key, one in told.items()} == {
        desk.contacts[1]: "contacts",
        desk.issues[0]: "issues",
    }
    assert told[desk.contacts[1]]["others"] > 5
    assert {desk.contacts[1], desk.issues[0]} <= {*run("--list").output.split()}
    status = CliRunner().invoke(cli, ["status", str(filled)]).output
    assert f"Forgotten and kept out: 2 (forget {filled} --list shows them)." in status
    again = run("contact", email, "--yes", *files)
    assert again.output == "It was forgotten before, and nothing of it is here.\n"
    # Nothing of them is in the memory either.
    assert found_in(filled, [YUSUF, email.encode()]) == []


def test_files_whose_directory_is_not_named_are_told(
    filled: Path, desk: Desk, run: Run, api: Api, clock: Any
) -> None:
    before = contents(filled)
    result = run("contact", desk.contacts[1], "--yes")
    assert (result.exit_code, contents(filled)) == (1, before)
    assert "files of theirs are left where sync --download-attachments keeps them" in result.output
    result = run("contact", desk.contacts[1], "--yes", "--files", str(filled.parent / "files"))
    left = {row["path"] for row in rows(filled, "SELECT path FROM attachments")} - {None}
    assert (result.exit_code, {*contents(filled)}) == (0, left)
    assert len(left) < len(before)


def test_a_directory_of_somebody_elses_is_left_alone(filled: Path, desk: Desk, run: Run) -> None:
    other = filled.parent / "other"
    other.mkdir()
    (other / "ab").mkdir()
    stays = other / "ab" / f"ab{'0' * 62}.txt"
    stays.write_text("x")
    for directory in (other, filled.parent / "nowhere"):
        result = run("contact", desk.contacts[1], "--yes", "--files", str(directory))
        assert (result.exit_code, "no directory that this mirror's" in result.output) == (2, True)
    assert stays.exists()
    assert address(filled, desk.contacts[1])


GUESSES = [
    (("contact", "nobody"), "no contact in the file is 'nobody'"),
    (("contact", "no address@"), "is no address of an email"),
    (("contact", "USER"), "is an address of a user"),
    (("account", "Twins"), "2 accounts have that name"),
    (("issue", "99999"), "no issue in the file is '99999'"),
    (("contact", "x", "--undo"), "no contact 'x' is forgotten"),
    (("issue",), "say whom"),
    (("contact", "x", "--json"), "--json goes with --list"),
    (("contact", "x", "--list"), "--list takes nothing"),
    (("user", "x"), "is not one of"),
]


def test_nobody_is_guessed(path: Path, desk: Desk, api: Api, clock: Any, run: Run) -> None:
    for _ in range(2):
        desk.workspace.add("accounts", name="Twins")
    sync(path, api, clock, "accounts", "contacts", "users", "issues")
    (user,) = rows(path, "SELECT email FROM users LIMIT 1")
    before = data(path)
    for arguments, sentence in GUESSES:
        result = run(*(user["email"] if one == "USER" else one for one in arguments), "--yes")
        assert (result.exit_code, sentence in result.output) == (2, True), result.output
        assert data(path) == before


def test_no_file_is_made(path: Path, run: Run) -> None:
    assert run("contact", "x", "--yes").exit_code == 2
    path.write_bytes(b"")
    assert "holds no mirror" in run("contact", "x", "--yes").output
    assert path.read_bytes() == b""


def test_it_waits_for_no_sync(filled: Path, desk: Desk, run: Run) -> None:
    with file.held(filled):
        assert run("contact", desk.contacts[1], "--yes").exit_code == 4
    assert address(filled, desk.contacts[1])


def test_while_another_program_reads_it_is_said_and_done_later(
    filled: Path, desk: Desk, api: Api, clock: Any, run: Run
) -> None:
    files = ("--files", str(filled.parent / "files"))
    with closing(sqlite3.connect(filled)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM issues").fetchone()
        result = run("contact", desk.contacts[1], "--yes", *files)
    assert (result.exit_code, "another program reads it" in result.output) == (1, True)
    assert rows(filled, "SELECT 1 FROM contacts WHERE id = ?", [desk.contacts[1]]) == []
    assert sync(filled, api, clock, **ALL).unpurged == ""
    assert found_in(filled, [YUSUF]) == []


DYING = """
import os, signal, sys
from pathlib import Path
from pylon_to_sqlite.folder import Folder
from pylon_to_sqlite.forgetting import forget
path, who, step, now = sys.argv[1:]
die = lambda at: os.kill(os.getpid(), signal.SIGKILL) if at == step else None
forget(Path(path), "contact", who, now, lambda plan: True, Folder(Path(path).parent / "files"), die)
"""


@pytest.mark.parametrize("step", ["swept", "committed"])
def test_killed_anywhere_it_has_done_nothing_or_all(
    filled: Path, desk: Desk, api: Api, clock: Any, step: str
) -> None:
    before, files = data(filled), contents(filled)
    them = desk.contacts[1]
    email = address(filled, them)
    died = subprocess.run([sys.executable, "-c", DYING, filled, them, step, NOW], timeout=60)
    assert died.returncode == -signal.SIGKILL
    if step == "swept":
        assert data(filled) == before
        outcome = fetch(filled, api, clock, **ALL)
        assert (errors(outcome), contents(filled)) == ({}, files)
        assert differences(filled, desk.workspace) == []
        return
    assert rows(filled, "SELECT 1 FROM contacts WHERE id = ?", [them]) == []
    assert sync(filled, api, clock, **ALL).unpurged == ""
    assert found_in(filled, [YUSUF, email.encode()]) == []
    assert differences(filled, desk.workspace, without(desk, email)) == []


@pytest.mark.parametrize("by", ["address", "id"])
def test_it_can_be_taken_back(
    filled: Path, desk: Desk, api: Api, clock: Any, run: Run, by: str
) -> None:
    email = address(filled, desk.contacts[1])
    who = email if by == "address" else desk.contacts[1]
    forget_it(filled, "contact", email)
    forget_it(filled, "account", desk.accounts[1])
    sync(filled, api, clock, **ALL)
    assert "is kept out no longer" in run("account", desk.accounts[1], "--undo").output
    assert "is kept out no longer" in run("contact", who, "--undo").output
    assert rows(filled, "SELECT * FROM _pylon_forgotten") == []
    clock.sleep(DAY)
    assert errors(sync(filled, api, clock, **ALL)) == {}
    assert differences(filled, desk.workspace) == []


def test_what_was_forgotten_for_two_reasons_needs_both_taken_back(
    filled: Path, desk: Desk, api: Api, clock: Any
) -> None:
    email = address(filled, desk.contacts[1])
    forget_it(filled, "account", desk.accounts[1])
    kept = rows(filled, "SELECT * FROM _pylon_forgotten")
    for who in (desk.contacts[1], email):
        with pytest.raises(Unusable, match=f"it was forgotten with {desk.accounts[1]}"):
            undo(filled, "contact", who, NOW)
    assert rows(filled, "SELECT * FROM _pylon_forgotten") == kept
    forget_it(filled, "contact", desk.contacts[1])
    undo(filled, "account", desk.accounts[1], NOW)
    sync(filled, api, clock, **ALL)
    assert differences(filled, desk.workspace, without(desk, email)) == []


@pytest.mark.parametrize("by", ["address", "id"])
def test_who_stays_out_with_another_is_told(
    filled: Path, desk: Desk, api: Api, clock: Any, run: Run, by: str
) -> None:
    email = address(filled, desk.contacts[1])
    who = email if by == "address" else desk.contacts[1]
    forget_it(filled, "contact", who)
    forget_it(filled, "account", desk.accounts[1])
    said = run("contact", who, "--undo").output
    assert "What belongs to 1 other stays out, also if it is that" in said
    assert errors(sync(filled, api, clock, **ALL)) == {}
    assert rows(filled, "SELECT 1 FROM contacts WHERE id = ?", [desk.contacts[1]]) == []
    said = run("account", desk.accounts[1], "--undo").output
    assert "is kept out no longer" in said
    assert "stays out" not in said
    assert errors(sync(filled, api, clock, **ALL)) == {}
    assert differences(filled, desk.workspace) == []


def test_names_in_the_words_of_others_are_told_and_stay(
    path: Path, desk: Desk, api: Api, clock: Any, run: Run
) -> None:
    desk.workspace.change("contacts", desk.contacts[1], name="Yu'suf\x1b[31m")
    desk.workspace.reply(desk.issues[0], html="<p>Is yu'suf\x1b[31m in?</p>", author=desk.agents[0])
    clock.sleep(DAY)
    sync(path, api, clock)
    result = run("contact", desk.contacts[1], "--yes")
    assert "stays in issue_messages.message_text, 1 times. To look at them:" in result.output
    assert "\x1b" not in result.output
    assert "lower('Yu''suf" in result.output


def test_the_query_that_is_told_finds_them(
    path: Path, desk: Desk, api: Api, clock: Any, run: Run
) -> None:
    desk.workspace.change("contacts", desk.contacts[1], name="Yu'suf")
    desk.workspace.change_issue(desk.issues[0], title="For Yu'suf, % and _")
    clock.sleep(DAY)
    sync(path, api, clock)
    output = run("contact", desk.contacts[1], "--yes").output
    (query,) = [line for line in output.splitlines() if line.startswith("  SELECT")]
    assert [row["id"] for row in rows(path, query)] == [desk.issues[0]]


def test_rows_of_ones_own_keep_the_id_alone(
    filled: Path, desk: Desk, api: Api, clock: Any, run: Run
) -> None:
    with closing(sqlite3.connect(filled)) as connection:
        connection.execute("CREATE TABLE mine (who REFERENCES contacts(id), why TEXT)")
        connection.execute("INSERT INTO mine VALUES (?, 'because')", [desk.contacts[1]])
        connection.commit()
    result = run("contact", desk.contacts[1], "--yes")
    assert "Tables that are not this tool's are not looked into: mine." in result.output
    for _ in range(2):
        (row,) = rows(filled, "SELECT * FROM contacts WHERE id = ?", [desk.contacts[1]])
        kept = {name for name, value in row.items() if value is not None}
        assert kept == {"id", "deleted_at", "synced_at", "placeholder"}
        assert rows(filled, "PRAGMA foreign_key_check") == []
        clock.sleep(DAY)
        assert errors(sync(filled, api, clock, **ALL, reconcile=True)) == {}


def test_the_doctor_and_a_copy_know_of_it(filled: Path, desk: Desk, api: Api, clock: Any) -> None:
    email = address(filled, desk.contacts[1])
    forget_it(filled, "contact", email, folder=Folder(filled.parent / "files"))
    for issue in desk.issues:
        forget_it(filled, "issue", issue, folder=Folder(filled.parent / "files"))
    found = diagnose(filled, lambda: None, NOW)
    assert [one for one in found if one.state == "wrong"] == []
    copy = filled.parent / "copies" / "copy.db"
    copy.parent.mkdir()
    back_up(filled, copy)
    assert sync(copy, api, clock, **ALL).counts.new == 0
    assert found_in(copy, [YUSUF, email.encode()]) == []


def test_who_does_not_agree_changes_nothing(filled: Path, desk: Desk) -> None:
    before = data(filled)
    assert forget(filled, "contact", desk.contacts[1], NOW, lambda plan: False) is None
    assert data(filled) == before
    assert rows(filled, "SELECT * FROM _pylon_forgotten") == []
