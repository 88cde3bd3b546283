"""How long a large mirror takes to answer: canned queries, and tables and views as they open."""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

from benchmarks.mirrors import MESSAGES, mirrored
from benchmarks.program import line
from pylon_to_sqlite.metadata import SORT_DESCENDING, queries
from pylon_to_sqlite.views import VIEWS

TITLE = "Reading"
# Datasette gives up after a second; what it opens with is to be there at once.
GOAL_MS, GOAL_PAGE_MS = 1000.0, 100.0
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
    with mirrored(quick) as (path, issues):
        yield (
            f"A mirror of {issues:,} issues with {MESSAGES} messages each, the middle of {TIMES}"
            " runs. Tables and views are read as Datasette opens them, sorted as the metadata says;"
            f" words are searched for with `{WORDS}`."
        )
        yield ""
        yield line("what", "ms", "rows", "how issues and messages are read")
        yield line("---", "---:", "---:", "---")
        with closing(sqlite3.connect(path)) as connection:
            found = {name: _read(connection, sql, most) for name, sql, most in _questions()}
    for name, read in found.items():
        plan = "; ".join(dict.fromkeys(map(_short, filter(_is_large, read.plan))))
        yield line(name, f"{read.milliseconds:.1f}", f"{read.rows:,}", plan)
    slow = [name for name, read in found.items() if read.milliseconds >= GOAL_MS]
    opened = {name: read for name, read in found.items() if name.startswith("the ")}
    late = [name for name, read in opened.items() if read.milliseconds >= GOAL_PAGE_MS]
    scans = [name for name, read in found.items() if read.scans_messages]
    yield ""
    yield (
        f"Goals: none takes {GOAL_MS:.0f} ms ({', '.join(slow) or 'none does'}), no table or view"
        f" {GOAL_PAGE_MS:.0f} ms to open ({', '.join(late) or 'none does'}); no scan of"
        f" `issue_messages` without an index ({', '.join(scans) or 'none'})."
    )


def _is_large(step: str) -> bool:
    """Whether a step of a plan looks at issues, messages or what belongs to them."""
    return bool(re.search(r"^(SCAN|SEARCH) ([im]|issues|issue_messages)$|issue", step))


def _short(step: str) -> str:
    """An index of many columns by the first of them."""
    return re.sub(r"\b(idx_\w{28})\w{6,}", r"\1…", step)


def _questions() -> Iterator[tuple[str, str, int]]:
    for query in queries():
        yield query.name, query.sql, MOST
    for name, column in SORT_DESCENDING.items():
        kind = "view" if name in VIEWS else "table"
        yield f"the {kind} `{name}`", f"SELECT * FROM {name} ORDER BY {column} DESC", PAGE
    for name, view in VIEWS.items():
        yield f"`{name}`, counted", f"SELECT count(*) FROM {name}", MOST
        if "issue_id" in view.columns:
            chosen = "(SELECT id FROM issues WHERE number = CAST(:number AS INTEGER))"
            yield f"`{name}`, of one issue", f"SELECT * FROM {name} WHERE issue_id = {chosen}", MOST
        elif "number" in view.columns:
            sql = f"SELECT * FROM {name} WHERE number = CAST(:number AS INTEGER)"
            yield f"`{name}`, of one issue", sql, MOST


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
