"""Whatever the disk does: a clear sentence, a file that is no worse than before, and a next run
that goes on."""

import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from changes import CHANGES
from click.testing import CliRunner
from conftest import FakeClock
from desk import Desk, open_issue
from mirroring import DAY, TOKEN, errors, rows, sync
from oracle import differences

from pylon_to_sqlite import file
from pylon_to_sqlite.cli import cli
from pylon_to_sqlite.client import Client
from pylon_to_sqlite.errors import Removed, Unavailable, Unusable
from pylon_to_sqlite.limits import Clock
from pylon_to_sqlite.rounds import Health, Round, Rounds
from pylon_to_sqlite.run import Wishes, mirror
from pylon_to_sqlite.running import Kept
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import SandboxTransport
from pylon_to_sqlite.schema import TABLES
from pylon_to_sqlite.streams import STREAMS

PAGE = 4096


class Interrupting(SandboxTransport):
    """Has something happen before the request of this number, counted from 0."""

    def __init__(self, api: Api, at: int, happen: Callable[[], object]) -> None:
        super().__init__(api)
        self.left, self.happen = at, happen
        self.after = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.left -= 1
        if self.left == -1:
            self.happen()
        self.after += self.left < -1
        return super().handle_request(request)


# The file goes


def removed(path: Path) -> None:
    for one in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        one.unlink()


def replaced(path: Path) -> None:
    other = path.with_name("other.db")
    shutil.copy(path, other)
    other.replace(path)


def moved_away(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("go", [removed, replaced, moved_away])
def test_a_file_that_goes_while_a_run_writes_to_it(
    mirror: Path, desk: Desk, api: Api, clock: Any, go: Callable[[Path], None], workers: int
) -> None:
    """The run stops at once and says so, for nobody would ever see what it writes on; the next one
    reads it again."""
    transport = Interrupting(api, 12, lambda: go(mirror))
    with pytest.raises(Removed, match="was removed or replaced while a run wrote to it"):
        sync(mirror, api, clock, full=True, transport=transport, workers=workers)
    # Those of other lanes were under way.
    assert transport.after <= (1 if workers == 1 else 10)
    for one in mirror.parent.glob("*-wal"):
        one.unlink()
    clock.sleep(DAY)
    assert errors(sync(mirror, api, clock)) == {}
    assert differences(mirror, desk.workspace) == []


def test_a_file_that_goes_at_the_very_end(path: Path, desk: Desk, api: Api, clock: Any) -> None:
    requests = len(_requests(path.with_name("counted.db"), api, clock))
    transport = Interrupting(api, requests - 1, lambda: removed(path))
    with pytest.raises(Removed):
        sync(path, api, clock, transport=transport)


def _requests(path: Path, api: Api, clock: Any) -> list[str]:
    api.log.clear()
    sync(path, api, clock)
    return [one.path for one in api.log]


# Others write to it


def impatient(path: Path, api: Api, clock: Any, transport: httpx.BaseTransport) -> object:
    """A run that waits for other programs for a second."""
    with closing(Client(TOKEN, "http://localhost", transport, clock.clock)) as client:
        return mirror(path, client, Wishes(), lambda _: None, lambda _: None, patience=0.5)


def test_a_program_that_writes_for_too_long_is_told_of(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """From the very beginning, or from in between; what was committed stays, the next run goes on
    with it."""
    for change in ("reply", "account", "lists"):
        CHANGES[change](desk, desk.issues[0], 1)
    clock.sleep(DAY)
    with closing(sqlite3.connect(mirror, isolation_level=None, check_same_thread=False)) as other:
        for at in (0, 10):
            transport = Interrupting(api, at, lambda: other.execute("BEGIN IMMEDIATE"))
            with pytest.raises(Unavailable) as raised:
                impatient(mirror, api, clock, transport)
            assert str(raised.value) == (
                f"cannot write to {mirror}: database is locked: another program has it for itself;"
                " run it again when that is done. What was committed stays"
            )
            other.execute("ROLLBACK")
    clock.sleep(DAY)
    assert errors(sync(mirror, api, clock)) == {}
    assert differences(mirror, desk.workspace) == []


def test_a_program_that_lets_nobody_read_is_told_of_too(mirror: Path, api: Api, clock: Any) -> None:
    """It is no usage error: nothing is wrong with the file."""
    with closing(sqlite3.connect(mirror, isolation_level=None, check_same_thread=False)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("UPDATE _pylon_meta SET value = value")
        with pytest.raises(Unavailable, match="database is locked: another program has it for it"):
            impatient(mirror, api, clock, SandboxTransport(api))


# The disk is full


@contextmanager
def no_larger_than(size: int) -> Iterator[None]:
    """No file may grow beyond this: what a quota does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """What mounts a disk with these options, and gives its directory."""
    where = tmp_path / "disk"
    where.mkdir()

    def mounted(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("nobody but root can mount a disk here")
        return where

    yield mounted
    subprocess.run(["umount", str(where)], capture_output=True, check=False)


def is_sound(path: Path) -> bool:
    """Whether the file is whole, as far as it goes, and has no broken key."""
    checks = ("PRAGMA integrity_check", "PRAGMA foreign_key_check")
    return [rows(path, check) for check in checks] == [[{"integrity_check": "ok"}], []]


@pytest.mark.parametrize("kilobytes", [40, 400, 900, 1000])
def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(
    desk: Desk, api: Api, clock: Any, small_disk: Callable[[str], Path], kilobytes: int
) -> None:
    """Wherever it gets full: in making the tables, in a page of records, or in cleaning up."""
    disk = small_disk(f"size={kilobytes}k")
    path = disk / "pylon.db"

    def until_it_is_full() -> None:
        while True:
            sync(path, api, clock)
            open_issue(desk, 1)
            clock.sleep(DAY)

    with pytest.raises(Unavailable) as raised:
        until_it_is_full()
    assert str(raised.value) == (
        f"cannot write to {path}: database or disk is full: make room on its disk, then run it"
        " again. What was committed stays"
    )
    assert is_sound(path)
    remount = ["mount", "-o", "remount,size=100m", str(disk)]
    subprocess.run(remount, capture_output=True, check=True)
    clock.sleep(DAY)
    assert errors(sync(path, api, clock)) == {}
    assert differences(path, desk.workspace) == []


@pytest.mark.parametrize("left", [0, 4, 16])
def test_a_disk_that_is_full_from_the_start_is_no_mistake_of_usage(
    mirror: Path,
    desk: Desk,
    api: Api,
    clock: Any,
    small_disk: Callable[[str], Path],
    left: int,
) -> None:
    """A service would not start it again then; and nothing is damaged."""
    disk = small_disk("size=4000k")
    path = Path(shutil.copy(mirror, disk))
    with (disk / "fill").open("wb", buffering=0) as fill, suppress(OSError):
        while fill.write(bytes(4096)):
            pass
    os.truncate(disk / "fill", (disk / "fill").stat().st_size // 4096 * 4096 - left * 1024)
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"make room on its disk|whether its disk is full"):
            sync(path, api, clock)
    # It can be read meanwhile, though SQLite has no room for what it needs for that.
    with file.reading(path) as connection:
        issues = connection.execute("SELECT count(*) FROM issues").fetchone()
    assert issues == (len(desk.issues),)
    (disk / "fill").unlink()
    clock.sleep(DAY)
    assert errors(sync(path, api, clock)) == {}
    assert differences(path, desk.workspace) == []


@pytest.mark.parametrize("kilobytes", [8, 100, 700])
def test_a_file_that_may_not_grow_ends_the_run_and_the_next_one_goes_on(
    path: Path, desk: Desk, api: Api, clock: Any, kilobytes: int
) -> None:
    with no_larger_than(1024 * kilobytes), pytest.raises(Unavailable) as raised:
        sync(path, api, clock)
    said = str(raised.value).removeprefix(f"cannot write to {path}: ")
    assert said == (
        "disk I/O error: see whether its disk is full or failing, then run it again."
        " What was committed stays"
    )
    assert is_sound(path)
    assert errors(sync(path, api, clock)) == {}
    assert differences(path, desk.workspace) == []


def test_a_process_that_stays_tells_of_a_full_disk_and_goes_on(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    told: list[Health] = []

    def attempt(is_first: bool) -> Round:
        if is_first:
            with no_larger_than(100_000):
                sync(path, api, clock)
        return Round("well", f"{len(sync(path, api, clock).results)} streams")

    def sleep(seconds: float) -> None:
        if told[-1].state == "well":
            raise KeyboardInterrupt
        clock.sleep(seconds)

    kept = Kept(path)

    def watched(is_first: bool) -> Round:
        with kept.watched():
            return attempt(not told)

    Rounds(60, watched, Clock(clock.now, sleep, clock.now), told.append).run()
    assert [one.state for one in told] == ["failing", "well"]
    assert "see whether its disk is full" in told[0].detail
    assert differences(path, desk.workspace) == []


# It cannot be written to


def test_a_disk_that_is_read_only(
    desk: Desk, api: Api, clock: Any, small_disk: Callable[[str], Path]
) -> None:
    """Is told before Pylon is asked, and the file can be looked at all the same."""
    disk = small_disk("size=50m")
    path = disk / "pylon.db"
    sync(path, api, clock)
    before = path.read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    api.log.clear()
    with pytest.raises(Unusable) as raised:
        sync(path, api, clock)
    assert str(raised.value) == f"cannot write to {path}, or to its directory: it is read-only"
    assert api.log == []
    assert CliRunner().invoke(cli, ["status", str(path)]).exit_code == 0
    assert path.read_bytes() == before


# It is damaged


def page_of(path: Path, what: str) -> int:
    """The number of a page: the first of a table or an index, the one with the schema, or the
    first free one."""
    if what == "header":
        return 1
    if what == "free":
        return int.from_bytes(path.read_bytes()[32:36], "big")
    ((page,),) = [
        one.values()
        for one in rows(path, "SELECT rootpage FROM sqlite_master WHERE name = ?", [what])
    ]
    return int(page)


def content(path: Path) -> dict[str, Any]:
    """The keys of each stream's table, as far as they can be read."""
    found = {}
    with closing(sqlite3.connect(path)) as connection:
        for name in (stream.name for stream in STREAMS):
            with suppress(sqlite3.DatabaseError):
                keys = ", ".join(TABLES[name].key)
                found[name] = {*connection.execute(f"SELECT {keys} FROM {name} NOT INDEXED")}
    return found


def torn(path: Path, what: str) -> None:
    """Have this page overwritten."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE scratch AS SELECT * FROM issue_messages")
        connection.execute("DROP TABLE scratch")
    page = page_of(path, what)
    assert page
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"x" * PAGE)


@pytest.fixture
def damaged(path: Path, desk: Desk, api: Api, clock: Any) -> Callable[[str], str]:
    """What has a page torn, and gives what runs say that come by it."""

    def until_it_is_met() -> None:
        # Who writes little may not come by it at once.
        for number in range(3):
            sync(path, api, clock)
            open_issue(desk, number)
            clock.sleep(DAY)

    def damage(what: str) -> str:
        sync(path, api, clock)
        for change in ("open", "reply", "account", "follow", "lists"):
            CHANGES[change](desk, desk.issues[0], 1)
        clock.sleep(DAY)
        torn(path, what)
        before = content(path)
        with pytest.raises(Unavailable) as raised:
            until_it_is_met()
        after = content(path)
        assert {name for name, keys in before.items() if keys - after[name]} == set()
        return str(raised.value)

    return damage


def doctor(path: Path) -> str:
    """What is said of a file that is not well."""
    command = ["doctor", str(path), "--auth", str(path.parent / "none")]
    told = CliRunner().invoke(cli, command)
    assert told.exit_code == 1
    return told.stdout


def said_of(path: Path) -> str:
    return (
        f"cannot write to {path}: database disk image is malformed: pylon-to-sqlite doctor {path}"
        " tells what is damaged, and what to do. What was committed stays"
    )


@pytest.mark.parametrize(
    "what",
    [
        *("issues", "accounts", "issue_messages", "_pylon_children"),
        *("sqlite_autoindex_issues_1", "issues_fts_data"),
    ],
)
def test_a_torn_page_is_told_and_made_no_worse(
    path: Path, desk: Desk, api: Api, clock: Any, damaged: Callable[[str], str], what: str
) -> None:
    """With what to do about it, which is to ask the doctor; what could be read still can be, and
    with the file moved aside a run makes another."""
    assert damaged(what) == said_of(path)
    if what != "issues_fts_data":
        assert "restore a backup, or move the file and its -wal aside" in doctor(path)
    for one in path.parent.glob("pylon.db*"):
        one.rename(one.with_name(f"old-{one.name}"))
    assert errors(sync(path, api, clock)) == {}
    assert differences(path, desk.workspace) == []


def test_torn_free_pages_are_in_no_copy(
    path: Path, desk: Desk, api: Api, clock: Any, damaged: Callable[[str], str]
) -> None:
    """Nothing is lost with them, so the copy is what the doctor advises."""
    assert damaged("free") == said_of(path)
    assert "make a copy with pylon-to-sqlite backup, and put that in its place" in doctor(path)
    copy = path.with_name("copy.db")
    assert CliRunner().invoke(cli, ["backup", str(path), str(copy)]).exit_code == 0
    assert is_sound(copy)
    assert content(copy) == content(path)
    assert errors(sync(copy, api, clock)) == {}
    assert differences(copy, desk.workspace) == []


def test_a_torn_header_is_told_and_nothing_is_written(mirror: Path, api: Api, clock: Any) -> None:
    torn(mirror, "header")
    before = mirror.read_bytes()
    with pytest.raises(Unusable) as raised:
        sync(mirror, api, clock)
    assert str(raised.value) == f"{mirror} is no SQLite database"
    assert mirror.read_bytes() == before
    assert "restore a backup, or move the file and its -wal aside" in doctor(mirror)


def test_memory_that_is_garbled_is_told(mirror: Path, desk: Desk, api: Api, clock: Any) -> None:
    """doctor --mend mends that."""
    with closing(sqlite3.connect(mirror)) as connection, connection:
        connection.execute("UPDATE _pylon_checkpoints SET state = '{x' WHERE stream = 'accounts'")
    said = "what the file remembers of accounts is garbled: pylon-to-sqlite doctor tells more"
    assert errors(sync(mirror, api, clock)) == {"accounts": said}
    told = CliRunner().invoke(cli, ["status", str(mirror)])
    assert (told.exit_code, "garbled" in told.stderr) == (2, True)
    command = ["doctor", str(mirror), "--mend", "--auth", str(mirror.parent / "none")]
    assert CliRunner().invoke(cli, command).exit_code == 0
    clock.sleep(DAY)
    assert errors(sync(mirror, api, clock)) == {}
    assert differences(mirror, desk.workspace) == []
