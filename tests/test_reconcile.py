"""All issues on both sides are compared once a day: what no change tells of is found out."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from desk import Desk, open_desk, open_issue
from mirroring import DAY, die, errors, live, rows, sync
from oracle import differences
from test_truth import Edited, Payload

from pylon_to_sqlite import reconcile
from pylon_to_sqlite.endings import Ending
from pylon_to_sqlite.reconcile import Compared
from pylon_to_sqlite.running import round_of
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.workspace import Workspace


def test_deleted_issues_are_found_within_a_day(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """With their messages and threads; and their words leave the full-text index."""
    desk.workspace.delete_issue(desk.issues[1])
    clock.sleep(3600)
    assert sync(mirror, api, clock).compared == Compared()
    assert len(live(mirror, "issues")) == 4
    clock.sleep(DAY)
    outcome = sync(mirror, api, clock)
    assert errors(outcome) == {}
    assert outcome.compared == Compared(issues=3, gone=1)
    assert differences(mirror, desk.workspace) == []
    (gone,) = rows(mirror, "SELECT * FROM issues WHERE deleted_at IS NOT NULL")
    assert (gone["id"], gone["title"]) == (desk.issues[1], "Question 1")
    found = rows(mirror, "SELECT rowid FROM issue_messages_fts('because')")
    assert len(found) == 3
    # And no more than once a day.
    before = api.count("GET /issues")
    assert sync(mirror, api, clock).compared == Compared()
    assert api.count("GET /issues") == before


def test_it_is_done_at_once_where_that_is_wanted(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """Merged accounts move their issues, and no updated_at tells of it."""
    desk.workspace.merge_accounts(desk.accounts[0], desk.accounts[1:])
    desk.workspace.change_issue(desk.issues[2], title="Changed quietly", touch=False)
    clock.sleep(60)
    outcome = sync(mirror, api, clock, reconcile=True)
    assert outcome.compared == Compared(issues=4, changed=3)
    assert differences(mirror, desk.workspace) == []
    assert sync(mirror, api, clock, reconcile=True).compared == Compared(issues=4)


def test_issues_that_are_missing_are_taken(path: Path, desk: Desk, api: Api, clock: Any) -> None:
    """Whyever they are: for one, an index of Pylon's that lagged for hours."""

    def edit(request: httpx.Request, payload: Payload, headers: dict[str, str]) -> None:
        if request.url.path == "/issues/search":
            payload["data"] = [one for one in payload["data"] if one["id"] != desk.issues[2]]

    sync(path, api, clock, transport=Edited(api, edit))
    assert len(live(path, "issues")) == 3
    clock.sleep(3600)
    assert sync(path, api, clock).compared.missing == 0
    clock.sleep(DAY)
    assert sync(path, api, clock).compared == Compared(issues=4, missing=1)
    sync(path, api, clock)
    assert differences(path, desk.workspace) == []


def test_it_stays_within_the_scope_of_the_mirror(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """Issues that --since leaves out are not taken, nor those created after the watermark."""
    new = open_issue(desk, 7)
    clock.sleep(600)
    since = "2026-07-01T12:00:00Z"
    sync(path, api, clock, since=since)
    assert [row["id"] for row in live(path, "issues")] == [new]
    outcome = sync(path, api, clock, reconcile=True)
    assert outcome.compared.missing == outcome.compared.gone == 0
    assert [row["id"] for row in live(path, "issues")] == [new]


def spread(workspace: Workspace, clock: Any, issues: int, *, days: float) -> Desk:
    """A desk with so many issues, each opened so many days after the one before."""
    desk = open_desk(workspace, issues=0)
    start = clock.now()
    for number in range(issues):
        clock.time = start + number * days * DAY
        open_issue(desk, number)
    clock.sleep(DAY)
    return desk


@pytest.mark.parametrize("max_days", [365.0, 30.0, 7.0])
def test_windows_are_as_wide_as_pylon_takes_them(
    path: Path, workspace: Workspace, clock: Any, max_days: float
) -> None:
    """No issue on an edge between two of them is lost."""
    desk = spread(workspace, clock, 60, days=2.5)
    api = Api(workspace, allowance=None, max_list_days=max_days)
    sync(path, api, clock)
    for issue in desk.issues[::7]:
        workspace.delete_issue(issue)
    outcome = sync(path, api, clock, reconcile=True)
    assert outcome.compared == Compared(issues=51, gone=9)
    assert differences(path, workspace) == []
    refused = [one for one in api.log if one.path == "/issues" and one.status == 400]
    assert len(refused) == {365.0: 0, 30.0: 1, 7.0: 2}[max_days]
    sync(path, api, clock, reconcile=True)
    again = [one for one in api.log if one.path == "/issues" and one.status == 400]
    assert len(again) == 2 * len(refused)


def test_one_that_dies_goes_on_where_it_was(path: Path, workspace: Workspace, clock: Any) -> None:
    desk = spread(workspace, clock, 30, days=5)
    api = Api(workspace, allowance=None, max_list_days=30.0)
    sync(path, api, clock)
    for issue in desk.issues[::5]:
        workspace.delete_issue(issue)
    asked = []
    for _ in range(40):
        clock.sleep(60)
        before = api.count("GET /issues")
        is_dead = die(path, api, clock, 40, reconcile=not asked)
        asked.append(api.count("GET /issues") - before)
        if not is_dead:
            break
    else:
        pytest.fail("it never comes to an end")
    assert len(asked) > 2
    assert differences(path, workspace) == []


def test_a_list_that_lacks_what_is_there_is_not_believed(
    path: Path, desk: Desk, api: Api, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The issue itself is asked; and where most are missing, nobody is."""
    monkeypatch.setattr(reconcile, "FEW", 5)
    sync(path, api, clock)

    def lacks(*missing: str) -> Edited:
        def edit(request: httpx.Request, payload: Payload, headers: dict[str, str]) -> None:
            if request.url.path == "/issues" and payload.get("data"):
                payload["data"] = [one for one in payload["data"] if one["id"] not in missing]

        return Edited(api, edit)

    outcome = sync(path, api, clock, reconcile=True, transport=lacks(desk.issues[0]))
    assert outcome.compared == Compared(issues=3)
    for number in range(6):
        open_issue(desk, number)
    clock.sleep(DAY)
    sync(path, api, clock)
    outcome = sync(path, api, clock, reconcile=True, transport=lacks(*desk.issues[:8]))
    assert outcome.compared.gone == 0
    assert "lacks 8 of the 10 issues" in str(outcome.compared.error)
    assert errors(outcome) == {}
    assert differences(path, desk.workspace) == []


@pytest.mark.parametrize("fault", ["500", "403", "404", "torn", "no-data", "data-object", "no-key"])
def test_what_goes_wrong_fails_nothing_else(
    mirror: Path, desk: Desk, api: Api, clock: Any, fault: str
) -> None:
    desk.workspace.delete_issue(desk.issues[0])
    api.misbehave(fault, "/issues", times=-1)
    outcome = sync(mirror, api, clock, reconcile=True)
    assert errors(outcome) == {}
    api.behave()
    outcome = sync(mirror, api, clock, reconcile=True)
    assert differences(mirror, desk.workspace) == []


@pytest.mark.parametrize("fault", ["500", "403", "data-text", "no-key"])
def test_an_issue_that_did_not_answer_is_asked_for_again_in_the_next_run(
    mirror: Path, desk: Desk, api: Api, clock: Any, fault: str
) -> None:
    """And not only a day later; it keeps no other from being found."""
    for issue in desk.issues[1:3]:
        desk.workspace.delete_issue(issue)
    clock.sleep(DAY)
    # In place of the 404 that it is gone.
    bodies = {"data-text": {"data": "text"}, "no-key": {"data": {"title": "Odd"}}}
    kind, body = ("custom", bodies[fault]) if fault in bodies else (fault, {})
    api.misbehave(kind, f"/issues/{desk.issues[1]}", times=-1, body=body)
    outcome = sync(mirror, api, clock)
    assert (errors(outcome), outcome.compared.gone) == ({}, 1)
    assert outcome.compared.error
    assert {row["id"] for row in live(mirror, "issues")} == {*desk.issues} - {desk.issues[2]}
    api.behave()
    clock.sleep(900)
    outcome = sync(mirror, api, clock)
    assert (outcome.compared.gone, outcome.compared.error) == (1, None)
    assert differences(mirror, desk.workspace) == []
    before = api.count("GET /issues")
    sync(mirror, api, clock)
    assert api.count("GET /issues") == before, "that was all of it"


def test_one_that_fails_is_tried_again_at_once_and_then_once_an_hour(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """Whoever runs it each minute is not to ask for all there is each time."""
    desk.workspace.delete_issue(desk.issues[0])
    api.misbehave("403", "/issues", times=-1)
    clock.sleep(DAY)
    began, tried = clock(), []
    for minutes in (0, 1, 2, 30, 60, 61, 62, 120, 121):
        clock.time = began + 60 * minutes
        before = api.count("GET /issues")
        outcome = sync(mirror, api, clock, "issues")
        assert not outcome.failed
        if outcome.compared.error:
            tried.append(minutes)
        assert (api.count("GET /issues") - before) == bool(outcome.compared.error)
    assert tried == [0, 1, 61, 121]
    # Asked for, it waits for nothing.
    assert sync(mirror, api, clock, "issues", reconcile=True).compared.error
    api.behave()
    clock.sleep(3600)
    assert sync(mirror, api, clock, "issues").compared.gone == 1


def test_one_that_fails_for_a_day_fails_each_run_until_it_is_finished(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """Those between two tries too, for what is gone is still here. Where there was no run for a
    week, the first that fails is but one."""
    desk.workspace.delete_issue(desk.issues[0])
    api.misbehave("403", "/issues", times=-1)
    clock.sleep(7 * DAY)
    assert not sync(mirror, api, clock, "issues").failed
    for seconds in (DAY, 60):
        clock.sleep(seconds)
        outcome = sync(mirror, api, clock, "issues")
        assert outcome.ending.exit_status == 1
        assert outcome.compared.failing == "2026-07-09T00:00:00Z"
        assert errors(outcome) == {}
        assert round_of(outcome, 1).state == "failing"
    assert "the run that last tried, at 2026-07-10T00:00:00Z, tells why" in str(
        outcome.ending.error
    )
    # Runs that do not read issues have nothing to say of them.
    assert not sync(mirror, api, clock, "tags").failed
    api.behave()
    clock.sleep(3600)
    outcome = sync(mirror, api, clock, "issues")
    assert (outcome.ending, outcome.compared.gone) == (Ending(), 1)
    clock.sleep(DAY)
    api.misbehave("403", "/issues", times=-1)
    assert not sync(mirror, api, clock, "issues").failed


@pytest.fixture
def months(workspace: Workspace, clock: Any) -> tuple[Desk, Api]:
    """Issues of many windows, of which the last but one is gone and does not say so."""
    desk = spread(workspace, clock, 8, days=30)
    api = Api(workspace, allowance=None, max_list_days=30.0)
    return desk, api


def lose(desk: Desk, api: Api) -> None:
    desk.workspace.delete_issue(desk.issues[6])
    api.misbehave("500", f"/issues/{desk.issues[6]}", times=-1)


def test_what_one_run_left_is_not_forgotten_when_all_is_asked_for(
    path: Path, months: tuple[Desk, Api], clock: Any
) -> None:
    desk, api = months
    sync(path, api, clock)
    lose(desk, api)
    for _ in range(2):
        assert sync(path, api, clock, reconcile=True).compared.error
        clock.sleep(3600)
    api.behave()
    assert sync(path, api, clock).compared.gone == 1
    assert differences(path, desk.workspace) == []


def test_what_is_deleted_before_the_window_that_fails_is_found_a_day_later(
    path: Path, months: tuple[Desk, Api], clock: Any
) -> None:
    """And though it fails."""
    desk, api = months
    sync(path, api, clock)
    lose(desk, api)
    clock.sleep(DAY)
    assert sync(path, api, clock).compared.error
    desk.workspace.delete_issue(desk.issues[0])
    clock.sleep(3600)
    assert sync(path, api, clock).compared.gone == 0
    clock.sleep(DAY)
    outcome = sync(path, api, clock)
    assert (outcome.compared.gone, outcome.failed) == (1, True)


def test_what_is_newer_here_is_not_overwritten(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """An old page from a cache."""
    api.misbehave("stale-page", "/issues", times=-1)
    clock.sleep(60)
    desk.workspace.change_issue(desk.issues[0], title="New title")
    clock.sleep(600)
    sync(mirror, api, clock, reconcile=True)
    assert differences(mirror, desk.workspace) == []


def test_an_issue_that_answers_as_another_is_gone(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """As where it was merged into that one."""
    gone, other = desk.issues[:2]
    desk.workspace.merge_issues(other, gone)
    clock.sleep(DAY / 2)

    def edit(request: httpx.Request, payload: Payload, headers: dict[str, str]) -> None:
        if request.url.path == f"/issues/{gone}":
            payload.clear()
            (payload["data"],) = (
                one for one in desk.workspace.records("issues") if one["id"] == other
            )

    class Merged(Edited):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = super().handle_request(request)
            is_merged = request.url.path == f"/issues/{gone}"
            return httpx.Response(200, content=response.content) if is_merged else response

    sync(mirror, api, clock, reconcile=True, transport=Merged(api, edit))
    assert differences(mirror, desk.workspace) == []


def test_issues_from_before_all_accounts_are_compared_too(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    old = desk.workspace.open_issue(
        title="Imported", body_html="<p>Old.</p>", at=clock.now() - 5 * 365 * DAY
    )
    sync(path, api, clock)
    desk.workspace.delete_issue(old)
    assert sync(path, api, clock, reconcile=True).compared.gone == 1


def test_a_refused_cursor_is_no_refused_window(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    api = Api(desk.workspace, allowance=None, max_list_days=400.0)
    for number in range(1100):
        desk.workspace.open_issue(
            title=f"{number}", body_html="<p>x</p>", at=clock.now() - 3600 + number
        )
    sync(path, api, clock, "issues")
    before = api.count("GET /issues")
    api.misbehave("refused-cursor", "/issues", times=1)
    outcome = sync(path, api, clock, "issues", reconcile=True)
    assert outcome.compared.error is None
    assert api.count("GET /issues") - before < 25
    assert len(live(path, "issues")) == 1104


def test_what_is_asked_for_compares_all_though_another_run_had_begun(
    path: Path, workspace: Workspace, clock: Any
) -> None:
    """What that run had compared may have changed since."""
    desk = spread(workspace, clock, 8, days=30)
    api = Api(workspace, allowance=None, max_list_days=30.0)
    sync(path, api, clock)
    idle = api.count()
    sync(path, api, clock)
    idle = api.count() - idle
    asked = api.count("GET /issues")
    assert die(path, api, clock, idle + 6, reconcile=True)
    assert api.count("GET /issues") - asked > 3
    workspace.delete_issue(desk.issues[0])
    clock.sleep(60)
    assert sync(path, api, clock, reconcile=True).compared == Compared(issues=7, gone=1)
    assert differences(path, workspace) == []
    clock.sleep(DAY)
    assert sync(path, api, clock).compared.issues == 7


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "0000-00-00T00:00:00Z", "soon", "2099"])
def test_a_time_that_is_none_ends_no_run(
    path: Path, desk: Desk, api: Api, clock: Any, time: str
) -> None:
    """Such as Go's zero time, of an issue or an account."""

    def edit(request: httpx.Request, payload: Payload, headers: dict[str, str]) -> None:
        for record in payload["data"] if isinstance(payload.get("data"), list) else []:
            if record.get("id") in (desk.issues[0], desk.accounts[0]):
                record["created_at"] = time

    for is_wanted in (False, True, False):
        before = api.count("GET /issues")
        outcome = sync(path, api, clock, reconcile=is_wanted, transport=Edited(api, edit))
        assert (errors(outcome), outcome.compared.error) == ({}, None)
        assert api.count("GET /issues") - before < 200
        clock.sleep(DAY)


def test_a_clock_that_was_wrong_once_stops_no_comparison(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    now = clock.time
    clock.time += 200 * DAY
    sync(mirror, api, clock)
    clock.time = now + 2 * DAY
    desk.workspace.delete_issue(desk.issues[0])
    sync(mirror, api, clock)
    clock.sleep(DAY)
    sync(mirror, api, clock)
    assert differences(mirror, desk.workspace) == []
