"""The file: what may become a mirror and what may not, and who holds it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import FakeClock

from pylon_to_sqlite import file
from pylon_to_sqlite.cli import cli
from pylon_to_sqlite.client import US, Client
from pylon_to_sqlite.errors import Busy, Unauthorized, Unusable
from pylon_to_sqlite.file import Mirror
from pylon_to_sqlite.full_text import index_of
from pylon_to_sqlite.run import Outcome, Wishes, mirror
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import SandboxTransport, Server
from pylon_to_sqlite.sandbox.workspace import Workspace
from pylon_to_sqlite.schema import BOOKKEEPING, FULL_TEXT, MIGRATED, TABLES, VERSION

Sync = Callable[..., Outcome]

NOBODY = 65534


@pytest.fixture
def sync(api: Api, clock: FakeClock) -> Sync:
    """Mirror a few streams of the API's workspace into a file."""

    def run(path: Path, *, api: Api = api) -> Outcome:
        client = Client(api.token, US, SandboxTransport(api), clock.clock)
        return mirror(path, client, Wishes(["tags"]), lambda _: None, lambda _: None)

    return run


@pytest.fixture
def mirrored(tmp_path: Path, workspace: Workspace, sync: Sync) -> Path:
    """A mirror of the workspace, with one tag in it."""
    workspace.add("tags", value="urgent")
    path = tmp_path / "pylon.db"
    sync(path)
    return path


def executed(path: Path, *statements: str) -> Path:
    """The file after these statements; SQLite's own names in it, no -wal beside it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
    return path


def names(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in found}


def everything(directory: Path) -> dict[str, bytes]:
    """Every file below the directory, with what is in it."""
    return {
        str(one.relative_to(directory)): one.read_bytes()
        for one in directory.rglob("*")
        if one.is_file()
    }


# What cannot be used


def directory(path: Path) -> None:
    path.mkdir()


def other_bytes(path: Path) -> None:
    path.write_bytes(b"%PDF-1.7\n" + bytes(4096))


def torn(path: Path) -> None:
    executed(path, "CREATE TABLE notes (id)", "INSERT INTO notes VALUES (zeroblob(9000))")
    path.write_bytes(path.read_bytes()[:3000])


def fifo(path: Path) -> None:
    os.mkfifo(path)


def foreign_issues(path: Path) -> None:
    executed(path, "CREATE TABLE issues (id INTEGER PRIMARY KEY)", "INSERT INTO issues VALUES (1)")


def foreign_view(path: Path) -> None:
    executed(path, "CREATE VIEW Accounts AS SELECT 1 AS id")


def foreign_meta(path: Path) -> None:
    executed(path, "CREATE TABLE _pylon_meta (whose TEXT)")


def foreign_key(path: Path) -> None:
    executed(
        path,
        "CREATE TABLE _pylon_meta (key TEXT, value TEXT)",
        "CREATE TABLE issues (nr INTEGER)",
    )


def newer(path: Path) -> None:
    executed(
        path,
        "CREATE TABLE _pylon_meta (key TEXT, value TEXT)",
        f"INSERT INTO _pylon_meta VALUES ('schema_version', '{VERSION + 1}')",
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (directory, "{} is a directory: give the name of a file in it"),
        (other_bytes, "{} is no SQLite database"),
        (
            torn,
            "cannot read {0}: database disk image is malformed: pylon-to-sqlite doctor {0} tells"
            " what is damaged, and what to do",
        ),
        (fifo, "{} is no regular file"),
        (foreign_issues, "{} has a table named issues that is not this tool's: use another file"),
        (foreign_view, "{} has a view named accounts that is not this tool's: use another file"),
        (foreign_meta, "cannot read {}: no such column: key"),
        (
            foreign_key,
            "{} has a table named _pylon_meta that is not this tool's: use another file",
        ),
        (newer, "{} was written by a newer version of pylon-to-sqlite: upgrade this one"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_file_that_cannot_be_a_mirror_is_left_alone(
    tmp_path: Path, sync: Sync, api: Api, make: Callable[[Path], None], words: str
) -> None:
    """It is refused in a sentence; no byte of it changes, nothing appears beside it, and Pylon is
    not even asked."""
    path = tmp_path / "some.db"
    make(path)
    before = everything(tmp_path)
    with pytest.raises(Unusable) as raised:
        sync(path)
    assert str(raised.value) == words.format(path)
    assert everything(tmp_path) == before
    assert api.count() == 0


def test_a_mirror_with_a_garbled_version_is_left_alone(tmp_path: Path, sync: Sync) -> None:
    """A version that is no number is refused in a sentence too, not in a traceback."""
    path = tmp_path / "some.db"
    newer(path)
    executed(path, "UPDATE _pylon_meta SET value = 'x'")
    before = everything(tmp_path)
    with pytest.raises(Unusable):
        sync(path)
    assert everything(tmp_path) == before


def test_a_directory_that_is_missing_is_not_created(tmp_path: Path, sync: Sync, api: Api) -> None:
    """A typo in a path makes no directories, and asks nothing of Pylon."""
    with pytest.raises(Unusable, match=r"there is no directory .*/missing: create"):
        sync(tmp_path / "missing" / "pylon.db")
    assert list(tmp_path.iterdir()) == []
    assert api.count() == 0


@contextmanager
def nobody(path: Path) -> Iterator[Path]:
    """As a user whom permissions bind, and not root; gives a copy of the file, which is theirs."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / path.name
        shutil.copy(path, copy)
        ids, is_root = os.getresuid(), os.geteuid() == 0
        if is_root:
            for one in (copy, copy.parent):
                os.chown(one, NOBODY, -1)
            os.setresuid(NOBODY, NOBODY, 0)
        try:
            yield copy
        finally:
            if is_root:
                os.setresuid(*ids)


def test_a_file_that_cannot_be_written_to_is_refused(mirrored: Path, sync: Sync, api: Api) -> None:
    """A read-only file, and one in a read-only directory, are told before Pylon is asked."""
    asked = api.count()
    with nobody(mirrored) as path:
        path.chmod(0o400)
        before = everything(path.parent)
        with pytest.raises(Unusable, match="read-only"):
            sync(path)
        path.chmod(0o600)
        path.parent.chmod(0o500)
        with pytest.raises(Unusable, match="read-only"):
            sync(path)
        with pytest.raises(Unusable, match="cannot write to the directory"):
            sync(path.with_name("new.db"))
        assert everything(path.parent) == before
        path.parent.chmod(0o700)
    assert api.count() == asked


def test_a_mirror_of_another_organisation_is_left_alone(
    tmp_path: Path, mirrored: Path, sync: Sync, api: Api, clock: FakeClock
) -> None:
    """A token of another organisation stops before anything is written or read but its name."""
    other = Api(Workspace(clock, name="Southwind", seed=1), allowance=None)
    mirrored.with_name("pylon.db.lock").unlink()
    file.inspect(mirrored)  # SQLite's own files beside it are there from now on
    before = everything(tmp_path)
    with pytest.raises(Unauthorized) as raised:
        sync(mirrored, api=other)
    ours, theirs = api.workspace.organization, other.workspace.organization
    assert str(raised.value) == (
        f"{mirrored} mirrors Northwind Support ({ours['id']}), but the token is one of Southwind"
        f" ({theirs['id']}): use that organisation's token, or another file"
    )
    assert everything(tmp_path) == before
    assert [one.path for one in other.log] == ["/me"]


class Overtaken(Api):
    """Lets somebody else's sync come first, between the look at the file and its lock."""

    overtake: Callable[[], object] = staticmethod(lambda: None)

    def handle(self, method: str, path: str, *rest: Any) -> Any:
        self.overtake()
        return super().handle(method, path, *rest)


def test_a_file_that_became_another_organisations_meanwhile(
    tmp_path: Path, sync: Sync, clock: FakeClock
) -> None:
    """Whose mirror it is counts once the file is held: of two first syncs the second stops."""
    path = tmp_path / "pylon.db"
    late = Overtaken(Workspace(clock, name="Southwind", seed=1), allowance=None)
    late.overtake = lambda: sync(path)
    with pytest.raises(Unauthorized, match="mirrors Northwind Support"):
        sync(path, api=late)
    mirror = file.inspect(path)
    assert mirror is not None
    assert mirror.organization_name == "Northwind Support"
    assert [one.path for one in late.log] == ["/me"]


# What is welcome


def test_a_missing_file_is_nobodys_mirror_yet(tmp_path: Path) -> None:
    """To look at a file that is not there is fine for writing to it, and makes none."""
    path = tmp_path / "pylon.db"
    assert file.inspect(path) is None
    with pytest.raises(Unusable) as raised:
        file.inspect(path, must_exist=True)
    assert str(raised.value) == f"there is no file {path}: pylon-to-sqlite sync {path} creates it"
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_becomes_a_mirror(tmp_path: Path, sync: Sync) -> None:
    """What mktemp or touch has made is welcome."""
    path = tmp_path / "pylon.db"
    path.touch()
    assert file.inspect(path) is None
    assert sync(path).failed is False
    assert names(path) >= {*TABLES, *BOOKKEEPING}


def test_other_tables_of_a_database_stay(tmp_path: Path, sync: Sync, workspace: Workspace) -> None:
    """A mirror may live beside other tables, also those of other tools; they are not touched."""
    path = executed(
        tmp_path / "all.db",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, words TEXT)",
        "INSERT INTO notes VALUES (1, 'mine')",
        "CREATE VIEW latest AS SELECT * FROM notes",
        "CREATE INDEX tags_of_mine ON notes(words)",
    )
    assert file.inspect(path) is None
    workspace.add("tags", value="urgent")
    sync(path)
    sync(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM latest").fetchall() == [(1, "mine")]
        assert connection.execute("SELECT value FROM tags").fetchall() == [("urgent",)]
    indexes = tuple(map(index_of, FULL_TEXT))
    assert {name for name in names(path) if not name.startswith(indexes)} == {
        *("notes", *TABLES, *BOOKKEEPING, MIGRATED)
    }


def test_a_mirror_is_known_again(mirrored: Path, api: Api) -> None:
    """A file tells whose workspace it mirrors."""
    organization = api.workspace.organization
    expected = Mirror(organization["id"], "Northwind Support")
    assert file.inspect(mirrored) == file.inspect(mirrored, must_exist=True) == expected


def test_a_mirror_is_found_through_a_link(mirrored: Path, sync: Sync) -> None:
    """A symbolic link leads to the mirror, and to its lock."""
    link = mirrored.parent / "elsewhere"
    link.mkdir()
    (link / "link.db").symlink_to(mirrored)
    with file.held(mirrored), pytest.raises(Busy):
        sync(link / "link.db")
    assert sync(link / "link.db").failed is False
    assert [one.name for one in link.iterdir()] == ["link.db"]


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_customers_words_are_the_owners_only(mirrored: Path) -> None:
    """A new file, and what SQLite puts beside it while it is open, is readable by nobody else."""
    with closing(sqlite3.connect(mirrored)) as connection:
        connection.execute("CREATE TABLE notes (id)")
        modes = {one.name: oct(one.stat().st_mode & 0o777) for one in mirrored.parent.iterdir()}
    names = ("pylon.db", "pylon.db-wal", "pylon.db-shm", "pylon.db.lock")
    assert modes == dict.fromkeys(names, "0o600")
    assert mirrored.with_name("pylon.db.lock").read_bytes() == b""


@pytest.mark.usefixtures("open_umask")
def test_a_file_that_others_may_read_stays_so(tmp_path: Path, sync: Sync) -> None:
    """Who made a file decides who reads it."""
    path = tmp_path / "shared.db"
    path.touch(0o644)
    sync(path)
    assert oct(path.stat().st_mode & 0o777) == "0o644"


# Who holds it


def test_two_syncs_of_one_file(mirrored: Path, api: Api) -> None:
    """The second one exits with 4 at once and touches nothing; after the first, it runs."""
    file.inspect(mirrored)
    with Server(api) as server:
        command = ["sync", str(mirrored), "--token", api.token, "--api-url", server.url]
        with file.held(mirrored):
            before = everything(mirrored.parent)
            result = CliRunner().invoke(cli, command)
            assert result.exit_code == 4
            assert result.stdout == ""
            expected = f"Error: another sync is writing to {mirrored}: nothing was done\n"
            assert result.stderr == expected
            assert everything(mirrored.parent) == before
        assert CliRunner().invoke(cli, command).exit_code == 0


def test_a_file_of_another_name_is_not_held(mirrored: Path, sync: Sync) -> None:
    """Two mirrors in one directory are written side by side."""
    with file.held(mirrored):
        assert sync(mirrored.with_name("other.db")).failed is False


def test_a_held_file_can_be_looked_at(mirrored: Path) -> None:
    """`status` and Datasette read while a sync writes."""
    with file.held(mirrored), file.reading(mirrored) as connection:
        assert connection.execute("SELECT value FROM tags").fetchall() == [("urgent",)]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM tags")


def test_a_failed_sync_lets_go(mirrored: Path) -> None:
    """However a sync ends, the next one may begin."""
    with pytest.raises(RuntimeError), file.held(mirrored):
        raise RuntimeError
    with file.held(mirrored):
        pass


HOLDER = """
import sys
from pathlib import Path
from pylon_to_sqlite import file
with file.held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_sync_that_was_killed_lets_go(mirrored: Path) -> None:
    """The lock ends with its process, also with one that could not say so."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(mirrored)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Busy), file.held(mirrored):
            pass
        holder.kill()
        holder.wait()
    with file.held(mirrored):
        pass


@pytest.mark.parametrize("content", [None, b""], ids=["missing", "empty"])
def test_what_is_no_mirror_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    """Reading a file that holds no mirror is an error, and does not make it one."""
    path = tmp_path / "pylon.db"
    if content is not None:
        path.write_bytes(content)
    before = everything(tmp_path)
    with pytest.raises(Unusable), file.reading(path):
        pass
    assert everything(tmp_path) == before
