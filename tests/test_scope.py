"""--since and --full: what is loaded, what is remembered, and what a later run makes of it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from desk import Desk, open_desk
from mirroring import DAY, die, errors, live, rows, sync
from oracle import differences

from pylon_to_sqlite.plan import Checkpoint
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.workspace import Workspace
from pylon_to_sqlite.streams import ISSUES


@pytest.fixture
def months(workspace: Workspace, clock: Any) -> Desk:
    """Ten issues, one a month, from 2026-07-01 on; then two days of nothing."""
    desk = open_desk(workspace, issues=0)
    for number in range(10):
        desk.issues.append(workspace.open_issue(title=f"{number}", body_html="<p>x</p>"))
        clock.sleep(30 * DAY)
    return desk


def titles(path: Path) -> str:
    return "".join(sorted(row["title"] for row in live(path, "issues")))


def checkpoint(path: Path) -> Checkpoint:
    (row,) = rows(path, f"SELECT state FROM _pylon_checkpoints WHERE stream = '{ISSUES.name}'")
    return Checkpoint.from_json(row["state"])


def test_the_first_load_takes_what_was_updated_since(
    path: Path, months: Desk, api: Api, clock: Any
) -> None:
    sync(path, api, clock, "issues", since="2026-12-28T00:00:00Z")  # the day of number 6
    assert titles(path) == "6789"


def test_since_is_remembered_by_runs_that_do_not_name_it(
    path: Path, months: Desk, api: Api, clock: Any
) -> None:
    sync(path, api, clock, "issues", since="2026-12-28T00:00:00Z")
    clock.sleep(DAY)
    months.workspace.change_issue(months.issues[2], tags=["back"])
    clock.sleep(DAY)
    sync(path, api, clock, "issues")
    assert titles(path) == "26789"
    assert checkpoint(path).since == "2026-12-28T00:00:00Z"


def test_an_earlier_since_loads_what_was_skipped_and_no_more(
    path: Path, months: Desk, api: Api, clock: Any
) -> None:
    sync(path, api, clock, "issues", "issue_messages", since="2026-12-28T00:00:00Z")
    clock.sleep(DAY)
    sync(path, api, clock, "issues", "issue_messages", since="2026-09-01T00:00:00Z")
    assert titles(path) == "3456789"
    assert api.count("GET /issues/[^/]+/messages") == 7
    clock.sleep(DAY)
    sync(path, api, clock, "issues", since="2026-06-30")
    assert titles(path) == "0123456789"


def test_a_later_since_takes_nothing_away(path: Path, months: Desk, api: Api, clock: Any) -> None:
    sync(path, api, clock, "issues")
    clock.sleep(DAY)
    sync(path, api, clock, "issues", since="2027-01-01T00:00:00Z")
    assert titles(path) == "0123456789"
    assert checkpoint(path).since is None


def test_since_is_remembered_even_where_the_first_page_fails(
    path: Path, months: Desk, api: Api, clock: Any
) -> None:
    api.misbehave("500", "/issues/search", times=-1)
    sync(path, api, clock, "issues", since="2026-12-28T00:00:00Z")
    api.behave()
    sync(path, api, clock, "issues")
    assert titles(path) == "6789"


def test_an_earlier_load_that_died_is_finished_by_a_run_that_does_not_name_it(
    path: Path, months: Desk, api: Api, clock: Any
) -> None:
    sync(path, api, clock, "issues", since="2026-12-28T00:00:00Z")
    clock.sleep(DAY)
    assert die(path, api, clock, 1, "issues", since="2026-09-01T00:00:00Z")
    sync(path, api, clock, "issues")
    assert titles(path) == "3456789"


def test_full_reads_everything_again(mirror: Path, desk: Desk, api: Api, clock: Any) -> None:
    """Also what changed without a sign."""
    clock.sleep(DAY)
    message = desk.workspace.messages(desk.issues[0])[0]["id"]
    desk.workspace.edit_message(message, "<p>Quietly changed.</p>", touch=False)
    desk.workspace.change_issue(desk.issues[1], title="Quietly too", touch=False)
    sync(mirror, api, clock)
    assert differences(mirror, desk.workspace) != []
    assert errors(sync(mirror, api, clock, full=True)) == {}
    assert differences(mirror, desk.workspace) == []


def test_full_that_died_goes_on_with_or_without_the_word(
    mirror: Path, api: Api, clock: Any
) -> None:
    clock.sleep(DAY)
    before = api.count(r"GET /issues/[^/]+/(messages|threads)")
    deaths = 0
    names = ("issues", "issue_messages", "issue_threads")
    while die(mirror, api, clock, 4, *names, full=deaths % 2 == 0):
        deaths += 1
        clock.sleep(60)
        assert deaths < 20
    assert deaths > 1
    assert api.count(r"GET /issues/[^/]+/(messages|threads)") - before == 8
    clock.sleep(DAY)
    sync(mirror, api, clock)
    assert api.count(r"GET /issues/[^/]+/(messages|threads)") - before == 8, "full is over"


def test_a_changed_definition_of_a_stream_starts_over_in_the_same_scope(
    path: Path, months: Desk, api: Api, clock: Any
) -> None:
    sync(path, api, clock, "issues", since="2026-12-28T00:00:00Z")
    months.workspace.change_issue(months.issues[8], title="x", touch=False)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE _pylon_checkpoints SET fingerprint = 'by created_at'")
    sync(path, api, clock, "issues")
    assert titles(path) == "679x"
    assert checkpoint(path).since == "2026-12-28T00:00:00Z"


def test_a_child_brings_its_parent(path: Path, desk: Desk, api: Api, clock: Any) -> None:
    outcome = sync(path, api, clock, "issue_messages")
    assert [one.stream.name for one in outcome.results] == ["issues", "issue_messages"]
    assert len(live(path, "issue_messages")) == 16
    assert rows(path, "PRAGMA foreign_key_check") == []


def test_a_first_load_that_died_begins_again_where_another_since_is_given(
    path: Path, months: Desk, api: Api, clock: Any
) -> None:
    """Whoever stops a long load to ask for a shorter one gets the shorter one, and back."""
    assert die(path, api, clock, 1, "issues")
    assert die(path, api, clock, 1, "issues", since="2026-12-28T00:00:00Z")
    sync(path, api, clock, "issues")
    assert titles(path) == "6789"


def test_the_overlap_of_windows_does_not_reach_beyond_since(
    path: Path, months: Desk, api: Api, clock: Any
) -> None:
    months.workspace.change_issue(months.issues[0], title="before")
    clock.sleep(300)
    since = "2027-04-27T00:05:00Z"
    months.workspace.change_issue(months.issues[1], title="after")
    assert months.workspace.records("issues")[-2]["updated_at"] == since
    clock.sleep(60)
    for _ in range(3):
        sync(path, api, clock, "issues", since=since)
        clock.sleep(10)
    assert titles(path) == "after"


@pytest.mark.parametrize("days", [400, 31, 5])
@pytest.mark.parametrize("since", [None, "2026-12-28T00:00:00Z"])
def test_windows_that_are_refused_as_too_wide_are_asked_in_smaller_ones(
    path: Path, months: Desk, clock: Any, days: int, since: str | None
) -> None:
    """Whether Pylon caps a question's span is in dispute, so the mirror is whole either way."""
    api = Api(months.workspace, allowance=None, max_window_days=days)
    assert errors(sync(path, api, clock, "accounts", "issues", since=since)) == {}
    assert titles(path) == ("0123456789" if since is None else "6789")
    asked = api.count("POST /issues/search")
    clock.sleep(DAY)
    sync(path, api, clock, "issues")
    assert api.count("POST /issues/search") == asked + 1, "what fits is remembered"
    clock.sleep(DAY)
    sync(path, api, clock, "issues", since="2026-08-15T00:00:00Z")
    assert titles(path) == ("0123456789" if since is None else "23456789")
    assert checkpoint(path).since == (None if since is None else "2026-08-15T00:00:00Z")


def test_a_window_grows_again_after_some_days(path: Path, months: Desk, clock: Any) -> None:
    api = Api(months.workspace, allowance=None, max_window_days=31)
    sync(path, api, clock, "issues")
    narrow = checkpoint(path).span
    for _ in range(3):
        clock.sleep(8 * DAY)
        sync(path, Api(months.workspace, allowance=None), clock, "issues")
    assert checkpoint(path).span == 8 * (narrow or 0) > 0


def test_a_question_refused_for_another_reason_fails_after_few_tries(
    path: Path, months: Desk, api: Api, clock: Any
) -> None:
    api.misbehave("400", "/issues/search", times=-1)
    assert set(errors(sync(path, api, clock, "issues"))) == {"issues"}
    assert api.count("POST /issues/search") < 20


def test_the_span_that_pylon_is_said_to_take_is_found(path: Path, months: Desk, clock: Any) -> None:
    """And not the half of it, which costs twice the requests for good."""
    api = Api(months.workspace, allowance=None, max_window_days=30)
    sync(path, api, clock, "issues")
    assert checkpoint(path).span == 30 * DAY - 10


def test_old_issues_are_loaded_whatever_is_known_of_accounts(
    path: Path, months: Desk, clock: Any
) -> None:
    """Accounts are read at the same time, and may have been made anew since."""
    months.workspace.add("accounts", name="Imported", at=clock() - DAY)
    old = months.workspace.open_issue(title="old", body_html="<p>x</p>", at=clock() - 3000 * DAY)
    api = Api(months.workspace, allowance=None, max_window_days=60)
    sync(path, api, clock, "issues")
    assert [row["id"] for row in live(path, "issues") if row["title"] == "old"] == [old]


@pytest.mark.parametrize("days", [None, 31])
@pytest.mark.parametrize("requests", [1, 2, 4])
@pytest.mark.parametrize(
    "then", [{}, {"full": True}, {"include": ["issues.tags"]}, {"issue_type": "all"}], ids=str
)
def test_an_earlier_since_of_a_run_that_died_is_remembered(
    path: Path, months: Desk, clock: Any, days: int | None, requests: int, then: Any
) -> None:
    """Whatever the next run is asked for."""
    api = Api(months.workspace, allowance=None, max_window_days=days)
    kind = {"issue_type": "conversation"}
    first = {"include": {"exclude": ["issues.tags"]}, "issue_type": kind}
    before = first.get(next(iter(then), ""), {})
    sync(path, api, clock, "accounts", "issues", since="2026-12-28T00:00:00Z", **before)
    clock.sleep(DAY)
    assert die(path, api, clock, requests, "issues", since="2026-09-01T00:00:00Z")
    clock.sleep(DAY)
    assert errors(sync(path, api, clock, "issues", **then)) == {}
    assert titles(path) == "3456789"
    assert checkpoint(path).since == "2026-09-01T00:00:00Z"


@pytest.mark.parametrize("requests", range(1, 12, 2))
def test_what_is_taken_in_again_is_no_change_until_all_is_read(
    path: Path, months: Desk, clock: Any, requests: int
) -> None:
    """Window after window, over more than one run."""
    api = Api(months.workspace, allowance=None, max_window_days=31)
    for issue in months.issues:
        months.workspace.change_issue(issue, tags=["a"])
        clock.sleep(25 * DAY)
    sync(path, api, clock, "issues", exclude=["issues.tags"])
    clock.sleep(DAY)
    die(path, api, clock, requests, "issues", include=["issues.tags"])
    clock.sleep(DAY)
    sync(path, api, clock, "issues")
    assert rows(path, "SELECT * FROM issue_changes") == []
    months.workspace.change_issue(months.issues[0], tags=["b"])
    clock.sleep(DAY)
    sync(path, api, clock, "issues")
    changes = rows(path, "SELECT old, new FROM issue_changes")
    assert changes == [{"old": '["a"]', "new": '["b"]'}]


@pytest.mark.parametrize("requests", range(1, 25, 3))
def test_a_load_in_small_windows_goes_on_after_a_death(
    path: Path, months: Desk, clock: Any, requests: int
) -> None:
    api = Api(months.workspace, allowance=None, max_window_days=31)
    die(path, api, clock, requests, "issues")
    months.workspace.change_issue(months.issues[0], title="A")
    clock.sleep(DAY)
    assert errors(sync(path, api, clock, "issues")) == {}
    assert titles(path) == "123456789A"
