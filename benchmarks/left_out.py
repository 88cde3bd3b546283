"""What leaving things out costs: while reading, and on a file that is large already."""

import multiprocessing
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from benchmarks.program import TOKEN, line, progress
from benchmarks.workspaces import workspace
from pylon_to_sqlite.choice import Choice
from pylon_to_sqlite.client import Client
from pylon_to_sqlite.limits import Clock
from pylon_to_sqlite.plan import iso
from pylon_to_sqlite.privacy import OPEN
from pylon_to_sqlite.pseudonyms import Pseudonyms
from pylon_to_sqlite.reading import ignore
from pylon_to_sqlite.run import Wishes, mirror
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import SandboxTransport
from pylon_to_sqlite.store import Store

TITLE = "Leaving things out"
MESSAGES = 10
ISSUES = 10_000
EXCLUDED = ("contacts.email", "issue_messages.email_info", "issues.custom_fields")
WAYS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "`--public-only`": {"public_only": True},
    "`--pseudonymize-emails`": {"pseudonymize": True},
    "three columns": {"exclude": EXCLUDED},
}


class Timed(SandboxTransport):
    """The sandbox, whose own work is counted."""

    spent = 0.0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        began = time.process_time()
        response = super().handle_request(request)
        self.spent += time.process_time() - began
        return response


def run(quick: bool) -> Iterator[str]:
    """A table of first loads, and one of choices that come later."""
    issues = 1_000 if quick else ISSUES
    made = workspace(issues, MESSAGES)
    with TemporaryDirectory() as directory:
        yield (
            f"A first load of {issues:,} issues with {MESSAGES} messages each, in this process, one"
            " request at a time; the work of the sandbox that answers is not counted."
        )
        yield ""
        yield line("left out", "CPU s", "of nothing", "requests")
        yield line("---", "---:", "---:", "---:")
        first = 0.0
        for name, wishes in WAYS.items():
            progress(name)
            cpu, requests = _load(
                Path(directory, f"{name.strip('`')}.db"),
                Api(made, allowance=None, log=False),
                wishes,
            )
            first = first or cpu
            yield line(name, f"{cpu:.1f}", f"{cpu / first:.2f}", f"{requests:,}")
        yield ""
        yield "Turned on later, on the file of the first line, which is written anew then."
        yield ""
        yield line("left out", "MB", "seconds", "CPU s", "taken out", "peak MB")
        yield line("---", *["---:"] * 5)
        for name in [*WAYS][1:]:
            progress(f"{name}, later")
            path = Path(directory, "later.db")
            shutil.copy(Path(directory, "nothing.db"), path)
            size = path.stat().st_size / 10**6
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                took, cpu, told, memory = pool.apply(partial(_turn_on, path, WAYS[name]))
            yield line(name, f"{size:.0f}", f"{took:.1f}", f"{cpu:.1f}", told, f"{memory:.0f}")


def _load(path: Path, api: Api, wishes: dict[str, Any]) -> tuple[float, int]:
    transport = Timed(api)
    now = [time.time()]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    clock = Clock(lambda: now[0], sleep, lambda: now[0])
    began = time.process_time()
    with closing(Client(TOKEN, "http://localhost", transport, clock)) as client:
        outcome = mirror(path, client, Wishes(**wishes), ignore, ignore)
        if outcome.failed:
            raise RuntimeError(f"{path.name}: {[one.error for one in outcome.results]}")
        return time.process_time() - began - transport.spent, client.requests


def _turn_on(path: Path, wishes: dict[str, Any]) -> tuple[float, float, str, float]:
    """In a process of its own, whose memory is this alone."""
    now = iso(datetime.now(timezone.utc))
    began, cpu = time.perf_counter(), time.process_time()
    with closing(Store(str(path))) as store:
        store.prepare(now)
        choice = Choice().with_privacy(wishes.get("public_only"), wishes.get("exclude", ()), ())
        privacy = choice.privacy(Pseudonyms(b"k" * 32) if "pseudonymize" in wishes else None)
        found = store.hold_to(choice, OPEN, privacy, now, ignore)
        store.purge(now)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    unit = 2**20 if sys.platform == "darwin" else 2**10
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return took, cpu, found.told(), memory
