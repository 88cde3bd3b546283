"""What a row costs this machine, where no rate limit decides: against bare executemany."""

import json
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.program import TOKEN, check, line, progress
from benchmarks.workspaces import Counts, counts, workspace
from pylon_to_sqlite.answers import Reply, page_of
from pylon_to_sqlite.choice import Choice
from pylon_to_sqlite.memory import Memory
from pylon_to_sqlite.plan import Page, Request, iso
from pylon_to_sqlite.reading import Reading
from pylon_to_sqlite.runs import Counts as Written
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import Server
from pylon_to_sqlite.schema import TABLES
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.sync import Sync
from pylon_to_sqlite.transactions import GROUP, Transactions

TITLE = "Local cost"
MESSAGES = 10
SIZES = (10_000, 100_000)
GOAL = 0.6
MOST_MEMORY = 150


class Cost(NamedTuple):
    """What some rows cost: wall time and CPU time in seconds, peak memory in MB where measured."""

    seconds: float
    cpu: float
    memory: float | None = None


class Stages(NamedTuple):
    """CPU seconds of the engine: JSON to pages, pages to rows and all else, rows to the file."""

    parsing: float
    laying_out: float
    writing: float


def run(quick: bool) -> Iterator[str]:
    """A table for each size, and what missed its goal."""
    yield (
        f"Issues with {MESSAGES} messages each, allowances that never end. *Bare* is `executemany`"
        " of the same rows into the same schema, 1,000 rows a transaction, also with WAL and"
        " `synchronous = NORMAL`. *Writing* is the engine's part from rows to the file: looking up"
        " what is there, rows, link rows, placeholders, marks and checkpoints. *Engine* begins with"
        " the JSON of an answer and makes text of HTML; *program* is the command with its requests,"
        " whose server has the other core. Shares are of CPU time, which other work on the machine"
        " disturbs least."
    )
    yield ""
    yield line("issues", "what", "rows", "seconds", "CPU s", "rows a CPU s", "of bare", "peak MB")
    yield line("---:", "---", *["---:"] * 6)
    missed: list[str] = []
    for issues in (500,) if quick else SIZES:
        yield from _size(issues, missed)
    yield ""
    yield (
        f"Goals: at least {GOAL:.0%} of bare, under {MOST_MEMORY} MB. "
        + (f"Missed by: {'; '.join(missed)}." if missed else "All met.")
    )


def _size(issues: int, missed: list[str]) -> Iterator[str]:
    with TemporaryDirectory() as directory, _served(issues) as (url, wanted, told):
        path = Path(directory, "mirror.db")
        progress(f"{issues:,} issues: the program over HTTP")
        program = _program(url, path)
        check(path, wanted)
        rows = _rows(path)
        progress(f"{issues:,} issues: bare executemany")
        bare = _bare(path, Path(directory, "bare.db"))
        progress(f"{issues:,} issues: the engine alone")
        told.send(str(Path(directory, "engine.db")))
        engine, stages = told.recv()
        check(Path(directory, "engine.db"), wanted)
    costs = {
        "bare": bare,
        "writing": Cost(stages.writing, stages.writing),
        "engine": engine,
        "program": program,
    }
    for what, cost in costs.items():
        share = bare.cpu / cost.cpu
        memory = "" if cost.memory is None else f"{cost.memory:.0f}"
        times = f"{cost.seconds:.1f}", f"{cost.cpu:.1f}", f"{rows / cost.cpu:,.0f}"
        yield line(f"{issues:,}", what, f"{rows:,}", *times, f"{share:.0%}", memory)
        if share < GOAL:
            missed.append(f"{what} at {issues:,} ({share:.0%})")
        if cost.memory is not None and cost.memory >= MOST_MEMORY:
            missed.append(f"{what} at {issues:,} ({cost.memory:.0f} MB)")
    progress(f"of the engine: {stages}")


def _program(url: str, path: Path) -> Cost:
    """The command as a user runs it."""
    command = [sys.executable, "-m", "pylon_to_sqlite", "sync", str(path), "-q"]
    variables = {"PYLON_API_TOKEN": TOKEN, "PYLON_API_URL": url}
    began = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **variables})
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"the sync failed with {process.returncode}")
    # Linux tells kilobytes, macOS bytes.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return Cost(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / unit)


def _tables(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return [name for (name,) in found if name in TABLES]


def _rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as mirror:
        count = [
            mirror.execute(f"SELECT count(*) FROM {name}").fetchone() for name in _tables(mirror)
        ]
    return sum(one for (one,) in count)


def _bare(mirror: Path, path: Path) -> Cost:
    """Insert the rows of a mirror as fast as Python can; reading them there is not counted."""
    seconds = cpu = 0.0
    with closing(sqlite3.connect(mirror)) as source, closing(sqlite3.connect(path)) as target:
        target.execute("PRAGMA journal_mode = WAL")
        target.execute("PRAGMA synchronous = NORMAL")
        # The shadow tables of a full-text index come with it.
        for (sql,) in source.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
            " AND name NOT LIKE '%\\_fts\\_%' ESCAPE '\\' OR type = 'trigger'"
            " ORDER BY type != 'table', type != 'view', rowid"
        ).fetchall():
            target.execute(sql)
        for name in _tables(source):
            cursor = source.execute(f"SELECT * FROM {name}")
            sql = f"INSERT INTO {name} VALUES ({', '.join('?' * len(cursor.description))})"
            while chunk := cursor.fetchmany(1000):
                began, began_cpu = time.perf_counter(), time.process_time()
                target.executemany(sql, chunk)
                target.commit()
                seconds += time.perf_counter() - began
                cpu += time.process_time() - began_cpu
    return Cost(seconds, cpu)


@contextmanager
def _served(issues: int) -> Iterator[tuple[str, Counts, Connection]]:
    """A workspace behind HTTP in a process of its own, which later runs the engine too."""
    ours, theirs = multiprocessing.Pipe()
    # A fork would share this process's memory, and with it the figures.
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(issues, theirs))
    server.start()
    try:
        url, wanted = ours.recv()
        yield url, wanted, ours
    finally:
        server.terminate()
        server.join()


def _serve(issues: int, told: Connection) -> None:
    progress(f"{issues:,} issues: making the workspace")
    made = workspace(issues, MESSAGES)
    # Without any the server would tell none, and the program would keep to its guess.
    api = Api(made, allowance=10**9, log=False)
    with Server(api) as server:
        told.send((server.url, counts(made)))
        path = told.recv()
    told.send(engine(api, path))
    told.recv()


class _Answers:
    """Answers of a sandbox without HTTP; remembers the time that the sandbox took for them."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.seconds = self.cpu = self.parsing = 0.0

    def now(self) -> str:
        return _now()

    def fetch(self, request: Request) -> Page:
        began, began_cpu = time.perf_counter(), time.process_time()
        answer = self._api.handle(
            request.method,
            request.path,
            {name: str(value) for name, value in request.params.items()},
            {"authorization": f"Bearer {TOKEN}"},
            json.dumps(request.body).encode() if request.body else b"",
        )
        self.seconds += time.perf_counter() - began
        self.cpu += time.process_time() - began_cpu
        began_cpu = time.process_time()
        payload = json.loads(answer.body)
        if request.is_for_one:
            page = Page([payload["data"]])
        else:
            page = page_of(request, payload, Reply(200, {}, answer.body, time.time()))
        self.parsing += time.process_time() - began_cpu
        return page


class _Unhurried(Transactions):
    """Settled before each request, for an answer may take long. These do not."""

    def settle(self) -> None:
        if not self._is_grouping or self._connection.total_changes - self._settled >= GROUP:
            super().settle()


class _TimedStore(Store):
    """The store, and the CPU seconds that were spent in it."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.transactions = _Unhurried(self.db.conn, self.tables.forget_types)
        self.memory = Memory(self.db, self.transactions)
        self.spent = 0.0

    def commit(self, *given: Any) -> Written:
        with self._timed():
            return super().commit(*given)

    def commit_children(self, *given: Any) -> Written:
        with self._timed():
            return super().commit_children(*given)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.process_time()
        try:
            yield
        finally:
            self.spent += time.process_time() - began


def engine(api: Api, path: str) -> tuple[Cost, Stages]:
    """A first load by the engine without client and HTTP, as when answers never let it wait."""
    answers = _Answers(api)
    with closing(_TimedStore(path)) as store:
        store.prepare(_now(), organization_id="o", organization_name="O")
        began, began_cpu = time.perf_counter(), time.process_time()
        run = store.runs.begin("benchmark", _now())
        Sync(Reading(answers, store, _now)).run(Choice().streams(), run)
        seconds = time.perf_counter() - began - answers.seconds
        cpu = time.process_time() - began_cpu - answers.cpu
    rest = cpu - answers.parsing - store.spent
    return Cost(seconds, cpu), Stages(answers.parsing, rest, store.spent)


def _now() -> str:
    return iso(datetime.now(timezone.utc))
