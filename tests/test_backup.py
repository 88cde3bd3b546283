"""A copy of a mirror is whole, of one moment, free of deleted words, and a mirror itself."""

import gzip
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from desk import Desk
from mirroring import ALL, rows, sync
from oracle import differences

from pylon_to_sqlite.backup import back_up
from pylon_to_sqlite.cli import cli
from pylon_to_sqlite.errors import Busy
from pylon_to_sqlite.file import held
from pylon_to_sqlite.full_text import index_of, is_true
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import SandboxTransport
from pylon_to_sqlite.schema import FULL_TEXT

Copy = Callable[..., Result]


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "copies" / "pylon.db"


@pytest.fixture
def copy(path: Path, to: Path) -> Copy:
    """Run the command, which ends without a traceback and leaves nothing half done."""
    to.parent.mkdir()

    def invoke(*options: str, to: Path = to) -> Result:
        result = CliRunner().invoke(cli, ["backup", str(path), str(to), *options])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert [*to.parent.glob(".*")] == []
        return result

    return invoke


def check(path: Path) -> None:
    assert rows(path, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    assert rows(path, "PRAGMA foreign_key_check") == []
    with closing(sqlite3.connect(path)) as connection:
        assert [table for table in FULL_TEXT if not is_true(connection, table)] == []


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for sql in statements:
            connection.execute(sql)
        connection.commit()


class CopyingTransport(httpx.BaseTransport):
    """Copies the mirror before each tenth request of a run."""

    def __init__(self, api: Api, path: Path, to: Path) -> None:
        self._inner = SandboxTransport(api)
        self._path = path
        self._to = to
        self._requests = 0
        self.copies: list[Path] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._requests += 1
        if self._requests % 10 == 0:
            self.copies.append(self._to / f"{self._requests}.db")
            back_up(self._path, self.copies[-1])
        return self._inner.handle_request(request)


def test_a_copy_of_any_moment_of_a_load_is_a_mirror_with_which_a_sync_goes_on(
    path: Path, tmp_path: Path, api: Api, desk: Desk, clock: Any
) -> None:
    transport = CopyingTransport(api, path, tmp_path)
    sync(path, api, clock, transport=transport, **ALL)
    assert differences(path, desk.workspace) == []
    assert len(transport.copies) > 3
    for copied in transport.copies[:: len(transport.copies) // 3]:
        check(copied)
        sync(copied, api, clock, **ALL)
        assert differences(copied, desk.workspace) == []


def test_what_another_program_is_writing_is_not_in_it_and_nobody_waits(
    mirror: Path, to: Path, copy: Copy, desk: Desk
) -> None:
    with closing(sqlite3.connect(mirror, timeout=0)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE issues SET title = 'half done'")
        assert copy().exit_code == 0
        writer.commit()
    assert differences(to, desk.workspace) == []


def test_deleted_words_are_not_in_it(mirror: Path, to: Path, copy: Copy) -> None:
    """Neither those of free pages nor those that wait in the full-text index."""
    change(
        mirror,
        "PRAGMA secure_delete = OFF",
        "UPDATE issue_messages SET message_text = replace(message_text, 'late', 'zanzibar')",
        "UPDATE issue_messages SET message_text = replace(message_text, 'zanzibar', 'late')",
        "CREATE TABLE words AS SELECT 'zanzibar' AS word",
        "DROP TABLE words",
    )
    assert b"zanzibar" in mirror.read_bytes()
    assert copy().exit_code == 0
    assert b"zanzibar" not in to.read_bytes()
    assert rows(to, "SELECT * FROM _pylon_unpurged") == []
    check(to)


def test_full_text_that_was_wrong_is_right_in_it(
    mirror: Path, to: Path, copy: Copy, desk: Desk
) -> None:
    """As where rows were numbered anew, of which an index knows nothing."""
    (trigger,) = rows(mirror, "SELECT sql FROM sqlite_master WHERE name = 'issues_fts_update'")
    change(
        mirror,
        "DROP TRIGGER issues_fts_update",
        "UPDATE issues SET title = 'Walrus'",
        trigger["sql"],
    )
    assert copy().exit_code == 0
    index = index_of("issues")
    found = rows(to, f"SELECT rowid FROM {index} WHERE {index} MATCH 'walrus'")
    assert len(found) == len(desk.issues)
    check(to)


def test_it_is_its_owners_alone_and_nothing_is_written_over(
    mirror: Path, to: Path, copy: Copy
) -> None:
    before = os.umask(0)
    try:
        first = copy()
    finally:
        os.umask(before)
    assert (first.exit_code, first.stdout) == (0, "")
    assert copy("--force", "-q").output == ""
    assert first.stderr.startswith(f"{to} holds a copy of {mirror}, ")
    assert to.stat().st_mode & 0o777 == 0o600
    again = copy()
    assert (again.exit_code, again.stderr) == (
        2,
        f"Error: {to} is there already: name another file, or give --force\n",
    )
    found = CliRunner().invoke(cli, ["doctor", str(to)], env={"PYLON_API_TOKEN": ""})
    assert (found.exit_code, "WRONG" in found.stdout) == (0, False)
    change(mirror, "DELETE FROM tags")
    assert copy("--force").exit_code == 0
    assert rows(to, "SELECT * FROM tags") == []
    assert to.stat().st_mode & 0o777 == 0o600


def test_a_sync_is_told_of_before_the_wal_that_it_has(mirror: Path, tmp_path: Path) -> None:
    """Of a mirror that the copy is to take the place of."""
    to = Path(shutil.copy(mirror, tmp_path / "other.db"))
    with held(to), closing(sqlite3.connect(to)) as connection:
        connection.execute("DELETE FROM issue_messages")
        connection.commit()
        assert Path(f"{to}-wal").stat().st_size
        with pytest.raises(Busy):
            back_up(mirror, to, force=True)
    assert rows(to, "SELECT * FROM issue_messages") == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("itself", "is the mirror itself: name another file"),
        ("notes", "is no SQLite database"),
        ("other", "is no copy of a mirror, so it is not written over"),
        ("open", "is open in another program, or was not closed well"),
        ("directory", "is a directory: give the name of a file in it"),
        ("left", "is open in another program, or was not closed well"),
        ("journal", "is open in another program, or was not closed well"),
        ("lock", "belongs to the mirror: name another file"),
    ],
)
def test_what_is_no_copy_is_not_written_over_even_with_force(
    mirror: Path, to: Path, copy: Copy, kind: str, words: str
) -> None:
    if kind == "itself":
        to.symlink_to(mirror)
    elif kind == "notes":
        to.write_text("Milk, eggs, and all of the other things.")
    elif kind == "other":
        change(to, "CREATE TABLE recipes (name)")
    elif kind == "open":
        shutil.copy(mirror, to)
        Path(f"{to}-wal").write_bytes(b"frames")
    elif kind in ("left", "journal"):
        # Of a file that somebody has moved away: SQLite would read it into the copy.
        Path(f"{to}-{'wal' if kind == 'left' else kind}").write_bytes(b"frames")
    elif kind == "lock":
        to = mirror.with_name(f"{mirror.name}.lock")
    else:
        to.mkdir()
    before = to.read_bytes() if to.is_file() else b""
    result = copy("--force", to=to)
    assert (result.exit_code, words in result.stderr) == (2, True)
    assert (to.read_bytes() if to.is_file() else b"") == before


def test_a_damaged_mirror_takes_no_good_copys_place(mirror: Path, to: Path, copy: Copy) -> None:
    assert copy().exit_code == 0
    before = to.read_bytes()
    with mirror.open("r+b") as file:
        file.seek(4096)
        file.write(b"x" * 200)
    result = copy("--force")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: cannot copy {mirror} to {to}: ")
    assert result.stderr.endswith(f"pylon-to-sqlite doctor {mirror} tells what is wrong\n")
    assert to.read_bytes() == before


def test_a_disk_that_is_full_leaves_nothing(mirror: Path, to: Path, copy: Copy) -> None:
    command = f"ulimit -f 300; exec {sys.executable} -m pylon_to_sqlite backup {mirror} {to}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: cannot copy {mirror} to {to}: ")
    assert [*to.parent.iterdir()] == []


def test_a_mirror_that_a_sync_writes_to_is_not_written_over(
    mirror: Path, to: Path, copy: Copy, api: Api, desk: Desk, clock: Any
) -> None:
    """Else what that sync reads would go into a file without a name."""
    sync(to, api, clock, "tags")
    to.with_name(f"{to.name}-wal").unlink(missing_ok=True)
    with held(to):
        result = copy("--force")
    assert (result.exit_code, len(rows(to, "SELECT 1 FROM issues"))) == (4, 0)
    assert copy("--force").exit_code == 0
    assert differences(to, desk.workspace) == []


def test_what_killed_copies_left_is_removed(mirror: Path, to: Path, copy: Copy) -> None:
    """Once nobody has written to it for half a day; what is not a copy's is left alone."""
    directory = to.parent
    old = [".other.db.a1b2c3d4.pylon-copy", ".other.db.a1b2c3d4.pylon-copy-journal"]
    kept = [".new.db.a1b2c3d4.pylon-copy", ".mine.part", "pylon-copy"]
    for name in (*old, *kept):
        (directory / name).write_text("half")
    for name in (*old, *kept[1:]):
        os.utime(directory / name, (time.time() - 86400,) * 2)
    back_up(mirror, to)
    assert {one.name for one in directory.iterdir()} == {*kept, to.name}


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_in_the_middle_leaves_nothing(
    path: Path, to: Path, copy: Copy, api: Api, desk: Desk, clock: Any, sign: signal.Signals
) -> None:
    sync(path, api, clock, "tags")
    change(path, "CREATE TABLE mine (data)", "INSERT INTO mine VALUES (zeroblob(60000000))")
    status, stderr = killed(path, to, sign)
    for _ in range(20):
        if not to.exists():
            break
        # The signal came too late.
        to.unlink()
        status, stderr = killed(path, to, sign)
    assert (status, stderr) == (5, "Stopped. There is no copy.\n")
    assert [*to.parent.iterdir()] == []


def killed(path: Path, to: Path, sign: signal.Signals) -> tuple[int, str]:
    """How a copy ends that gets a signal as soon as there is something of it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pylon_to_sqlite", "backup", str(path), str(to)],
        stderr=subprocess.PIPE,
        text=True,
    )
    while not [*to.parent.glob(".*")] and process.poll() is None:
        threading.Event().wait(0.001)
    process.send_signal(sign)
    _, stderr = process.communicate(timeout=60)
    return process.returncode, stderr


OWN_INDEXES = (
    "CREATE TABLE issues_fts (words)",
    "CREATE VIRTUAL TABLE issues_fts USING fts4(title, content='issues')",
    "CREATE VIRTUAL TABLE issues_fts USING fts5(title, content='')",
)


@pytest.mark.parametrize("own", OWN_INDEXES)
def test_an_index_that_is_the_users_own_is_copied_as_it_is(
    path: Path, copy: Copy, api: Api, desk: Desk, clock: Any, own: str
) -> None:
    change(path, own)
    sync(path, api, clock)
    assert copy().exit_code == 0


def test_a_mirror_that_an_earlier_version_made_is_copied(path: Path, to: Path, copy: Copy) -> None:
    for earlier in Path(__file__).with_name("files").glob("version-*.db.gz"):
        path.write_bytes(gzip.decompress(earlier.read_bytes()))
        assert copy("--force").exit_code == 0
        assert rows(to, "SELECT * FROM issues") == rows(path, "SELECT * FROM issues")
