"""What stands around a run: odd names, proxies, encodings, readers that go away, slow servers."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from desk import Desk
from mirroring import TOKEN, live

from pylon_to_sqlite.cli import cli
from pylon_to_sqlite.exits import exit_statuses
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import Server

Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def url(desk: Desk) -> Iterator[str]:
    """A Pylon on this machine."""
    with Server(Api(desk.workspace, allowance=None)) as server:
        yield server.url


@pytest.fixture
def run(tmp_path: Path, url: str) -> Run:
    """The program in a directory of its own."""

    def run_(
        *arguments: str | bytes, stdout: Any = subprocess.PIPE, **environment: str
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "pylon_to_sqlite", *arguments],
            env={
                "PATH": os.defpath,
                "PYLON_API_TOKEN": TOKEN,
                "PYLON_API_URL": url,
                **environment,
            },
            cwd=tmp_path,
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )

    return run_


@pytest.mark.parametrize("name", [":memory:", "file:x.db", "file:x?mode=ro", "a b#c%41'\".db", "ü"])
def test_a_file_is_the_file_of_that_name(run: Run, tmp_path: Path, name: str) -> None:
    """Whatever the name means to SQLite: else a check would look at one file, a run at another."""
    for _ in range(2):
        assert run("sync", name, "tags").returncode == 0
    assert len(live(tmp_path / name, "tags")) == 1
    assert b"tags" in run("status", name).stdout


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "ftp://x"])
def test_no_proxy_stands_between_this_machine_and_itself(run: Run, proxy: str) -> None:
    told = run("verify-auth", HTTP_PROXY=proxy, ALL_PROXY=proxy, http_proxy=proxy)
    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize(
    "environment",
    [
        {"ALL_PROXY": "socks5://127.0.0.1:9"},
        {"HTTPS_PROXY": "ftp://x"},
        {"SSL_CERT_FILE": "/nonexistent"},
        {"PYLON_API_URL": "https://a..b.invalid"},
        {"PYLON_API_URL": f"https://{'a' * 70}.invalid"},
        {"PYLON_API_URL": "https://[v1.x]"},
        {"PYLON_API_URL": "https://[evil]"},
        {"PYLON_API_URL": "https://xn--zz--.invalid"},
    ],
)
def test_settings_that_cannot_be_used_are_told_in_a_line(
    run: Run, environment: dict[str, str]
) -> None:
    told = run("verify-auth", **({"PYLON_API_URL": "https://127.0.0.1:9"} | environment))
    assert told.returncode in (1, 2)
    assert told.stderr.startswith(b"Error: ")
    assert told.stderr.count(b"\n") == 1


def test_a_name_that_the_terminal_cannot_show_is_shown_escaped(run: Run, desk: Desk) -> None:
    desk.workspace.organization["name"] = "李娜"
    told = run("verify-auth", PYTHONIOENCODING="latin-1")
    assert told.returncode == 0
    assert b"\\u674e\\u5a1c" in told.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_behind_the_output_is_told(run: Run) -> None:
    with open("/dev/full", "wb") as full:
        told = run("streams", stdout=full)
    assert told.returncode == 1
    assert b"Traceback" not in told.stderr


def test_a_reader_that_goes_away_does_not_stop_the_work(
    run: Run, tmp_path: Path, desk: Desk
) -> None:
    with Server(Api(desk.workspace, allowance=None)) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "pylon_to_sqlite", "sync", "pylon.db"],
            env={"PATH": os.defpath, "PYLON_API_TOKEN": TOKEN, "PYLON_API_URL": server.url},
            cwd=tmp_path,
            stderr=subprocess.PIPE,
        )
        assert process.stderr
        process.stderr.close()
        assert process.wait(60) == 0
    assert len(live(tmp_path / "pylon.db", "issue_messages")) == 16


def test_a_reader_that_has_read_enough_is_no_error(run: Run) -> None:
    """As head has; but the status is not that of what was not all told."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as out:
        told = run("streams", stdout=out)
    assert (told.returncode, told.stderr) == (128 + signal.SIGPIPE, b"")


@pytest.mark.parametrize("closed", [1, 2])
def test_without_an_output_the_work_is_done(
    run: Run, url: str, tmp_path: Path, closed: int
) -> None:
    assert run("sync", "pylon.db", "tags").returncode == 0
    for command in ("backup pylon.db copy.db", "status pylon.db", "sync pylon.db tags"):
        program = f"exec {sys.executable} -m pylon_to_sqlite {command} {closed}>&-"
        environment = {"PATH": os.defpath, "PYLON_API_TOKEN": TOKEN, "PYLON_API_URL": url}
        told = subprocess.run(
            ["sh", "-c", program], cwd=tmp_path, env=environment, capture_output=True, check=False
        )
        assert (told.returncode, b"mistake" in told.stderr) == (0, False), command
    assert (tmp_path / "copy.db").exists()


def has_open(pid: int, path: Path) -> bool:
    for one in Path(f"/proc/{pid}/fd").iterdir():
        # It may be closed by now.
        with suppress(FileNotFoundError):
            if os.readlink(one) == str(path):
                return True
    return False


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="who waits is seen in /proc")
@pytest.mark.parametrize(
    ("command", "sign"),
    [
        ("sync pylon.db", "SIGTERM"),
        ("sync pylon.db --every 1h", "SIGINT"),
        ("status pylon.db", "SIGINT"),
        ("backup pylon.db copy.db", "SIGINT"),
    ],
)
def test_who_waits_for_another_program_can_be_stopped(
    run: Run, url: str, tmp_path: Path, command: str, sign: str
) -> None:
    """Which has the file for itself: SQLite would wait for a minute, and no signal ends that."""
    path = tmp_path / "pylon.db"
    assert run("sync", "pylon.db", "tags").returncode == 0
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        program = [sys.executable, "-m", "pylon_to_sqlite", *command.split()]
        environment = {"PATH": os.defpath, "PYLON_API_TOKEN": TOKEN, "PYLON_API_URL": url}
        with subprocess.Popen(program, cwd=tmp_path, env=environment) as process:
            while not has_open(process.pid, path):
                assert process.poll() is None
            process.send_signal(getattr(signal, sign))
            assert process.wait(30) == 5


def test_serve_runs_nothing_of_the_directory_it_is_called_in(run: Run, tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("pylon-to-sqlite")
    assert run("sync", "pylon.db", "tags", "-q").returncode == 0
    for name in ("datasette", "sqlite3", "click"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken over')")
    told = subprocess.run(
        [script, "serve", "pylon.db", "--get", "/pylon.json"],
        cwd=tmp_path,
        env={"PATH": os.defpath},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert b'"tags"' in told.stdout


@pytest.mark.slow
def test_a_server_that_answers_one_byte_at_a_time_is_given_up_within_20_seconds(run: Run) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not over.wait(0.5):
            connection.sendall(b"X-More: to come\r\n")

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    began = time.monotonic()
    told = run("verify-auth", PYLON_API_URL=f"http://127.0.0.1:{listener.getsockname()[1]}")
    over.set()
    listener.close()
    assert time.monotonic() - began < 20
    assert told.returncode == 1
    assert told.stderr.startswith(b"Error: GET /me: no answer")


COMES = "__import__('signal').raise_signal(2)"


@pytest.mark.parametrize(
    "code",
    [
        COMES,
        f"exec({COMES!r})",
        f"class C:\n def __set_name__(self, *_): {COMES}\nclass D:\n c = C()",
    ],
)
def test_ctrl_c_while_the_program_is_being_loaded_is_told_in_a_line(
    run: Run, tmp_path: Path, code: str
) -> None:
    """Also where Python makes another error of it, or would forget that it was caught."""
    (tmp_path / "click.py").write_text(code)
    told = run("streams", PYTHONPATH=str(tmp_path))
    assert (told.returncode, told.stdout, told.stderr) == (5, b"", b"Stopped.\n")


def test_ctrl_c_before_it_is_looked_for_is_told_in_a_line(run: Run, tmp_path: Path) -> None:
    """The module for that has to be loaded too."""
    once = "import sys\nif not hasattr(sys, 'once'):\n sys.once = 1\n raise KeyboardInterrupt\n"
    (tmp_path / "signal.py").write_text(f"{once}from _signal import *")
    told = run("streams", PYTHONPATH=str(tmp_path))
    assert (told.returncode, told.stdout, told.stderr) == (5, b"", b"Stopped.\n")


@pytest.mark.parametrize("sign", ["SIGINT", "SIGTERM"])
def test_a_signal_that_comes_once_all_is_done_changes_nothing(tmp_path: Path, sign: str) -> None:
    late = f"import atexit, signal; atexit.register(signal.raise_signal, signal.{sign})"
    told = subprocess.run(
        [sys.executable, "-c", f"{late}; from pylon_to_sqlite.__main__ import main; main()"],
        env={"PATH": os.defpath, "HOME": str(tmp_path)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (told.returncode, told.stderr.startswith(b"Usage: ")) == (2, True)
    assert b"Traceback" not in told.stderr


def test_ctrl_c_that_python_makes_another_error_of_is_ctrl_c() -> None:
    """As where it comes while a class is being made, before Python 3.12."""

    class Pressed:
        def __set_name__(self, owner: type, name: str) -> None:
            raise KeyboardInterrupt

    told: list[tuple[str, int]] = []
    with (
        pytest.raises(SystemExit) as ended,
        exit_statuses("Stopped.", lambda *one: told.append(one)),
    ):
        type("Made", (), {"it": Pressed()})
    assert (ended.value.code, told) == (5, [("Stopped.", 5)])


def test_ctrl_c_while_the_command_line_is_parsed_is_told_in_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """At each line of click before, around and after a command, which tells of it as of a failure
    where it is the one to catch it."""
    instants = 0
    while (ended := _interrupted(instants)) is not None:
        assert (instants, ended, capsys.readouterr().err.strip()) == (instants, 5, "Stopped.")
        instants += 1
    assert instants > 100


def _interrupted(instant: int) -> object:
    """The status of a command with Ctrl-C before the n-th line of click; None if over by then."""
    left = instant

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.endswith(("click/core.py", "click/parser.py")):
            return None
        if event == "line":
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main(["streams"], "pylon-to-sqlite")
    finally:
        sys.settrace(before)
    return ended.value.code if left < 0 else None


HALF_STARTED = """
import sys, threading
from pylon_to_sqlite.exits import exit_statuses
def trace(frame, event, _):
    if frame.f_code is threading.Thread.start.__code__:
        if event == "line" and frame.f_lineno - frame.f_code.co_firstlineno == int(sys.argv[1]):
            print("pressed")
            raise KeyboardInterrupt
        return trace
with exit_statuses():
    lane = threading.Thread(target=int, name="lane GET /issues")
    sys.settrace(trace)
    lane.start()
"""


def test_ctrl_c_while_a_worker_is_being_started_is_told_in_a_line() -> None:
    """At each line of it: Python counts such a worker among those that are there."""
    pressed = 0
    code = threading.Thread.start.__code__
    for line in sorted({line - code.co_firstlineno for *_, line in code.co_lines() if line}):
        told = subprocess.run(
            [sys.executable, "-c", HALF_STARTED, str(line)], capture_output=True, check=False
        )
        if told.stdout:
            pressed += 1
            assert (line, told.returncode, told.stderr) == (line, 5, b"Stopped.\n")
    assert pressed > 3
