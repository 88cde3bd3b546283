"""Whatever the disk does: a clear sentence, a file that is no worse than before, and a next run
that goes on."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from changes import CHANGES
from desk import Desk
from mirroring import DAY, TOKEN, errors, sync
from oracle import differences

from pylon_to_sqlite.client import Client
from pylon_to_sqlite.errors import Removed, Unavailable
from pylon_to_sqlite.run import Wishes, mirror
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import SandboxTransport

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
    path: Path, desk: Desk, api: Api, clock: Any, go: Callable[[Path], None], workers: int
) -> None:
    """The run stops at once and says so, for nobody would ever see what it writes on; the next one
    reads it again."""
    sync(path, api, clock)
    transport = Interrupting(api, 12, lambda: go(path))
    with pytest.raises(Removed, match="was removed or replaced while a run wrote to it"):
        sync(path, api, clock, full=True, transport=transport, workers=workers)
    # Those of other lanes were under way.
    assert transport.after <= (1 if workers == 1 else 10)
    for one in path.parent.glob("*-wal"):
        one.unlink()
    clock.sleep(DAY)
    assert errors(sync(path, api, clock)) == {}
    assert differences(path, desk.workspace) == []


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
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """From the very beginning, or from in between; what was committed stays, the next run goes on
    with it."""
    sync(path, api, clock)
    for change in ("reply", "account", "lists"):
        CHANGES[change](desk, desk.issues[0], 1)
    clock.sleep(DAY)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        for at in (0, 10):
            transport = Interrupting(api, at, lambda: other.execute("BEGIN IMMEDIATE"))
            with pytest.raises(Unavailable) as raised:
                impatient(path, api, clock, transport)
            assert str(raised.value) == (
                f"cannot write to {path}: database is locked: another program has it for itself;"
                " run it again when that is done. What was committed stays"
            )
            other.execute("ROLLBACK")
    clock.sleep(DAY)
    assert errors(sync(path, api, clock)) == {}
    assert differences(path, desk.workspace) == []


def test_a_program_that_lets_nobody_read_is_told_of_too(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """It is no usage error: nothing is wrong with the file."""
    sync(path, api, clock)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("UPDATE _pylon_meta SET value = value")
        with pytest.raises(Unavailable, match="database is locked: another program has it for it"):
            impatient(path, api, clock, SandboxTransport(api))
