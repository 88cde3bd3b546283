"""How long a large mirror takes to answer: the canned queries, and the tables as they open."""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.local import engine
from benchmarks.program import line, progress
from benchmarks.workspaces import workspace
from pylon_to_sqlite.metadata import SORT_DESCENDING, queries
from pylon_to_sqlite.sandbox.api import Api

TITLE = "Reading"
ISSUES, MESSAGES = 100_000, 10
GOAL_MS = 100.0
GOAL_SHARE = 0.95
TIMES = 7
# As many as Datasette fetches: a page and one more, or the most it shows of a query.
PAGE, MOST = 101, 1001
# What to ask for where a query cannot do without.
WORDS = "export timeout"


class Read(NamedTuple):
    """A query's time, the middle of TIMES, in milliseconds, the rows it gave, and its plan."""

    milliseconds: float
    rows: int
    plan: list[str]

    @property
    def scans_messages(self) -> bool:
        """Whether all messages are looked at, which no index would have served."""
        return any(re.match(r"SCAN (m|issue_messages)$", step) for step in self.plan)


def run(quick: bool) -> Iterator[str]:
    """The table, and what missed the goal."""
    issues = 500 if quick else ISSUES
    with TemporaryDirectory() as directory:
        path = Path(directory, "mirror.db")
        progress(f"making a mirror of {issues:,} issues")
        engine(Api(workspace(issues, MESSAGES), allowance=None, log=False), str(path))
        yield (
            f"A mirror of {issues:,} issues with {MESSAGES} messages each, the middle of {TIMES}"
            " runs. Tables are read as Datasette opens them, sorted as the metadata says."
        )
        yield ""
        yield line("what", "ms", "rows", "plan")
        yield line("---", "---:", "---:", "---")
        with closing(sqlite3.connect(path)) as connection:
            found = {name: _read(connection, sql, most) for name, sql, most in _questions()}
    for name, read in found.items():
        plan = "; ".join(read.plan)
        yield line(name, f"{read.milliseconds:.1f}", f"{read.rows:,}", plan)
    fast = sum(read.milliseconds < GOAL_MS for read in found.values())
    scans = [name for name, read in found.items() if read.scans_messages]
    yield ""
    yield (
        f"Goals: {GOAL_SHARE:.0%} under {GOAL_MS:.0f} ms ({fast} of {len(found)} are); no scan of"
        f" `issue_messages` ({', '.join(scans) or 'none'})."
    )


def _questions() -> Iterator[tuple[str, str, int]]:
    for query in queries():
        yield query.name, query.sql, MOST
    for table, column in SORT_DESCENDING.items():
        yield f"the table `{table}`", f"SELECT * FROM {table} ORDER BY {column} DESC", PAGE


def _read(connection: sqlite3.Connection, sql: str, most: int) -> Read:
    names = re.findall(r"(?<!:):(\w+)", sql)
    (number,) = connection.execute("SELECT max(number) / 2 FROM issues").fetchone()
    given = {"number": str(number), "words": WORDS}
    parameters = {name: given.get(name, "") for name in names}
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        rows = len(connection.execute(sql, parameters).fetchmany(most))
        taken.append((time.perf_counter() - began) * 1000)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()
    return Read(sorted(taken)[TIMES // 2], rows, [str(step[3]) for step in plan])
