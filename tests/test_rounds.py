"""Run after run: when each begins, what ends it all, and what is told of it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import FakeClock
from desk import Desk
from mirroring import TOKEN, rows

from pylon_to_sqlite.errors import (
    Busy,
    MoreToDo,
    PylonError,
    Removed,
    Unauthorized,
    Unavailable,
    Unusable,
)
from pylon_to_sqlite.limits import Clock
from pylon_to_sqlite.rounds import Health, Round, Rounds
from pylon_to_sqlite.running import Interrupt, Kept, napping
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import Server

WELL = Round("well", "fine")
DOWN = Unavailable("nobody answers")
STREAM = Round("failing", "tags: 400")


class Script:
    """Rounds that end as they are told to, each after so many seconds; then a signal comes."""

    def __init__(self, clock: FakeClock, every: float, *ends: Round | Exception, took: float = 0):
        self.clock, self.ends, self.took = clock, [*ends], took
        self.began: list[float] = []
        self.firsts: list[bool] = []
        self.told: list[Health] = []
        self.start = clock.now()
        given = Clock(clock.now, self.sleep, clock.now)
        self.rounds = Rounds(every, self.attempt, given, self.told.append)

    def attempt(self, is_first: bool) -> Round:
        self.began.append(self.clock.now() - self.start)
        self.firsts.append(is_first)
        self.clock.sleep(self.took)
        end = self.ends.pop(0)
        if isinstance(end, Round):
            return end
        raise end

    def sleep(self, seconds: float) -> None:
        if not self.ends:
            raise KeyboardInterrupt
        self.clock.sleep(seconds)


@pytest.mark.parametrize(
    ("took", "began"),
    [(0, [0, 60, 120]), (20, [0, 60, 120]), (60, [0, 120, 240]), (150, [0, 180, 360])],
)
def test_each_begins_an_interval_after_the_last_began(
    clock: FakeClock, took: float, began: list[float]
) -> None:
    """Where one takes longer, the times that pass are left out: nothing piles up."""
    script = Script(clock, 60, WELL, WELL, WELL, took=took)
    script.rounds.run()
    assert script.began == began


@pytest.mark.parametrize(
    ("every", "ends", "began"),
    [
        (900, [DOWN] * 5, [0, 900, 2700, 6300, 9900]),
        (900, [DOWN, DOWN, WELL, DOWN, DOWN, DOWN], [0, 900, 2700, 3600, 4500, 6300]),
        (7200, [DOWN] * 4, [0, 7200, 14400, 21600]),
        (900, [STREAM] * 4, [0, 900, 1800, 2700]),
        (900, [Busy("held")] * 4, [0, 900, 1800, 2700]),
        (900, [Round("failing", "all", is_down=True)] * 4, [0, 900, 2700, 6300]),
    ],
)
def test_while_pylon_is_down_it_is_asked_less_often(
    clock: FakeClock, every: float, ends: list[Round | Exception], began: list[float]
) -> None:
    """Up to an hour, and never more often than the interval; a stream that fails is not down."""
    script = Script(clock, every, *ends)
    script.rounds.run()
    assert script.began == began


def test_what_is_told_of_each_round(clock: FakeClock) -> None:
    script = Script(clock, 60, WELL, STREAM, Busy("held"), DOWN, WELL, MoreToDo("the time is up"))
    script.rounds.run()
    told = [(one.state, one.detail, one.failures, one.has_turned) for one in script.told]
    assert told == [
        ("well", "fine", 0, False),
        ("failing", "tags: 400", 1, True),
        ("busy", "held", 0, False),
        ("failing", "nobody answers", 1, False),
        ("well", "fine", 0, True),
        ("well", "the time is up; the next round goes on", 0, False),
    ]
    assert (script.told[0].at, script.told[0].next_at) == (
        "2026-07-01T00:00:00Z",
        "2026-07-01T00:01:00Z",
    )


def test_what_is_for_the_first_run_is_for_the_first_that_reads(clock: FakeClock) -> None:
    script = Script(clock, 60, DOWN, Busy("held"), STREAM, WELL)
    script.rounds.run()
    assert script.firsts == [True, True, True, False]


@pytest.mark.parametrize(
    ("ends", "error"),
    [
        ([Unusable("no directory")], Unusable),
        ([Unauthorized("no token")], Unauthorized),
        ([WELL, DOWN, Unauthorized("revoked")], Unauthorized),
    ],
)
def test_what_ends_it_all(
    clock: FakeClock, ends: list[Round | Exception], error: type[PylonError]
) -> None:
    script = Script(clock, 60, *ends)
    with pytest.raises(error):
        script.rounds.run()
    assert script.ends == []


def test_a_file_that_cannot_be_used_later_on_is_tried_again(clock: FakeClock) -> None:
    script = Script(clock, 60, WELL, Unusable("it is read-only"), WELL)
    script.rounds.run()
    assert [one.state for one in script.told] == ["well", "failing", "well"]


def test_a_signal_in_a_round_is_not_taken_for_one_between_two(clock: FakeClock) -> None:
    def stop(_: bool) -> Round:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Rounds(60, stop, clock.clock, lambda _: None).run()


@pytest.mark.parametrize("end", ["well", "removed", "failed"])
def test_a_file_that_is_gone_is_told_and_not_made_anew(path: Path, end: str) -> None:
    """Whether it goes between two rounds or in the first one, and however that ended."""
    kept = Kept(path)
    with suppress(Unavailable), kept.watched():
        path.write_text("new")
        if end == "removed":
            path.unlink()
            raise Removed("it is gone")
        if end == "failed":
            raise Unavailable("nobody answers")
    if end == "failed":
        # It was there as the next round began.
        with suppress(Unavailable), kept.watched():
            raise Unavailable("nobody answers")
    path.unlink(missing_ok=True)
    with pytest.raises(Unusable, match="is gone: put it back"), kept.watched():
        raise AssertionError("not reached")
    path.write_text("back")
    with kept.watched():
        pass


def test_a_signal_that_python_lost_ends_the_wait_all_the_same(clock: FakeClock) -> None:
    """What a signal raises is lost where something is being finalised."""
    handlers = {
        one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        interrupt = Interrupt()
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            napping(interrupt.check, clock.clock).sleep(3600)
    finally:
        for one, handler in handlers.items():
            signal.signal(one, handler)
    assert clock.slept == []


def test_time_in_which_the_machine_was_asleep_has_passed(clock: FakeClock) -> None:
    def sleep(seconds: float) -> None:
        # The lid is shut for an hour meanwhile.
        clock.sleep(seconds + 3600)

    napping(lambda: None, Clock(clock.now, sleep, clock.now)).sleep(3700)
    assert clock.slept == [3660, 3640]
    clock.slept.clear()
    napping(lambda: None, clock.clock).sleep(150)
    assert clock.slept == [60, 60, 30]


# As a process of its own

STOPPED = "Stopped. What was read is committed; run it again to go on.\n"


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so() and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert is_so()


def started(url: str, path: Path, *options: str) -> "subprocess.Popen[str]":
    """The program in an environment as cron's."""
    env = {"PATH": os.defpath, "PYLON_API_TOKEN": TOKEN, "PYLON_API_URL": url}
    return subprocess.Popen(
        [sys.executable, "-m", "pylon_to_sqlite", "sync", str(path), *options],
        env=env,
        cwd=path.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def runs(path: Path) -> int:
    made = path.exists() and rows(path, "SELECT 1 FROM sqlite_master WHERE name = '_pylon_runs'")
    return len(rows(path, "SELECT 1 FROM _pylon_runs WHERE ended_at IS NOT NULL")) if made else 0


def test_it_stays_and_tells_of_what_turns(path: Path, desk: Desk) -> None:
    """Quiet, it has a line when it goes from well to failing and one when it is back."""
    api = Api(desk.workspace, token=TOKEN, allowance=None)
    with Server(api) as server:
        process = started(server.url, path, "tags", "--every", "0.1s", "-q")
        until(lambda: runs(path) >= 2)
        api.misbehave("400", "/tags", times=3)
        assert process.stderr
        failing, well = process.stderr.readline(), process.stderr.readline()
        process.terminate()
        stdout, stderr = process.communicate(timeout=30)
    assert " failing: tags: GET /tags: 400 " in failing
    assert " well again: 0 new, 0 changed, 0 gone; " in well
    assert (stdout, stderr.replace(STOPPED, "")) == ("", "")


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_between_two_runs_ends_it_at_once(
    path: Path, desk: Desk, sign: signal.Signals
) -> None:
    """With status 0, for nothing was cut short; a terminal that is closed does not end it."""
    with Server(Api(desk.workspace, token=TOKEN, allowance=None)) as server:
        process = started(server.url, path, "tags", "--every", "1h")
        assert process.stderr
        assert " well: 1 new, 0 changed, 0 gone; 2 requests; next at " in process.stderr.readline()
        process.send_signal(signal.SIGHUP)
        began = time.monotonic()
        process.send_signal(sign)
        _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (0, "Stopped between two runs.\n")
    assert time.monotonic() - began < 5


def test_a_signal_in_a_run_keeps_what_was_read(path: Path, desk: Desk) -> None:
    api = Api(desk.workspace, token=TOKEN, allowance=None)
    api.misbehave("timeout", "/issues/[^/]+/messages", times=-1)
    with Server(api) as server:
        process = started(server.url, path, "issue_messages", "--every", "1h", "--log-json")
        until(lambda: api.count("GET /issues/.*/messages") > 0)
        process.terminate()
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 5
    last = json.loads(stderr.splitlines()[-1])
    assert (last["event"], last["exit_status"]) == ("stopped", 5)
    (run,) = rows(path, "SELECT outcome, exit_status FROM _pylon_runs")
    assert run == {"outcome": "interrupted", "exit_status": 5}
    assert len(rows(path, "SELECT 1 FROM issues")) == len(desk.issues)


def test_a_token_that_is_no_longer_accepted_ends_it(path: Path, desk: Desk) -> None:
    api = Api(desk.workspace, token=TOKEN, allowance=None)
    with Server(api) as server:
        process = started(server.url, path, "tags", "--every", "0.2s", "-q")
        until(lambda: runs(path) >= 1)
        api.misbehave("401", "/.*", times=-1)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 3
    assert stderr.startswith("Error: Pylon does not accept the token")
