"""The whole program as a user runs it: its own process, over real HTTP, on a real file."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from desk import Desk, open_issue
from mirroring import DAY, TOKEN, rows
from oracle import differences
from test_sync import change_everything

from pylon_to_sqlite.running import Interrupt
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import Server

COMMAND = [sys.executable, "-m", "pylon_to_sqlite"]


def environment(url: str, directory: Path) -> dict[str, str]:
    """Nothing but what is needed, as under cron."""
    return {"PATH": os.defpath, "HOME": str(directory), "PYLON_API_TOKEN": TOKEN} | {
        "PYLON_API_URL": url
    }


def run(url: str, path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "sync", str(path), *arguments],
        env=environment(url, path.parent),
        cwd=path.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_mirror_equals_workspace_before_and_after_every_change(
    path: Path, desk: Desk, clock: Any
) -> None:
    """Through the command line and HTTP, under Pylon's allowances of today."""
    with Server(Api(desk.workspace, allowance="2026")) as server:
        first = run(server.url, path)
        assert first.returncode == 0, first.stderr
        assert "issue_messages: 16 new, 0 changed" in first.stderr.splitlines()
        assert first.stdout == ""
        assert differences(path, desk.workspace) == []
        clock.sleep(DAY)
        change_everything(desk, clock)
        clock.sleep(DAY)
        second = run(server.url, path, "-q")
        assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
        assert differences(path, desk.workspace) == []
    assert path.stat().st_mode & 0o777 == 0o600


@contextmanager
def stopped(url: str, path: Path, sign: signal.Signals, files: int) -> Iterator[int]:
    """A sync that is sent a signal once its file holds children of so many issues."""
    process = subprocess.Popen(
        [*COMMAND, "sync", str(path), "-q"],
        env=environment(url, path.parent),
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and _read(path) >= files:
            process.send_signal(sign)
            break
        threading.Event().wait(0.01)
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    yield process.returncode


def _read(path: Path) -> int:
    tables = rows(path, "SELECT name FROM sqlite_master WHERE name = '_pylon_children'")
    return len(rows(path, "SELECT 1 FROM _pylon_children")) if tables else 0


def test_a_run_whose_time_is_up_ends_well_and_the_next_goes_on(
    path: Path, desk: Desk, clock: Any
) -> None:
    for number in range(60):
        open_issue(desk, number)
    clock.sleep(DAY)
    with Server(Api(desk.workspace, allowance=None), latency=0.1) as server:
        short = run(server.url, path, "--max-time", "2s", "--workers", "2")
        assert short.returncode == 5, short.stderr
        assert "Traceback" not in short.stderr
        assert 0 < _read(path) < 128
        assert run(server.url, path).returncode == 0
    assert differences(path, desk.workspace) == []


def test_a_signal_in_a_wait_for_the_rate_limit_ends_the_run_at_once(
    path: Path, desk: Desk, clock: Any
) -> None:
    """Whoever waits a minute for Pylon does not wait a minute for Ctrl-C."""
    with Server(Api(desk.workspace, allowance=3)) as server:
        began = time.monotonic()
        with stopped(server.url, path, signal.SIGTERM, 4) as returned:
            assert returned == 5
        assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("sign", "status"),
    [(signal.SIGINT, 5), (signal.SIGTERM, 5), (signal.SIGHUP, 5), (signal.SIGKILL, -9)],
)
def test_a_run_that_is_stopped_goes_on_where_it_was(
    path: Path, desk: Desk, clock: Any, sign: signal.Signals, status: int
) -> None:
    for number in range(60):
        open_issue(desk, number)
    clock.sleep(DAY)
    api = Api(desk.workspace, allowance=None)
    # However fast it is, it has not ended when the signal comes.
    api.misbehave("timeout", "/issues/[^/]+/(messages|threads)", after=60, times=-1)
    with Server(api) as server:
        with stopped(server.url, path, sign, 40) as returned:
            assert returned == status
        api.behave()
        assert 40 <= _read(path) <= 60
        assert rows(path, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        (before,) = rows(path, "SELECT outcome FROM _pylon_runs")
        assert before["outcome"] in ("interrupted", None)
        done = _read(path)
        finish = run(server.url, path, "-v")
        assert finish.returncode == 0
        asked = [line for line in finish.stderr.splitlines() if line.startswith("GET /issues/")]
        assert len(asked) == 128 - done
    assert differences(path, desk.workspace) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_loses_is_noticed_all_the_same() -> None:
    """As in the finalising of an object, where exceptions are told and forgotten."""

    class Finalised:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    before = [
        (one, signal.getsignal(one)) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    ]
    try:
        interrupt = Interrupt()
        interrupt.check()
        Finalised()
        with pytest.raises(KeyboardInterrupt):
            interrupt.check()
    finally:
        for one, handler in before:
            signal.signal(one, handler)
