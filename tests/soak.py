"""The soak: a workspace that changes all the time and misbehaves, syncs every few seconds that are
killed at random, and a Datasette that is read throughout. Nothing may be lost, no reader may see an
error, and memory stays flat.

    python tests/soak.py --minutes 10 --seed 1

It prints what it did, and ends with 1 where anything was wrong. The choices are those of the seed;
at which instants they meet is the machine's.
"""

import argparse
import json
import random
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from soak_end import EVERYTHING, closed, examined, grown, left, settled
from soak_reading import Reader
from soak_report import Report, child_of
from soak_runs import (
    BUSY,
    COMMAND,
    EITHER,
    FAILED,
    NEVER,
    NOT_AUTHORISED,
    OK,
    OPTIONS,
    STOPPED,
    Fate,
    Programs,
    is_python,
)

from pylon_to_sqlite.plan import LAG

MAIN, STEADY = "pylon.db", "steady.db"
# From so many seconds on there is time at the end too: to wait, and to look at each page once more.
LONG = 60.0
# What doctor may find wrong meanwhile: words that wait for a sync that was killed, and Pylon.
MAY_BE_WRONG = {"unpurged", "token", "clock"}


class Desk:
    """The process of the workspace, asked in lines."""

    def __init__(self, seed: int, pause: float, issues: int, directory: Path) -> None:
        program = Path(__file__).with_name("soak_desk.py")
        with (directory / "desk.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(program), *map(str, (seed, pause, issues))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._lock = threading.Lock()

    def ask(self, *question: Any) -> Any:
        """What it answers to the name of a method and its arguments."""
        assert self.process.stdin
        assert self.process.stdout
        with self._lock:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(20)


class Soak:
    """One soak in a directory that is empty: so many seconds between two changes of a desk that
    begins with so many issues."""

    def __init__(
        self, directory: Path, seed: int, seconds: float, *, pause: float = 0.15, issues: int = 40
    ) -> None:
        self.directory, self.seed, self.pause = directory, seed, pause
        self.report = Report(seed, seconds)
        draw = self._draw("options")
        self.programs = Programs(directory, self.report.tally, [*OPTIONS, draw.choice(EITHER)])
        self.desk = Desk(seed, pause, issues, directory)
        self.urls: list[str] = self.desk.ask("begin")
        self.over = threading.Event()
        (directory / "copies").mkdir()

    def run(self) -> Report:
        """All of it, from the first sync to the last look at the files."""
        try:
            self._go_on()
            self._close()
        finally:
            self.desk.process.kill()
        return self.report

    def _go_on(self) -> None:
        report, main = self.report, self.directory / MAIN
        with self._staying() as steady:
            self._until(lambda: _is_mirror(main) and _is_mirror(self.directory / STEADY))
            with self._served() as (datasette, readers):
                pids = {"datasette": datasette, "sync --every": steady.pid}
                tasks = [self._syncs, self._others, lambda: self._watch(pids)]
                tasks += [reader.read for reader in readers]
                self._side_by_side(tasks)
                wait = self.desk.ask("calm")
                # What was read right after a change is read once more, two minutes after it.
                time.sleep(LAG.total_seconds() + wait if report.seconds >= LONG else wait)
                self._end(steady, readers)

    def _side_by_side(self, tasks: Sequence[Callable[[], None]]) -> None:
        """All of them, until the time is up; each sees by itself that it is."""
        threads = [threading.Thread(target=self._kept, args=(one,)) for one in tasks]
        for thread in threads:
            thread.start()
        time.sleep(self.report.seconds)
        self.over.set()
        for thread in threads:
            thread.join()

    def _kept(self, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception as error:
            self._wrong(f"the soak itself: {error!r}")

    def _draw(self, name: str) -> random.Random:
        return random.Random(f"{self.seed} {name}")

    def _wrong(self, what: str) -> None:
        self.report.problems.append(what)

    def _until(self, is_so: Callable[[], bool]) -> None:
        """Sync with whatever fate until something is so."""
        draw = self._draw("beginning")
        deadline, longest = time.monotonic() + 120, 0.5
        while not is_so():
            assert time.monotonic() < deadline, "there are no mirrors after two minutes"
            # Longer and longer, for a machine may be busy.
            longest += 0.5
            fate = Fate(signal.SIGKILL, draw.uniform(0, longest))
            self.programs.sync(self.urls[0], MAIN, draw, fate)

    # What goes on side by side.

    def _syncs(self) -> None:
        """One sync after the other, or one that stays for a while, and their fates."""
        draw, took = self._draw("syncs"), [1.0]
        while not self.over.wait(draw.uniform(0, 10 * self.pause)):
            if draw.random() < 0.12:
                self._stay_for_a_while(draw)
                continue
            sign = draw.choice([None, None, *[signal.SIGKILL] * 2, signal.SIGTERM, signal.SIGINT])
            # At any instant of a run, and now and then after it.
            longest = 1.3 * statistics.median(took[-20:])
            fate = Fate(sign, draw.uniform(0, longest)) if sign else Fate()
            began = time.monotonic()
            if draw.random() < 0.1:
                with self._rival(draw):
                    self._sync(draw, fate)
                continue
            self._sync(draw, fate)
            if sign is None:
                took.append(min(5.0, time.monotonic() - began))

    def _sync(self, draw: random.Random, fate: Fate) -> None:
        """One that fails where nothing went wrong fails for nothing."""
        before, is_down = self.desk.ask("trouble", 0)
        status, said = self.programs.sync(self.urls[0], MAIN, draw, fate)
        is_due = is_down or self.desk.ask("trouble", 0)[0] > before or is_python(said)
        # Unless so much was deleted at once that it is no news.
        if status in (FAILED, NOT_AUTHORISED) and not is_due and "list lacks" not in said:
            self._wrong(f"a sync ended with {status} though nothing went wrong: {said[-1000:]}")

    def _stay_for_a_while(self, draw: random.Random) -> None:
        """As a service does, until it is stopped, or killed."""
        sign = draw.choice([signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
        fate = Fate(sign, draw.uniform(2, 40 * self.pause))
        self.programs.sync(self.urls[0], MAIN, draw, fate, "--every", "1s")

    @contextmanager
    def _rival(self, draw: random.Random) -> Iterator[None]:
        """Another sync of the same file beside what is done: one of the two is turned away."""
        other = random.Random(draw.random())
        fate = Fate() if draw.random() < 0.5 else Fate(signal.SIGKILL, draw.uniform(0, 2))
        run = threading.Thread(
            target=self._kept,
            args=(lambda: self.programs.sync(self.urls[0], MAIN, other, fate),),
        )
        run.start()
        try:
            yield
        finally:
            run.join()

    def _others(self) -> None:
        """Copies, examinations, and questions to the file."""
        draw, number = self._draw("others"), 0
        while not self.over.wait(draw.uniform(0, 20 * self.pause)):
            number += 1
            fate = Fate()
            if draw.random() < 0.3:
                sign = draw.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
                fate = Fate(sign, draw.uniform(0, 1))
            kind = draw.choice(["backup", "backup", "doctor", "mend", "status", "runs"])
            if kind == "backup":
                self._back_up(f"copies/{number % 3}.db", fate)
            elif kind in ("doctor", "mend"):
                self._examine(kind == "mend", fate)
            else:
                with self.programs.held(MAIN):
                    self.programs.run(self.urls[0], kind, MAIN, "--json", fate=fate)

    def _back_up(self, to: str, fate: Fate) -> None:
        """A copy, which is whole, and of one moment."""
        status, _ = self.programs.run(self.urls[0], "backup", MAIN, to, "--force", fate=fate)
        copy = self.directory / to
        if status != OK and not copy.exists():
            return
        self.report.problems += examined(copy)

    def _examine(self, mend: bool, fate: Fate) -> None:
        more = ["--mend"] if mend else []
        with self.programs.held(MAIN) as is_shared:
            status, said = self.programs.run(
                *(self.urls[0], "doctor", MAIN, "--json", *more),
                fate=fate,
                allowed=lambda: {OK, FAILED} | ({BUSY} if mend and is_shared() else set()),
            )
        if status in (OK, FAILED) and not is_python(said):
            self._judge(said, MAY_BE_WRONG)

    def _judge(self, said: str, may_be_wrong: set[str]) -> None:
        for one in json.loads(said)["checks"]:
            if one["state"] in ("wrong", "mended") and one["check"] not in may_be_wrong:
                self._wrong(f"doctor: {one}")

    def _watch(self, pids: dict[str, int]) -> None:
        """Twice a second."""
        names = [f"{name}{suffix}" for name in (MAIN, STEADY) for suffix in ("", "-wal")]
        while not self.over.wait(0.5):
            self.report.look(pids, {name: self.directory / name for name in names})

    @contextmanager
    def _staying(self) -> Iterator[subprocess.Popen[bytes]]:
        """A sync of another file that stays from beginning to end, and that nobody stops."""
        process, log = self.programs.start(
            self.urls[1], "sync", STEADY, *EVERYTHING, "--every", "2s"
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            said = log.read_text(encoding="utf-8")
            self.report.rounds = said.count("; next at ")
            told = [f"the sync that stays says {one!r}" for one in NEVER if one in said]
            self.report.problems += told

    @contextmanager
    def _served(self) -> Iterator[tuple[int, list[Reader]]]:
        """A Datasette over both files, its process, and who reads what it serves."""
        port = free_port()
        log = self.directory / "serve.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*COMMAND, "serve", MAIN, STEADY, "-p", str(port)],
                cwd=self.directory,
                stdout=out,
                stderr=out,
            )
        try:
            _wait_for(port)
            shared = (self.report.found, self.pause, self.over)
            readers = [
                Reader(f"127.0.0.1:{port}", name, self._draw(f"reader {at}"), *shared)
                for at, name in enumerate(("pylon", "pylon", "steady"))
            ]
            yield child_of(process.pid), readers
        finally:
            process.terminate()
            if process.wait(30) != OK:
                self._wrong(f"serve ended with {process.returncode}")

    # The end.

    def _end(self, steady: subprocess.Popen[bytes], readers: Sequence[Reader]) -> None:
        """While the file is still served."""
        report, ask = self.report, self.desk.ask
        if steady.poll() is not None:
            self._wrong(f"the sync that stays ended with {steady.returncode}")
        steady.send_signal(signal.SIGTERM)
        if steady.wait(10) not in (OK, STOPPED):
            self._wrong(f"the sync that stays ended with {steady.returncode}")
        for door, (url, name) in enumerate(zip(self.urls, (MAIN, STEADY), strict=True)):
            in_one = report.seconds < LONG
            report.problems += settled(self.programs, ask, url, door, name, in_one=in_one)
        self._judge(self.programs.run(self.urls[0], "doctor", MAIN, "--json")[1], set())
        report.desk = ask("tally")
        report.problems += report.desk["errors"]
        if report.desk["writes"] or report.desk["strays"]:
            self._wrong(f"asked for what is not to be asked for: {report.desk}")
        for reader in readers:
            reader.count()
            reader.view("private_notes")
        if report.seconds >= LONG:
            readers[0].everything()
        if lost := report.found.vanished - {*ask("gone")}:
            self._wrong(f"rows of issues or messages that nobody deleted are gone: {lost}")

    def _close(self) -> None:
        """When nobody reads any more."""
        report = self.report
        for url, name in zip(self.urls, (MAIN, STEADY), strict=True):
            report.problems += closed(self.programs, url, name)
        words = {*self.desk.ask("taken_back")}
        self.desk.close()
        report.problems += left(self.directory, report)
        for path in (self.directory / MAIN, *(self.directory / "copies").glob("last-*")):
            report.problems += examined(path, words)
        report.problems += examined(self.directory / STEADY, words)
        report.problems += grown(report)
        report.problems += [*report.tally.problems, *report.found.problems]


def _is_mirror(path: Path) -> bool:
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as one:
        sql = "SELECT 1 FROM _pylon_meta WHERE key = 'organization_id'"
        return one.execute(sql).fetchone() is not None
    return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "Datasette does not answer"
            time.sleep(0.05)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=0.15, help="seconds between two changes")
    parser.add_argument("--issues", type=int, default=40, help="to begin with")
    parser.add_argument("--directory", type=Path, help="an empty one, which is kept")
    options = parser.parse_args()
    # A shell in the background has it ignored, and every program that is started from there.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.directory or Path(temporary)
        directory.mkdir(exist_ok=True)
        desk = {"pause": options.pause, "issues": options.issues}
        report = Soak(directory, options.seed, options.minutes * 60, **desk).run()
    print("\n".join(report.lines()))
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
