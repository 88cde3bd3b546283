"""The program as a user runs it: a process of its own, over HTTP, against a sandbox."""

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from benchmarks.workspaces import Counts
from pylon_to_sqlite.sandbox.api import Api

TOKEN = "pylon_api_sandbox"
_COMMAND = [sys.executable, "-m", "pylon_to_sqlite"]
_LONGEST = 3600.0


class Ran(NamedTuple):
    """One run of a command: the seconds it took, and what it said."""

    seconds: float
    status: int
    output: str
    errors: str


class Asked(NamedTuple):
    """How many requests a sandbox was sent: those answered, and those refused (429)."""

    answered: int
    refused: int

    @staticmethod
    def so_far(api: Api) -> "Asked":
        """Until now."""
        return Asked(api.count(), api.refused)

    def until(self, later: "Asked") -> "Asked":
        """Between then and later."""
        return Asked(later.answered - self.answered, later.refused - self.refused)


def run(url: str, directory: Path, *arguments: str) -> Ran:
    """Run the program in `directory`, with no more of an environment than cron gives."""
    variables = {"PYLON_API_TOKEN": TOKEN, "PYLON_API_URL": url}
    return timed([*_COMMAND, *arguments], directory, variables)


def timed(command: list[str], directory: Path, variables: dict[str, str]) -> Ran:
    """Run a command and take its time, the start of its process included."""
    began = time.perf_counter()
    done = subprocess.run(
        command,
        env={"PATH": os.defpath, "HOME": str(directory), **variables},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=_LONGEST,
        check=False,
    )
    return Ran(time.perf_counter() - began, done.returncode, done.stdout, done.stderr)


def sync(url: str, path: Path, *arguments: str) -> Ran:
    """Mirror into `path`. Raises RuntimeError when that fails: its time would mean nothing."""
    done = run(url, path.parent, "sync", str(path), "-q", *arguments)
    if done.status != 0:
        raise RuntimeError(f"the sync failed with {done.status}: {done.errors.strip()}")
    return done


def start_up(url: str, directory: Path, times: int = 3) -> float:
    """Seconds in which the program starts and asks whose token it has: the middle of some."""
    taken = sorted(run(url, directory, "verify-auth").seconds for _ in range(times))
    return taken[times // 2]


def mirrored(path: Path) -> Counts:
    """The live rows of a mirror."""
    with closing(sqlite3.connect(path)) as connection:
        return Counts(
            *(
                connection.execute(f"SELECT count(*) FROM {table} WHERE {live}").fetchone()[0]
                for table, live in (
                    ("issues", "deleted_at IS NULL AND placeholder = 0"),
                    ("issue_messages", "deleted_at IS NULL"),
                    ("issue_threads", "deleted_at IS NULL"),
                )
            )
        )


def check(path: Path, wanted: Counts) -> None:
    """Raise RuntimeError when a mirror lacks rows or has too many: its figures would be void."""
    found = mirrored(path)
    if found != wanted:
        raise RuntimeError(f"the mirror is wrong: it holds {found}, the workspace {wanted}")


def progress(text: str) -> None:
    """Tell whoever waits what is at work."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def line(*cells: object) -> str:
    """A line of a markdown table."""
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def wait_for_window(minute: float) -> None:
    """Wait until one of the sandbox's windows has just begun; they are counted from 1970."""
    time.sleep(minute - time.time() % minute + 0.05)
