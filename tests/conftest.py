"""What several test files need: a clock that only counts, and a workspace behind an API."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from desk import Desk, open_desk
from mirroring import sync

from pylon_to_sqlite.limits import Clock
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.sample import fill
from pylon_to_sqlite.sandbox.workspace import Workspace

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell in the background has it ignored, and every program that is started from there.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are processors: tests of whole programs wait for most of their time."""
    return (os.cpu_count() or 1) + 1


NOW = 1_782_864_000.0  # 2026-07-01T00:00:00Z, a Wednesday


class FakeClock:
    """A clock that stands until somebody sleeps; calling it gives the time, as Workspace asks."""

    def __init__(self, start: float = NOW) -> None:
        self.time = start
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.time

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    @property
    def clock(self) -> Clock:
        """The argument that the client takes."""
        return Clock(self.now, self.sleep, self.now)


@pytest.fixture(scope="session")
def sample_mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror of the sample workspace, for tests to copy. Processes share it, for it takes some
    seconds: the same workspace has the same mirror."""
    shared = tmp_path_factory.getbasetemp().parent / "sample.db"
    if not shared.exists():
        path, clock = tmp_path_factory.mktemp("sample") / "pylon.db", FakeClock()
        workspace = Workspace(clock)
        fill(workspace, now=clock())
        sync(path, Api(workspace, allowance=None), clock)
        # Whole, whenever another process looks.
        os.replace(path, shared)
    return shared


@pytest.fixture(scope="module")
def pylon_db(sample_mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror of the sample workspace."""
    return Path(shutil.copy(sample_mirror, tmp_path_factory.mktemp("sample") / "pylon.db"))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def workspace(clock: FakeClock) -> Workspace:
    return Workspace(clock)


@pytest.fixture
def api(workspace: Workspace) -> Api:
    return Api(workspace, allowance=None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file to mirror into; it is not there yet."""
    return tmp_path / "pylon.db"


@pytest.fixture
def desk(workspace: Workspace, clock: FakeClock) -> Desk:
    """A small support desk, quiet since yesterday."""
    desk = open_desk(workspace)
    clock.sleep(86400.0)
    return desk


@pytest.fixture(scope="session")
def desk_mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror of the small support desk, for tests to copy."""
    path, clock = tmp_path_factory.mktemp("desk") / "pylon.db", FakeClock()
    workspace = Workspace(clock)
    open_desk(workspace)
    clock.sleep(86400.0)
    sync(path, Api(workspace, allowance=None), clock)
    return path


@pytest.fixture
def mirror(path: Path, desk: Desk, desk_mirror: Path) -> Path:
    """A mirror of the desk, as a sync has just made it."""
    return Path(shutil.copy(desk_mirror, path))
