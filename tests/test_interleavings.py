"""Whatever happens in whatever order, a run that nothing disturbs makes the mirror equal.

What is in none of the changes here: those that leave updated_at alone (merges, a person's name or
address) and deletions of anything but messages, for most of which the mirror has no way to know.
"""

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from changes import CHANGES, pick
from conftest import FakeClock
from desk import open_desk
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from mirroring import DAY, Death, errors, sync
from oracle import differences

from pylon_to_sqlite import plan
from pylon_to_sqlite.errors import PylonError
from pylon_to_sqlite.plan import Checkpoint, Page
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import SandboxTransport
from pylon_to_sqlite.sandbox.workspace import Workspace

# So few records a page that a handful of issues fill several, and a conversation more.
PAGE, PAGE_OF_MESSAGES = 2, 1


@dataclass(frozen=True)
class Kind:
    """What kind of an API it is: nobody knows for sure of Pylon's."""

    inclusive: bool = False
    search_lag: float = 0.0
    max_window_days: float | None = None


@dataclass(frozen=True)
class Change:
    """Something that happens in the workspace; `which` picks whom it happens to."""

    kind: str
    which: int


@dataclass(frozen=True)
class Fault:
    """What the API does wrong from now on, in place of what it did before."""

    kind: str
    where: str
    after: int
    times: int


@dataclass(frozen=True)
class Run:
    """A sync, with what happens before its n-th request, and the one that it dies at."""

    names: tuple[str, ...] = ()
    full: bool = False
    meanwhile: tuple[tuple[int, Change], ...] = ()
    dies_at: int | None = None
    answered: bool = False


Step = Change | Fault | Run


# Those that happen most.
OF_CONVERSATIONS = ["open", "reply", "note", "edit", "delete a message"]
# What passes without a doing, in seconds.
TIMES = [0.4, 1, 30, 130, 700, 3600, 9 * DAY]

# An issue or a knowledge base itself is asked for to see whether it is gone. Said to be, it stays
# so until it changes, so these always answer.
ANYWHERE = r"(?!/(issues/(?!search)|knowledge-bases/)[^/]+$).*"
CONVERSATIONS = ["/issues/search", r"/issues/[^/]+/messages", r"/issues/[^/]+/threads"]
PLACES = [
    *CONVERSATIONS,
    *("/accounts", "/contacts", "/users", "/knowledge-bases/[^/]+/articles", ANYWHERE),
]
# In none of these: a page that is the last one by what it says and is not, which the mirror finds
# out by its being full, and that it cannot see here; and fields that come and go.
PASSING = [
    *("500", "502-html", "503", "408", "html", "torn", "429", "429-no-header", "reset", "timeout"),
    *("half-body", "refused-connection", "next-without-data", "repeat-cursor", "stale-page"),
]
LASTING = [
    *("400", "401", "403", "404", "410", "422", "refused-cursor", "errors-on-200", "data-object"),
    *("no-key", "not-an-object", "redirect"),
]
# Where null is the usual answer for none, it cannot be told from a passing fault.
NULL_PLACES = [one for one in PLACES if one not in (CONVERSATIONS[2], ANYWHERE)]

kinds = st.builds(
    Kind,
    inclusive=st.booleans(),
    search_lag=st.sampled_from([0.0, 300.0]),
    max_window_days=st.sampled_from([None, None, 400.0]),
)
LISTS = ("accounts", "contacts", "users", "knowledge_base_articles")
moments = st.integers(2, 8) | st.integers(2, 20) | st.integers(1, 45)
waits = st.builds(Change, st.just("wait"), st.integers(0, len(TIMES) - 1))
changes = st.one_of(
    st.builds(Change, st.sampled_from(OF_CONVERSATIONS), st.integers(0, 2)),
    st.builds(Change, st.sampled_from(sorted(CHANGES)), st.integers(0, 7)),
    waits,
)


def _faults(kinds: list[str], places: list[str], times: list[int]) -> st.SearchStrategy[Fault]:
    chosen = map(st.sampled_from, (kinds, places))
    return st.builds(Fault, *chosen, st.integers(0, 6), st.sampled_from(times))


faults = st.one_of(
    _faults(PASSING, PLACES, [1, 5, 12]),
    _faults(LASTING, PLACES, [1, 3]),
    # Believed when they come twice.
    _faults(["no-data"], PLACES, [1]),
    _faults(["data-null"], NULL_PLACES, [1]),
    _faults(["stale-page"], [*CONVERSATIONS, ANYWHERE], [1, 12]),
)
runs = st.builds(
    Run,
    names=st.sampled_from([(), (), ("issues",), ("issue_messages",), ("issue_messages",), LISTS]),
    full=st.sampled_from([False] * 7 + [True]),
    meanwhile=st.lists(st.tuples(moments, changes), max_size=3).map(tuple),
    dies_at=st.none() | moments | moments,
    answered=st.booleans(),
)
# A run is more than half of what happens, and most of the rest comes right before one.
histories = st.lists(
    st.tuples(st.lists(st.one_of(changes, changes, faults), max_size=3), runs),
    min_size=1,
    max_size=4,
).map(lambda turns: [step for before, run in turns for step in (*before, run)])


class World:
    """A workspace with some history, and its mirror in a file that is not there yet."""

    def __init__(self, directory: Path, kind: Kind) -> None:
        self.path = directory / "pylon.db"
        self.clock = FakeClock()
        self.desk = open_desk(Workspace(self.clock), issues=0)
        for number in range(7):
            self.clock.sleep(3600)
            self._open_small_issue(number)
        # More than a page of those too.
        for number in range(3):
            self.desk.accounts.append(self.desk.workspace.add("accounts", name=f"More {number}"))
        self.clock.sleep(DAY)
        self.api = Api(self.desk.workspace, allowance=None, **vars(kind))

    def _open_small_issue(self, number: int) -> None:
        """Two messages, the second of which is a note in a thread now and then."""
        desk = self.desk
        issue = desk.workspace.open_issue(
            title=f"Question {number}",
            body_html="<p>Why?</p>",
            requester=pick([*desk.contacts, *desk.agents], number),
            account=pick(desk.accounts, number),
            tags=["bug"],
        )
        is_note = number % 3 == 0
        desk.workspace.reply(issue, html="<p>Hm.</p>", author=desk.agents[0], private=is_note)
        desk.issues.append(issue)

    def happen(self, step: Step) -> None:
        if isinstance(step, Change):
            self.change(step)
        elif isinstance(step, Fault):
            self.api.behave()
            self.api.misbehave(step.kind, step.where, times=step.times, after=step.after)
        else:
            self.run(step)

    def change(self, change: Change) -> None:
        if change.kind == "wait":
            self.clock.sleep(TIMES[change.which])
        else:
            issue = pick(self.desk.issues, change.which)
            CHANGES[change.kind](self.desk, issue, change.which)

    def run(self, run: Run) -> None:
        """A sync that may die, or fail as a whole or in parts."""
        try:
            transport = Meddling(self, run)
            sync(self.path, self.api, self.clock, *run.names, full=run.full, transport=transport)
        except (Death, PylonError):
            pass

    def settle(self) -> None:
        """A day later, one whole run that nothing disturbs."""
        self.api.behave()
        self.clock.sleep(DAY)
        assert errors(sync(self.path, self.api, self.clock, transport=Meddling(self, Run()))) == {}
        assert differences(self.path, self.desk.workspace) == []


class Meddling(SandboxTransport):
    """Gives small pages, and lets happen what a run has coming."""

    def __init__(self, world: World, run: Run) -> None:
        super().__init__(world.api)
        self._world = world
        self._run = run
        self._asked = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/issues":
            # All issues are compared once a day: that would mend what is to be found out here.
            return httpx.Response(403, json={"errors": ["no"], "code": "permission_denied"})
        self._asked += 1
        for moment, change in self._run.meanwhile:
            if moment == self._asked:
                self._world.change(change)
        is_last = self._asked == self._run.dies_at
        if is_last and not self._run.answered:
            raise Death
        response = super().handle_request(_smaller(request))
        if is_last:
            raise Death
        return response


def _smaller(request: httpx.Request) -> httpx.Request:
    """The request for a small page, where there are pages."""
    url, content = request.url, request.read()
    if request.method == "POST" and url.path != "/feature-requests/search":
        # What is not in the first page of those is nowhere.
        content = json.dumps({**json.loads(content), "limit": PAGE}).encode()
    elif url.path.endswith("/messages"):
        url = url.copy_merge_params({"limit": str(PAGE_OF_MESSAGES)})
    elif "limit" in url.params:
        url = url.copy_merge_params({"limit": str(PAGE)})
    headers = {"Authorization": request.headers["Authorization"]}
    return httpx.Request(request.method, url, headers=headers, content=content)


def check(kind: Kind, history: list[Step]) -> None:
    """All of it happens, and then the mirror equals the workspace."""
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory), kind)
        for step in history:
            world.happen(step)
        world.settle()


# The same histories in every run: a red test is about the change at hand, and no failure comes
# and goes in CI. What varies instead is max_examples, set higher by hand.
USUAL = settings(
    max_examples=32, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def wait(seconds: float) -> Change:
    return Change("wait", TIMES.index(seconds))


MESSAGES = "/issues/[^/]+/messages"


@pytest.mark.slow
@USUAL
@given(kinds, histories)
# Rare ones, each of which the mirror has a provision against. A page of a window is never read:
@example(Kind(), [Run(("issues",), dies_at=3)])
# A change becomes searchable after the window that it was made in.
@example(Kind(search_lag=300.0), [Run(), wait(30), Change("reply", 0), wait(30), Run()])
# A cache answers with what was before a change.
@example(
    Kind(),
    [Run(), Fault("stale-page", "/issues/search", 0, 1), Change("reply", 0), wait(3600), Run()],
)
@example(
    Kind(), [Run(), Fault("stale-page", MESSAGES, 0, 12), Change("reply", 0), wait(3600), Run()]
)
# A reply comes in the second of the last change, after that was read.
@example(Kind(inclusive=True), [Run(meanwhile=((12, Change("open", 0)), (44, Change("reply", 7))))])
# A message is edited once it was read, and the issue committed before the rest of them.
@example(
    Kind(search_lag=300.0),
    [
        Fault("refused-cursor", "/issues/search", 1, 1),
        Run(("issue_messages",), meanwhile=((6, Change("edit", 6)),)),
    ],
)
# A record changes that was read before the death of the run which had come half through its list.
@example(Kind(), [Run(("accounts",), dies_at=3), Change("account", 3), Change("account", 4)])
# The first reading of a conversation meets an answer without data.
@example(Kind(), [Fault("no-data", MESSAGES, 0, 1), Run()])
@example(Kind(), [Fault("data-null", MESSAGES, 0, 1), Run()])
@example(Kind(), [Fault("no-data", "/issues/[^/]+/threads", 0, 1), Run()])
def test_any_history_ends_in_a_mirror_that_equals_the_workspace(
    kind: Kind, history: list[Step]
) -> None:
    """Changes, faults, deaths and time in any order, also between two pages of one run."""
    check(kind, history)


@pytest.mark.slow
def test_a_watermark_that_moves_before_the_last_page_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in tools that save the time of the newest record after each page: where such a run dies,
    the pages that it had not read yet are never asked for."""
    whole = plan.advance

    def hasty(checkpoint: Checkpoint, page: Page) -> Checkpoint:
        if not checkpoint.window:
            return whole(checkpoint, page)
        return replace(whole(checkpoint, replace(page, cursor=None)), cursor=page.cursor)

    monkeypatch.setattr(plan, "advance", hasty)

    # No shrinking, so its end comes with the first history that shows it.
    @settings(USUAL, phases=[Phase.generate])
    @given(kinds, histories)
    def search(kind: Kind, history: list[Step]) -> None:
        check(kind, history)

    with pytest.raises(AssertionError, match="issues lacks"):
        search()
