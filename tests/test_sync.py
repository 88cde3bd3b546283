"""The mirror equals the workspace, whatever happened between."""

import sqlite3
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from conftest import FakeClock
from desk import Desk, open_desk, open_issue
from mirroring import DAY, die, errors, live, rows, sync
from oracle import differences

from pylon_to_sqlite.plan import iso
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.workspace import Workspace

CHILDREN = r"GET /issues/[^/]+/(messages|threads)"


def change_everything(desk: Desk, clock: Any) -> None:
    """Every kind of change but deletions and merges."""
    workspace = desk.workspace
    first, second, third, fourth = desk.issues[:4]
    account, other = desk.accounts
    workspace.change_issue(first, title="Another title", assignee=desk.agents[1], account=other)
    workspace.change_issue(first, tags=["new tag"], requester=desk.contacts[2])
    workspace.change_issue(second, custom_fields={"priority": None, "areas": ["export", "new"]})
    workspace.change_issue(second, state="closed")
    workspace.rate(second, 2, "Too slow & late")
    clock.sleep(7)
    workspace.change_issue(second, state="waiting_on_you", assignee=None, team=None)
    workspace.reply(third, html="<p>Any news?</p>", author=desk.contacts[0])
    message = workspace.messages(third)[1]["id"]
    workspace.edit_message(message, "<p>Because of the moon.</p>")
    workspace.redact_message(workspace.messages(third)[0]["id"])
    workspace.delete_message(workspace.messages(third)[2]["id"])
    workspace.add_thread(fourth, name="ops-channel")
    workspace.change_issue(fourth, parent_issue_group=first, requester=desk.agents[1])
    workspace.change_issue(
        fourth, external_issues=[{"source": "linear", "external_id": "X-1", "link": "https://x"}]
    )
    workspace.change("accounts", account, name="Quarry & Sons", tags=[], domains=["c.example"])
    workspace.change("accounts", account, custom_fields={"account.salesforce.Support_Tier__c": "b"})
    workspace.change("contacts", desk.contacts[1], account=account, external_ids=[])
    workspace.change("users", desk.agents[0], name="Anna")
    workspace.change("teams", desk.team, users=desk.agents[:1])
    workspace.add("contacts", name="Newcomer", account=other)
    workspace.add("tags", value="new tag")
    workspace.change_article(desk.articles[0], title="Rewritten", is_published=False)
    workspace.add_article(desk.base, title="One more")
    open_issue(desk, 9)


def test_mirror_equals_workspace_before_and_after_every_change(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """Every table and column, link tables included."""
    assert errors(sync(path, api, clock)) == {}
    assert differences(path, desk.workspace) == []
    clock.sleep(DAY)
    change_everything(desk, clock)
    clock.sleep(DAY)
    assert errors(sync(path, api, clock)) == {}
    assert differences(path, desk.workspace) == []


def test_oracle_sees_a_difference_in_any_column(mirror: Path, desk: Desk, clock: Any) -> None:
    """The comparison that the other tests rest on can fail."""
    clock.sleep(DAY)
    change_everything(desk, clock)
    tables = {line.split()[0] for line in differences(mirror, desk.workspace)}
    assert tables >= {
        *("issues", "issue_messages", "issue_threads", "issue_tags", "issue_custom_fields"),
        *("issue_csat_responses", "issue_child_issues", "issue_external_issues", "accounts"),
        *("account_tags", "account_domains", "account_custom_fields", "contacts", "users"),
        *("contact_external_ids", "team_members", "tags", "knowledge_base_articles"),
    }


def test_nothing_changed_costs_no_child_request_and_writes_no_row(
    mirror: Path, api: Api, clock: Any
) -> None:
    before = {table: live(mirror, table) for table in ("issues", "accounts", "issue_messages")}
    api.log.clear()
    clock.sleep(60)
    outcome = sync(mirror, api, clock)
    assert [request.path for request in api.log if "/issues/" in request.path] == ["/issues/search"]
    assert [vars(one.counts) for one in outcome.results] == [
        {"new": 0, "changed": 0, "gone": 0} for _ in outcome.results
    ]
    assert before == {table: live(mirror, table) for table in before}


def test_change_to_an_old_issue_reads_its_children_and_no_others(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    clock.sleep(90 * DAY)
    desk.workspace.reply(desk.issues[0], html="<p>Still there?</p>", author=desk.contacts[0])
    clock.sleep(DAY)
    api.log.clear()
    sync(mirror, api, clock)
    asked = sorted(one.path for one in api.log if one.path.endswith(("/messages", "/threads")))
    assert asked == [f"/issues/{desk.issues[0]}/{kind}" for kind in ("messages", "threads")]
    assert differences(mirror, desk.workspace) == []


def test_children_read_too_soon_are_read_once_more(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """An answer can lag behind: read within two minutes of the change, they are read again."""
    desk.workspace.reply(desk.issues[0], html="<p>Hm.</p>", author=desk.contacts[0])
    clock.sleep(30)
    asked = []
    for seconds in (10, 60, 60, 600):
        before = api.count(CHILDREN)
        sync(mirror, api, clock)
        asked.append(api.count(CHILDREN) - before)
        clock.sleep(seconds)
    assert asked == [2, 0, 0, 2]
    sync(mirror, api, clock)
    assert api.count(CHILDREN) - before == 2


def test_a_message_that_lagged_behind_its_issue_arrives_later(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    api.misbehave("stale-page", r"/issues/.*/messages", times=1)
    desk.workspace.reply(desk.issues[0], html="<p>Hm.</p>", author=desk.contacts[0])
    clock.sleep(5)
    sync(mirror, api, clock)
    assert differences(mirror, desk.workspace) != []
    clock.sleep(150)
    sync(mirror, api, clock)
    assert differences(mirror, desk.workspace) == []


@pytest.mark.parametrize("answered", [False, True])
def test_a_run_that_dies_at_any_request_goes_on_and_loses_nothing(
    path: Path, desk: Desk, api: Api, clock: Any, answered: bool
) -> None:
    """Each run dies one request later than the last; every file on the way has its keys."""
    requests = 1
    while die(path, api, clock, requests, answered=answered):
        if path.exists():
            assert rows(path, "PRAGMA foreign_key_check") == []
            assert rows(path, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        requests += 1
        clock.sleep(1)
        if requests == 15:
            change_everything(desk, clock)
    assert requests > 20
    assert differences(path, desk.workspace) == []


def test_children_already_read_are_not_read_again_after_a_death(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    sync(path, api, clock, "issues")
    clock.sleep(DAY)
    assert die(path, api, clock, 6)  # me, issues, then four of the eight sets of children
    clock.sleep(1)
    sync(path, api, clock, "issues", "issue_messages", "issue_threads")
    paths = [one.path for one in api.log if one.path.endswith(("/messages", "/threads"))]
    assert sorted(paths) == sorted(set(paths))


@pytest.mark.parametrize("skew", [-7200, 7200])
def test_a_wrong_clock_of_our_own_changes_nothing(
    path: Path, desk: Desk, api: Api, clock: Any, skew: float
) -> None:
    """What to ask for is told by Pylon's clock, and rows are stamped by ours."""
    ours = FakeClock(clock.now() + skew)
    for _ in range(3):
        sync(path, api, ours)
        desk.workspace.reply(desk.issues[0], html="<p>Again.</p>", author=desk.contacts[0])
        clock.sleep(30)
        sync(path, api, ours)
        clock.sleep(200)
        before = api.count(CHILDREN)
        sync(path, api, ours)
        assert api.count(CHILDREN) - before == 2, "read within two minutes, so once more"
        assert differences(path, desk.workspace) == []
        clock.sleep(DAY)
    (stamped,) = rows(path, "SELECT max(synced_at) AS at FROM issues")
    assert stamped["at"] == iso(datetime.fromtimestamp(ours.now(), timezone.utc))


def test_a_record_whose_lists_alone_changed_has_changed(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    clock.sleep(DAY)
    desk.workspace.change("contacts", desk.contacts[0], custom_fields={"vip": "false"})
    outcome = sync(mirror, api, clock, "contacts")
    assert vars(outcome.results[0].counts) == {"new": 0, "changed": 1, "gone": 0}
    stamps = rows(mirror, "SELECT id FROM contacts ORDER BY synced_at DESC, id LIMIT 1")
    assert stamps == [{"id": desk.contacts[0]}]


@pytest.mark.parametrize("read_for", [None, "2000-01-01T00:00:00Z", "2099-01-01T00:00:00Z"])
def test_children_read_for_any_other_state_of_their_issue_are_stale(
    mirror: Path, desk: Desk, api: Api, clock: Any, read_for: str | None
) -> None:
    """Earlier, later or none: after a restored backup a time of change may have gone back."""
    with closing(sqlite3.connect(mirror)) as connection, connection:
        connection.execute("UPDATE _pylon_children SET read_for = ?", [read_for])
    clock.sleep(DAY)
    before = api.count(CHILDREN)
    sync(mirror, api, clock)
    assert api.count(CHILDREN) - before == 2 * len(desk.issues)


@pytest.fixture
def long_desk(workspace: Workspace, clock: Any) -> Desk:
    """So many issues that they fill two pages and a bit."""
    desk = open_desk(workspace, issues=0)
    for number in range(2005):
        desk.issues.append(
            workspace.open_issue(
                title=f"{number}", body_html="<p>x</p>", requester=desk.contacts[0]
            )
        )
        clock.sleep(1)
    clock.sleep(DAY)
    return desk


@pytest.mark.parametrize("pages", [0, 1, 2])
def test_issues_changed_while_a_run_lay_dead_in_its_window_are_not_lost(
    path: Path, long_desk: Desk, api: Api, clock: Any, pages: int
) -> None:
    """They leave the closed window for the next one; a watermark moved early would miss them."""
    workspace = long_desk.workspace
    assert die(path, api, clock, 1 + pages, "issues")
    for issue in (long_desk.issues[0], long_desk.issues[1000], long_desk.issues[2004]):
        workspace.change_issue(issue, title="Changed meanwhile")
    new = open_issue(long_desk, 1)
    clock.sleep(DAY)
    sync(path, api, clock, "issues")
    changed = rows(path, "SELECT id FROM issues WHERE title = 'Changed meanwhile'")
    assert len(changed) == 3
    assert {row["id"] for row in live(path, "issues")} == {*long_desk.issues, new}
    # Three pages and the window that follows; none that was read before the death again.
    assert api.count("POST /issues/search") == 4


def test_issues_deleted_between_pages_hide_no_other(
    path: Path, long_desk: Desk, api: Api, clock: Any
) -> None:
    assert die(path, api, clock, 2, "issues")
    for issue in long_desk.issues[1500:1600]:
        long_desk.workspace.delete_issue(issue)
    sync(path, api, clock, "issues")
    there = {row["id"] for row in live(path, "issues")}
    assert there >= {*long_desk.issues[:1500], *long_desk.issues[1600:]}


@pytest.mark.parametrize("inclusive", [False, True])
def test_no_issue_is_lost_on_the_seam_of_two_windows(
    path: Path, workspace: Workspace, clock: Any, inclusive: bool
) -> None:
    """One changes in every second around each run, whether Pylon's bounds are inclusive or not."""
    desk = open_desk(workspace, issues=8)
    api = Api(workspace, allowance=None, inclusive=inclusive)
    clock.sleep(DAY)
    for turn in range(4):
        for number in range(8):
            clock.sleep(0.5)
            workspace.change_issue(desk.issues[number], title=f"turn {turn}")
            if number == 4:
                sync(path, api, clock, "issues")
    clock.sleep(2)
    sync(path, api, clock, "issues")
    assert {row["title"] for row in live(path, "issues")} == {"turn 3"}


def test_change_that_is_searchable_late_is_seen_by_the_next_run(
    path: Path, workspace: Workspace, clock: Any
) -> None:
    desk = open_desk(workspace)
    api = Api(workspace, allowance=None, search_lag=300)
    clock.sleep(DAY)
    sync(path, api, clock)
    workspace.change_issue(desk.issues[0], title="Late")
    clock.sleep(200)
    sync(path, api, clock)
    clock.sleep(200)
    sync(path, api, clock)
    assert rows(path, "SELECT count(*) AS n FROM issues WHERE title = 'Late'") == [{"n": 1}]


def test_walk_that_died_is_finished_and_then_walked_whole(
    path: Path, workspace: Workspace, api: Api, clock: Any
) -> None:
    """What the dead run had read may have changed since."""
    accounts = []
    for number in range(1500):
        accounts.append(workspace.add("accounts", name=f"{number}", owner=None))
        clock.sleep(1)
    assert die(path, api, clock, 2, "accounts")
    workspace.change("accounts", accounts[-1], name="Newest, on the page read before the death")
    assert die(path, api, clock, 1, "accounts")
    sync(path, api, clock, "accounts", "organization")
    assert differences(path, workspace) == []


def test_refused_cursor_begins_its_window_again(
    path: Path, long_desk: Desk, api: Api, clock: Any
) -> None:
    api.misbehave("refused-cursor", "/issues/search", times=1, after=1)
    assert errors(sync(path, api, clock, "issues")) == {}
    assert len(live(path, "issues")) == 2005


@pytest.mark.parametrize("fault", ["repeat-cursor", "next-without-data", "refused-cursor"])
def test_cursor_that_never_gets_on_fails_its_stream_and_never_loops(
    path: Path, long_desk: Desk, api: Api, clock: Any, fault: str
) -> None:
    api.misbehave(fault, "/issues/search", times=-1)
    assert set(errors(sync(path, api, clock, "issues", "teams"))) == {"issues"}
    assert api.count(".* /issues/search") < 20
    api.behave()
    assert errors(sync(path, api, clock, "issues")) == {}
    assert len(live(path, "issues")) == 2005


@pytest.mark.parametrize("fault", ["no-data", "data-null"])
def test_a_first_load_that_found_nothing_is_no_load(
    path: Path, desk: Desk, api: Api, clock: Any, fault: str
) -> None:
    """Nobody would ask for what is older again, but for the comparison a day later."""
    api.misbehave(fault, "/(issues|tasks)/search", times=-1)
    assert errors(sync(path, api, clock)) == {}
    assert live(path, "issues") == live(path, "tasks") == []
    api.behave()
    clock.sleep(900)
    assert errors(sync(path, api, clock)) == {}
    assert differences(path, desk.workspace) == []


@pytest.mark.parametrize("skew", [3600, 7200])
def test_what_changes_after_a_run_for_which_pylons_clock_was_ahead_is_seen(
    mirror: Path, desk: Desk, api: Api, clock: Any, skew: int
) -> None:
    """Issues and tasks, in the time that the run would have taken for read."""
    clock.sleep(900)
    api.misbehave("wrong-date", times=-1, seconds=skew)
    assert errors(sync(mirror, api, clock)) == {}
    api.behave()
    clock.sleep(600)
    desk.workspace.reply(desk.issues[0], html="<p>Still here?</p>", author=desk.contacts[0])
    task = desk.workspace.listed("tasks")[0].key
    desk.workspace.change("tasks", task, title="Meanwhile")
    clock.sleep(10_000)
    assert errors(sync(mirror, api, clock)) == {}
    assert differences(mirror, desk.workspace) == []
