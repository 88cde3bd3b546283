"""What it costs to copy and to examine a large mirror, and how soon that can be ended."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from benchmarks.mirrors import mirrored
from benchmarks.program import line
from pylon_to_sqlite.file import held, is_held

TITLE = "Copies and examinations"
# Parts of the whole time after which a signal comes.
INSTANTS = (0.1, 0.3, 0.5, 0.7, 0.9)
# Seconds between two looks at whether a sync would be turned away.
LOOK = 0.02


class Ran(NamedTuple):
    """One run of a command: seconds, seconds of the processor, the most memory in MB, and for how
    many seconds no sync could begin."""

    seconds: float
    cpu: float
    peak: float
    held: float
    status: int


def run(quick: bool) -> Iterator[str]:
    """The table, and how soon a signal is heeded."""
    with mirrored(quick) as (path, _):
        yield from measured(path)


def measured(path: Path) -> Iterator[str]:
    """What there is to tell of the mirror at `path`, beside which copies are made."""
    to = path.with_name("copy.db")
    path.chmod(0o600)
    with held(path), closing(sqlite3.connect(path)) as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in ("issues", "issue_messages")
        ]
    size = path.stat().st_size / 10**9
    yield (
        f"A mirror of {counts[0]:,} issues and {counts[1]:,} messages, {size:.2f} GB, that is in"
        " the memory of the machine already. *No sync* is for how long one that begins is turned"
        " away; one that is at work waits for none of these."
    )
    yield ""
    yield line("what", "seconds", "CPU s", "peak MB", "no sync, s")
    yield line("---", "---:", "---:", "---:", "---:")
    taken = {}
    for name, arguments, before in _commands(path, to):
        before()
        ran = taken[name] = _timed(path, *arguments)
        if ran.status:
            raise RuntimeError(f"{name} failed with {ran.status}")
        yield line(
            *(name, f"{ran.seconds:.1f}", f"{ran.cpu:.1f}", f"{ran.peak:.0f}", f"{ran.held:.1f}")
        )
    yield ""
    for name in ("doctor", "backup"):
        waits = []
        for part in INSTANTS:
            to.unlink(missing_ok=True)
            waits.append(_ended(taken[name].seconds * part, name, path, to))
        yield (
            f"After SIGTERM at {len(INSTANTS)} instants `{name}` ended within"
            f" {max(waits):.1f} s, and had left nothing."
        )


def _commands(path: Path, to: Path) -> Iterator[tuple[str, tuple[str, ...], Callable[[], None]]]:
    """What is run, with what is to be done before."""

    def empty_index() -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            sql = "INSERT INTO issue_messages_fts(issue_messages_fts) VALUES ('delete-all')"
            connection.execute(sql)

    yield "doctor", ("doctor", str(path)), lambda: None
    yield "backup", ("backup", str(path), str(to)), lambda: None
    yield "backup over it", ("backup", str(path), str(to), "--force"), lambda: None
    yield (
        "doctor --mend, of all messages' full text",
        ("doctor", str(path), "--mend"),
        empty_index,
    )


def _started(path: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "pylon_to_sqlite", *arguments],
        env={"PATH": os.defpath, "HOME": str(path.parent)},
        cwd=path.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _timed(path: Path, *arguments: str) -> Ran:
    began = time.perf_counter()
    turned_away = peak = 0.0
    process = _started(path, *arguments)
    while True:
        looked = time.perf_counter()
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        peak = max(peak, _peak(process.pid))
        was_held = is_held(path)
        time.sleep(LOOK)
        turned_away += (time.perf_counter() - looked) * was_held
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu = usage.ru_utime + usage.ru_stime
    return Ran(time.perf_counter() - began, cpu, peak, turned_away, process.returncode)


def _peak(pid: int) -> float:
    """The most memory of a process so far, in MB; 0 where that cannot be told. What the system
    tells at its end has in it what this process takes, from which it came."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return int(found[1]) / 1024 if found else 0.0


def _ended(after: float, name: str, path: Path, to: Path) -> float:
    """Seconds in which a command that is told to end after so many does it."""
    process = _started(path, name, str(path), *([str(to)] if name == "backup" else []))
    time.sleep(after)
    process.send_signal(signal.SIGTERM)
    began = time.perf_counter()
    process.wait()
    left = [one.name for one in path.parent.glob(".*.pylon-copy*")]
    if left or (process.returncode == 5 and to.exists()):
        raise RuntimeError(f"{name} left {left or to}")
    return time.perf_counter() - began
