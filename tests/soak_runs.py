"""The programs that the soak runs: each with a fate, a log of its own, and the exit statuses that
are documented for it. Knows no workspace and no pages."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mirroring import TOKEN

COMMAND = [sys.executable, "-m", "pylon_to_sqlite"]

Options = Sequence[Sequence[tuple[str, ...]]]
# What a sync may be given: of each line one, or none.
OPTIONS: Options = (
    (("--workers", "1"), ("--workers", "2"), ("--workers", "16")),
    (("--reconcile",), ("--full",), ("--verify", "1")),
    (("-q",), ("-v",), ("--log-json",), ("--log-json", "-v")),
    (("--max-time", "1s"), ("--max-time", "3s"), ("--share", "50%")),
    (("--all", "--custom-object", "companies"), ("issues",), ("accounts", "contacts")),
    (("--download-attachments", "files"),),
)
# One soak has the one, another the other: what --issue-type leaves out would be erased too.
EITHER: Options = (
    (("--erase-deleted", "0"),),
    (("--issue-type", "conversation"), ("--issue-type", "all"), ("--issue-type", "all")),
)
SHARE = 0.35

OK, FAILED, NOT_AUTHORISED, BUSY, STOPPED = 0, 1, 3, 4, 5
# A signal ends a run within a second; this much more is the machine's, which has other work.
SOON = 5.0
# No run is given longer: it has met a hang, and is stopped.
LONGEST = 60.0
# In a traceback, what is ours.
PACKAGE = "pylon_to_sqlite/"
# What no program is to say, whatever happens.
NEVER = ("Traceback", "Exception ignored", "database is locked", "malformed", TOKEN)


@dataclass
class Tally:
    """What was run, how it ended, and what was wrong with that."""

    runs: Counter[str] = field(default_factory=Counter)
    """By command."""
    signals: Counter[str] = field(default_factory=Counter)
    """Programs that a signal met at work, by its name."""
    killed: Counter[str] = field(default_factory=Counter)
    """By command, those that SIGKILL met."""
    statuses: Counter[str] = field(default_factory=Counter)
    """By command and exit status."""
    said: Counter[str] = field(default_factory=Counter)
    """What syncs said of failures, without what differs from one to the next."""
    stopping: list[float] = field(default_factory=list)
    """Seconds from SIGINT or SIGTERM to the end."""
    problems: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Fate:
    """What becomes of a program: nothing, or a signal after so many seconds."""

    sign: signal.Signals | None = None
    after: float = LONGEST


class Programs:
    """Runs programs in a directory. `stop` ends those that are at work."""

    def __init__(self, directory: Path, tally: Tally, options: Options) -> None:
        self.directory = directory
        self.tally = tally
        self.options = options
        self.over = threading.Event()
        self.logs = directory / "logs"
        self.logs.mkdir()
        (directory / "tmp").mkdir()
        self._number = 0
        self._begun: Counter[str] = Counter()
        self._at_work: Counter[str] = Counter()

    def start(self, url: str, *arguments: str) -> tuple[subprocess.Popen[bytes], Path]:
        """A program with no more of an environment than cron gives, and its log."""
        with self.tally.lock:
            self._number += 1
            log = self.logs / f"{self._number:04}-{arguments[0]}.log"
        variables = {"PYLON_API_TOKEN": TOKEN, "PYLON_API_URL": url, "HOME": str(self.directory)}
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*COMMAND, *arguments],
                env={"PATH": os.defpath, "TMPDIR": str(self.directory / "tmp"), **variables},
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        return process, log

    def run(
        self,
        url: str,
        *arguments: str,
        fate: Fate | None = None,
        allowed: Callable[[], set[int]] = lambda: {OK},
    ) -> tuple[int, str]:
        """Run a program to its end, which is to be one that is `allowed`, or its signal's. Gives
        its exit status and what it said."""
        fate = fate or Fate()
        process, log = self.start(url, *arguments)
        sent: float | None = None
        is_due = fate.sign or fate.after == LONGEST
        sign = fate.sign or signal.SIGTERM
        try:
            process.wait(fate.after)
        except subprocess.TimeoutExpired:
            # What does not end by itself, such as in a hang, is stopped.
            sent = time.monotonic()
            process.send_signal(sign)
            self._wait(process, sign, arguments)
        said = log.read_text(encoding="utf-8", errors="replace")
        status = process.returncode
        self._note(arguments, status, said, sign if sent else None)
        statuses = allowed()
        if sent and sign == signal.SIGKILL:
            statuses |= {-sign}
        elif sent and is_due:
            self.tally.stopping.append(time.monotonic() - sent)
            statuses |= {STOPPED}
            if not said or is_python(said):
                statuses |= {-sign, FAILED}
        if status not in statuses:
            self._wrong(arguments, f"{sign.name if sent else 'unmet'}: ended with {status}", said)
        return status, said

    def sync(
        self, url: str, db: str, draw: random.Random, fate: Fate, *given: str
    ) -> tuple[int, str]:
        """A sync with whatever options besides; gives its exit status, and what it said."""
        options = [*given, *drawn(draw, self.options)]
        with self.held(db) as is_shared:

            def allowed() -> set[int]:
                busy = {BUSY} if is_shared() else set()
                in_time = {STOPPED} if "--max-time" in options else set()
                return {OK, FAILED, NOT_AUTHORISED} | busy | in_time

            status, said = self.run(url, "sync", db, *options, fate=fate, allowed=allowed)
        for line in _failures(said):
            self.tally.said[line] += 1
        return status, said

    @contextmanager
    def held(self, db: str) -> Iterator[Callable[[], bool]]:
        """Around a program that holds a file for itself, if only for a moment; gives whether
        another one may have held it at any time since."""
        with self.tally.lock:
            self._begun[db] += 1
            self._at_work[db] += 1
            mine, was_shared = self._begun[db], self._at_work[db] > 1
        try:
            yield lambda: was_shared or self._begun[db] > mine
        finally:
            with self.tally.lock:
                self._at_work[db] -= 1

    def _wait(
        self, process: subprocess.Popen[bytes], sign: signal.Signals, arguments: Sequence[str]
    ) -> None:
        try:
            process.wait(SOON)
        except subprocess.TimeoutExpired:
            self._wrong(arguments, f"goes on {SOON:.0f} s after {sign.name}", "")
            process.kill()
            process.wait()

    def _note(
        self, arguments: Sequence[str], status: int, said: str, sign: signal.Signals | None
    ) -> None:
        tally = self.tally
        with tally.lock:
            tally.runs[arguments[0]] += 1
            tally.statuses[f"{arguments[0]} {status}"] += 1
            if sign:
                tally.signals[sign.name] += 1
            tally.killed[arguments[0]] += status == -signal.SIGKILL
        for one in NEVER:
            if one in said and not (sign == signal.SIGINT and is_python(said)):
                self._wrong(arguments, f"says {one!r}", said)

    def _wrong(self, arguments: Sequence[str], what: str, said: str) -> None:
        self.tally.problems.append(f"{' '.join(arguments)}: {what}: {said[-1500:]}")


def is_python(said: str) -> bool:
    """Whether it is Python alone that tells of Ctrl-C: it had not come to anything of ours."""
    return "KeyboardInterrupt" in said and PACKAGE not in said


def drawn(draw: random.Random, options: Options) -> list[str]:
    """Some of the options."""
    chosen = [draw.choice(choices) for choices in options if draw.random() < SHARE]
    return [word for words in chosen for word in words]


def _failures(said: str) -> Iterator[str]:
    """What a sync says of failures, without numbers and ids."""
    for line in said.splitlines():
        text = line
        if line.startswith("{"):
            # Whoever is killed may have been writing.
            event = json.loads(line) if line.endswith("}") else {}
            is_error = event.get("event") == "error"
            text = str(event.get("error") or (is_error and event["message"]) or "")
        elif not re.search(r"[Ee]rror|failed|failing|: (4|5)\d\d ", line):
            continue
        if text:
            text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}|\d[\d,.:TZ-]*", "…", text)
            yield text[:160]
