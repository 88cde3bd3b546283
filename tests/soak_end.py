"""The end of a soak, when nothing changes any more and nothing goes wrong: what must be so then."""

import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from mirroring import DAY, TOKEN
from soak_reading import counted
from soak_report import Report
from soak_runs import Fate, Programs

from pylon_to_sqlite.full_text import is_true
from pylon_to_sqlite.schema import FULL_TEXT
from pylon_to_sqlite.streams import STREAMS

# What reading by changes does not show: followers, comments and the like tell of none.
UNTOLD = tuple(stream.name for stream in STREAMS if stream.is_optional)
LISTS = [stream.name for stream in STREAMS if not stream.is_by_staleness]
# Both kinds of issues, and all that a run in the middle may have left out.
EVERYTHING = ("--all", "--custom-object", "companies", "--issue-type", "all")
PATIENT = 300.0
# A mirror is no larger than so many compact copies of it, nor its -wal than so many of it.
MOST_COPIES, MOST_MIRRORS = 2, 8
# A -wal that is smaller is not looked at: until it has a thousand pages nobody but a run that ends
# well moves it into its file.
SMALL = 1000 * 4096

Ask = Callable[..., Any]
"""Asks the desk for what it knows."""


def clean(programs: Programs, url: str, *arguments: str) -> str:
    """What a program says that nothing disturbs, however long it takes."""
    return programs.run(url, *arguments, fate=Fate(after=PATIENT))[1]


def settled(
    programs: Programs, ask: Ask, url: str, door: int, name: str, *, in_one: bool
) -> Iterator[str]:
    """Clean runs: one that sees all issues that tell of their change, one that sees all but what
    tells of none, and --full, which reads that too; or the last one alone, `in_one`. Gives how the
    mirror differs from the workspace after each, which are two: what two have to be told (that a
    conversation is empty) the last change may have told none."""
    path, sync = str(programs.directory / name), ("sync", name, *EVERYTHING)
    allowed = [word for stream in LISTS for word in ("--allow-deletes", stream)]
    if not in_one:
        for _ in range(2):
            clean(programs, url, *sync)
        for one in ask("told", path, door):
            yield f"{name} after a sync: {one}"
        for _ in range(2):
            clean(programs, url, *sync, *allowed, "--reconcile", "--verify", "36500")
        for one in ask("differences", path, door):
            if not one.startswith(UNTOLD):
                yield f"{name} after --reconcile --verify: {one}"
    for _ in range(2):
        clean(programs, url, *sync, *allowed, "--full", "--reconcile")
    for one in ask("differences", path, door):
        yield f"{name} after --full: {one}"


def closed(programs: Programs, url: str, name: str) -> Iterator[str]:
    """When nobody reads: a last copy, than which the mirror is hardly larger, and a last run, which
    has nothing to do and leaves nothing beside the mirror."""
    copy, path = programs.directory / "copies" / f"last-{name}", programs.directory / name
    _age(copy.parent)
    clean(programs, url, "backup", name, f"copies/last-{name}")
    if path.stat().st_size > MOST_COPIES * copy.stat().st_size:
        yield f"{name} has {path.stat().st_size:,} bytes, its copy {copy.stat().st_size:,}"
    said = clean(programs, url, "sync", name)
    if not re.search(r"\b0 new, 0 changed, 0 gone", said):
        yield f"{name}: a run that is to find nothing new says: {said}"


def _age(directory: Path) -> None:
    """Let what killed backups have left be of yesterday."""
    for one in directory.iterdir():
        if one.name.startswith("."):
            os.utime(one, (time.time() - DAY,) * 2)


def left(directory: Path, report: Report) -> Iterator[str]:
    """What is wrong with the files that are there when every program has ended."""
    halves = 0
    for one in sorted(path for path in directory.rglob("*") if path.is_file()):
        name = one.relative_to(directory).as_posix()
        if TOKEN.encode() in one.read_bytes():
            yield f"the token is in {name}"
        if one.suffix == ".log":
            continue
        if one.stat().st_mode & 0o077:
            yield f"others can read {name}"
        if re.fullmatch(r"copies/\..*", name):
            report.left += 1
        elif re.fullmatch(r"files/[0-9a-f]{32}\.part", name):
            halves += 1
        elif not _KNOWN.fullmatch(name):
            yield f"{name} was left behind"
    # The next sync that downloads removes them.
    if halves > (killed := report.tally.killed["sync"]):
        yield f"{halves} contents are half done, but only {killed} syncs were killed"
    killed = report.tally.killed["backup"]
    if report.left > killed:
        yield f"{report.left} copies are half done, but only {killed} backups were killed"
    for log in ("serve.log", "desk.log"):
        said = (directory / log).read_text(encoding="utf-8")
        if "Traceback" in said:
            yield f"{log}: {said[said.index('Traceback') :][:2000]}"


_KNOWN = re.compile(
    r"(pylon|steady)\.db(\.lock)?|copies/(\d|last-\w+)\.db"
    # Contents of files.
    r"|files/(\.pylon-to-sqlite|[0-9a-f]{2}/[0-9a-f]{64}(\.\w+)?)"
)


def examined(path: Path, taken_back: set[str] | None = None) -> Iterator[str]:
    """What is wrong with a file that nobody writes to; no page of it has words that were taken
    back."""
    with closing(sqlite3.connect(path)) as connection:
        for sql in ("PRAGMA integrity_check", "PRAGMA foreign_key_check"):
            found = connection.execute(sql).fetchall()
            if found not in ([], [("ok",)]):
                yield f"{path.name}: {sql}: {found[:5]}"
        for rule, n in connection.execute(counted()):
            yield f"{path.name}: {rule}: {n}"
        for table in FULL_TEXT:
            if not is_true(connection, table):
                yield f"{path.name}: the index of {table} is wrong"
    words = {word.decode() for word in re.findall(rb"zq\d+zq", path.read_bytes())}
    if there := words & (taken_back or set()):
        yield f"{path.name} holds words that were taken back: {there}"


def grown(report: Report) -> Iterator[str]:
    """What has not stayed flat."""
    yield from report.judge()
    for name, one in report.bytes.items():
        whole = report.bytes[name.removesuffix("-wal")]
        if max(one.values) > max(SMALL, MOST_MIRRORS * max(whole.values)):
            yield f"{name} grew to {max(one.values):,.0f} bytes"
