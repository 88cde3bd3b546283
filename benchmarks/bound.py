"""How long a run takes, held against the least that the allowances let it take."""

import math
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from benchmarks import program, workspaces
from benchmarks.program import Asked, line, progress
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import Server
from pylon_to_sqlite.sandbox.workspace import Workspace
from pylon_to_sqlite.stream import PAGE
from pylon_to_sqlite.support_streams import CUSTOM_FIELDS

TITLE = "Time against the bound"

LATENCY = 0.4
MESSAGES = 4
CHANGED = 0.01
# Processes that start side by side would hold each other up. The last case goes first: it is told
# nothing of when windows begin, and must not be late for them.
STAGGER = 1.5
# The goals: wall / bound, made / needed, and round trips of a run that finds nothing new.
TIME_GOAL, REQUESTS_GOAL, TRIPS_GOAL = 1.05, 1.01, 3.0

_CAPTION = f"""\
Every endpoint has the allowance of its row, in fixed windows of a minute, and answers after
{LATENCY} s. A run is a process of its own, begun in the first seconds of a window.

- **Needed** is told by the workspace: a request for each list and page of {PAGE}, one for each
  object type that can have custom fields, and two (messages, threads) for each issue that is new
  or has changed.
- **Bound** is the time of the endpoint that takes longest: the process has to start and ask whose
  token it is (a `verify-auth` on the same server, the middle of three); what depends on another
  answer comes after it, what is told page by page in turn; then as many requests as the allowance
  has can be sent at once, the next as many when the next window begins, and the last takes one
  latency. So the bound knows no limit on requests side by side; the program sends eight. With a
  share of 90 % the allowance counts as nine tenths.
- **Refused** requests (429) are not among those made.

First loads go side by side, for they mostly wait, and the last window of each is half used; the
other runs go one after the other. After each run the mirror has as many issues, messages and
threads as the workspace, or there would be no table."""

_LISTS = (
    "users", "teams", "tags", "knowledge-bases", "ticket-forms", "user-roles", "activity-types",
    "issue-statuses", "macros", "macro-groups", "training-data", "surveys",
)  # fmt: skip
_SEARCHES = ("projects", "milestones", "tasks", "feature_requests", "call_recordings")


@dataclass(frozen=True)
class Need:
    """What a run needs of one endpoint: so many requests, the first one `after` so many round
    trips of others; `in_turn` where a page tells how to ask for the next."""

    requests: int
    after: int = 0
    in_turn: bool = False


def needs(workspace: Workspace, changed: int) -> dict[str, Need]:
    """What it takes to learn of everything, when `changed` issues are new or have changed.

    Told by the workspace and by Pylon's description alone: one request a list or page, one for
    each object type that can have custom fields, and two for each changed issue.
    """
    bases = workspace.records("knowledge_bases")
    articles = sum(_pages(len(workspace.articles(base["id"]))) for base in bases)
    return {
        # Whose token it is, and once more as the organisation.
        "me": Need(2),
        **{name: Need(1) for name in _LISTS},
        **{name: Need(_pages(len(workspace.listed(name))), in_turn=True) for name in _SEARCHES},
        "collections": Need(len(bases), after=1),
        "responses": Need(len(workspace.records("surveys")), after=1),
        "custom-fields": Need(len(CUSTOM_FIELDS.each[1])),
        "accounts": Need(_pages(len(workspace.listed("accounts"))), in_turn=True),
        "contacts": Need(_pages(len(workspace.listed("contacts"))), in_turn=True),
        "articles": Need(articles, after=1),
        "search": Need(_pages(changed), in_turn=True),
        "messages": Need(changed, after=1),
        "threads": Need(changed, after=1),
    }


def least_seconds(
    needed: dict[str, Need], allowance: int, minute: float, offset: float, start_up: float
) -> float:
    """The least time for these requests: that of the endpoint which takes longest.

    Windows are fixed, and the run begins `offset` seconds into one. Request 1 to `allowance` can
    be sent as soon as what they depend on is there, the next as many when the next window begins;
    the answer to the last one takes a round trip. The start of the process and whose token it is
    (`start_up`) come before all.
    """
    latest = start_up
    for need in needed.values():
        if not need.requests:
            continue
        turns = need.requests - 1 if need.in_turn else 0
        ready = start_up + (need.after + turns) * LATENCY
        allowed = (need.requests - 1) // allowance * minute - offset
        latest = max(latest, max(ready, allowed) + LATENCY)
    return latest


def _pages(records: int) -> int:
    return max(1, math.ceil(records / PAGE))


class _Run(NamedTuple):
    """One run, measured."""

    what: str
    needed: int
    made: Asked
    bound: float
    wall: float

    @property
    def slowness(self) -> float:
        return self.wall / self.bound

    @property
    def excess(self) -> float:
        return self.made.answered / self.needed


@dataclass
class _Case:
    """A workspace behind an allowance, and its mirror."""

    allowance: int
    minute: float
    issues: int
    share: int = 100
    start_up: float = 0.0
    workspace: Workspace = field(init=False)
    api: Api = field(init=False)
    server: Server = field(init=False)
    path: Path = field(init=False)

    @property
    def name(self) -> str:
        return f"{self.allowance} a minute, {self.share} %"

    def open(self, directory: Path, latency: float = LATENCY) -> Server:
        """Make the workspace and the server of it."""
        self.workspace = workspaces.workspace(self.issues, MESSAGES, seed=self.issues)
        self.api = Api(self.workspace, allowance=self.allowance, minute=self.minute, log=False)
        self.server = Server(self.api, latency=latency)
        self.path = directory / f"{self.allowance}-{self.share}-{latency}.db"
        return self.server

    def measure(self, what: str, changed: int) -> _Run:
        """Run the program once, and hold it against what it needed."""
        needed = needs(self.workspace, changed)
        before, offset = Asked.so_far(self.api), time.time() % self.minute
        done = program.sync(self.server.url, self.path, "--share", f"{self.share}%")
        program.check(self.path, workspaces.counts(self.workspace))
        usable = int(self.allowance * self.share / 100)
        bound = least_seconds(needed, usable, self.minute, offset, self.start_up)
        requests = sum(need.requests for need in needed.values())
        made = before.until(Asked.so_far(self.api))
        progress(f"{self.name}: {what} took {done.seconds:.1f} s, at least {bound:.1f} s")
        return _Run(what, requests, made, bound, done.seconds)


def run(quick: bool) -> Iterator[str]:
    """The tables, line by line."""
    with tempfile.TemporaryDirectory() as directory:
        yield from _against_the_bound(_cases(quick), Path(directory))
        yield ""
        yield from _nothing_to_do(Path(directory), *((100, 1) if quick else (900, 5)))


def _cases(quick: bool) -> list[_Case]:
    """Six windows and a half each, with minutes of sixty seconds, for that is what the program
    waits where nothing is told; or, quick, one and a half of a shortened minute."""
    if quick:
        return [_Case(20, 4.0, 30)]
    whole = [_Case(allowance, 60.0, allowance * 13 // 2) for allowance in (20, 60, 120, 300)]
    shared = [_Case(20, 60.0, 18 * 13 // 2, share=90), _Case(120, 60.0, 108 * 13 // 2, share=90)]
    return [*whole, *shared]


def _against_the_bound(cases: list[_Case], directory: Path) -> Iterator[str]:
    yield _CAPTION
    yield ""
    yield line(
        "allowance", "share", "minute", "issues", "run", "needed", "made", "refused", "bound s",
        "wall s", "wall ÷ bound", "made ÷ needed",
    )  # fmt: skip
    yield "|---:|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|"
    measured: list[tuple[_Case, _Run]] = []
    with ExitStack() as open_servers:
        for case in cases:
            open_servers.enter_context(case.open(directory))
            case.start_up = program.start_up(case.server.url, directory)
        asked, busy = sum(sum(Asked.so_far(case.api)) for case in cases), time.process_time()
        for results in _runs(cases):
            for case, result in zip(cases, results, strict=True):
                yield _row(case, result)
                measured.append((case, result))
        asked = sum(sum(Asked.so_far(case.api)) for case in cases) - asked
        each = (time.process_time() - busy) / asked
    yield ""
    yield _verdict(measured)
    yield ""
    starts = [case.start_up for case in cases]
    yield (
        f"Start-up took {min(starts):.2f} to {max(starts):.2f} s. A request took the sandbox"
        f" {each * 1000:.1f} ms of a core's time, against the {LATENCY * 1000:.0f} ms for which it"
        " holds an answer back: it was nobody's bottleneck."
    )


def _runs(cases: list[_Case]) -> Iterator[Iterator[_Run]]:
    """The results of each run, case by case. First loads go side by side, for they mostly
    wait; the short ones go one after the other, where every tenth of a second counts."""
    _wait(cases)
    progress(f"first loads of {sum(case.issues for case in cases)} issues, side by side")
    delays = [STAGGER * nth for nth in reversed(range(len(cases)))]
    with ThreadPoolExecutor(len(cases)) as side_by_side:
        yield side_by_side.map(_first_load, cases, delays)
    _wait(cases)
    yield (case.measure("nothing changed", 0) for case in cases)
    changed = [workspaces.change(case.workspace, CHANGED) for case in cases]
    # A change in the very second in which a run begins is left to the next run.
    time.sleep(1)
    _wait(cases)
    pairs = zip(cases, changed, strict=True)
    yield (case.measure("1 % changed", many) for case, many in pairs)


def _wait(cases: list[_Case]) -> None:
    program.wait_for_window(max(case.minute for case in cases))


def _first_load(case: _Case, delay: float) -> _Run:
    time.sleep(delay)
    return case.measure("first load", case.issues)


def _row(case: _Case, result: _Run) -> str:
    return line(
        case.allowance, f"{case.share} %", f"{case.minute:g} s", case.issues, result.what,
        result.needed, result.made.answered, result.made.refused, f"{result.bound:.1f}",
        f"{result.wall:.1f}", f"{result.slowness:.3f}", f"{result.excess:.3f}",
    )  # fmt: skip


def _verdict(results: list[tuple[_Case, _Run]]) -> str:
    """The goals, and which rows miss them."""
    slow = [one for one in results if one[1].slowness > TIME_GOAL]
    greedy = [one for one in results if one[1].excess > REQUESTS_GOAL]
    return (
        f"Goals: wall ÷ bound ≤ {TIME_GOAL}, missed by {_names(slow, results)};"
        f" made ÷ needed ≤ {REQUESTS_GOAL}, missed by {_names(greedy, results)}."
        " Where no allowance is in the way, the bound is the start and two or three round trips:"
        " see below."
    )


def _names(missed: list[tuple[_Case, _Run]], results: list[tuple[_Case, _Run]]) -> str:
    """Rows by their runs, each with its allowances."""
    told = []
    for what in dict.fromkeys(one.what for _, one in results):
        names = [case.name for case, one in missed if one.what == what]
        among = sum(one.what == what for _, one in results)
        if names:
            told.append(f"{what} ({'all' if len(names) == among else ', '.join(names)})")
    return " and ".join(told) or "none"


def _nothing_to_do(directory: Path, issues: int, times: int) -> Iterator[str]:
    """The round trips of a run that finds nothing new, with allowance for everything at once."""
    yield (
        f"The least a run can take: {issues} issues, every list fits one page, an allowance of"
        " 10,000, and nothing changed. What it takes beyond start-up (a `verify-auth`) is counted"
        " in round trips; the same without latency tells how much of it is the program's own work."
    )
    yield ""
    yield line("latency s", "start-up s", "wall s", "beyond s", "round trips")
    yield "|---:|---:|---:|---:|---:|"
    trips = 0.0
    for latency in (0.0, LATENCY):
        case = _Case(10_000, 60.0, issues)
        with case.open(directory, latency) as server:
            program.sync(server.url, case.path)
            start_up = program.start_up(server.url, directory, times)
            runs = sorted(program.sync(server.url, case.path).seconds for _ in range(times))
            taken = runs[times // 2]
            program.check(case.path, workspaces.counts(case.workspace))
        trips = (taken - start_up) / latency if latency else 0.0
        told = f"{trips:.1f}" if latency else ""
        cells = (f"{one:.2f}" for one in (start_up, taken, taken - start_up))
        yield line(latency, *cells, told)
    yield ""
    verdict = "met" if trips <= TRIPS_GOAL else "missed"
    yield f"The goal of at most {TRIPS_GOAL:.0f} round trips is {verdict}."
