"""Answers that are not what they seem never make the mirror forget, and never move it on."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import FakeClock
from desk import Desk, open_desk
from mirroring import DAY, die, errors, live, rows, sync
from oracle import differences

from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import SandboxTransport
from pylon_to_sqlite.sandbox.workspace import Workspace

Payload = dict[str, Any]


class Edited(SandboxTransport):
    """Passes each answer through a function that may change its payload and headers."""

    def __init__(
        self, api: Api, edit: Callable[[httpx.Request, Payload, dict[str, str]], None]
    ) -> None:
        super().__init__(api)
        self._edit = edit

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        payload, headers = json.loads(response.content), dict(response.headers)
        headers.pop("content-length", None)
        self._edit(request, payload, headers)
        content = json.dumps(payload).encode()
        return httpx.Response(response.status_code, headers=headers, content=content)


@pytest.fixture
def many(workspace: Workspace, clock: Any) -> Desk:
    """So many issues that they fill a page and a bit."""
    desk = open_desk(workspace, issues=0)
    for number in range(1200):
        desk.issues.append(workspace.open_issue(title=f"{number}", body_html="<p>x</p>"))
        clock.sleep(1)
    clock.sleep(DAY)
    return desk


def test_a_proxys_404_is_not_pylons(path: Path, desk: Desk, api: Api, clock: Any) -> None:
    """The page of a gateway that lost its way says nothing of what Pylon has."""
    sync(path, api, clock, "issues")
    api.misbehave("custom", r"/issues/(?!search).*", times=-1, status=404, body=b"<html>404</html>")
    assert set(errors(sync(path, api, clock))) == {"issue_messages", "issue_threads"}
    assert len(live(path, "issues")) == 4
    api.behave()
    assert errors(sync(path, api, clock)) == {}
    assert differences(path, desk.workspace) == []


def test_most_issues_gone_at_once_is_not_believed(
    path: Path, workspace: Workspace, api: Api, clock: Any
) -> None:
    desk = open_desk(workspace, issues=40)
    clock.sleep(DAY)
    sync(path, api, clock, "issues")
    api.misbehave("404", r"/issues/(?!search).*", times=-1)
    assert set(errors(sync(path, api, clock, "issue_messages"))) == {"issue_messages"}
    assert len(live(path, "issues")) >= 20
    api.behave()
    sync(path, api, clock, full=True)
    assert differences(path, desk.workspace) == []


@pytest.mark.parametrize("fault", ["no-pagination", "no-data", "data-null"])
@pytest.mark.parametrize("after", [0, 1])
def test_a_page_with_more_to_come_is_not_taken_for_the_last(
    path: Path, many: Desk, api: Api, clock: Any, fault: str, after: int
) -> None:
    api.misbehave(fault, "/issues/search", times=1, after=after)
    assert errors(sync(path, api, clock, "issues")) == {}
    assert len(live(path, "issues")) == 1200


def test_whether_there_is_more_may_be_null_beside_a_cursor(
    path: Path, many: Desk, api: Api, clock: Any
) -> None:
    def edit(request: httpx.Request, payload: Payload, headers: dict[str, str]) -> None:
        if (payload.get("pagination") or {}).get("has_next_page"):
            payload["pagination"]["has_next_page"] = None

    sync(path, api, clock, "issues", transport=Edited(api, edit))
    assert len(live(path, "issues")) == 1200


@pytest.mark.parametrize("fault", ["no-data", "data-null", "stale-page"])
@pytest.mark.parametrize("where", ["/issues/search", "/issues/[^/]+/messages"])
def test_one_answer_without_its_data_loses_nothing(
    mirror: Path, desk: Desk, api: Api, clock: Any, fault: str, where: str
) -> None:
    """Nor does one that a cache kept for half an hour."""
    clock.sleep(DAY)
    api.misbehave(fault, where, times=1)
    clock.sleep(60)
    desk.workspace.reply(desk.issues[0], html="<p>News.</p>", author=desk.contacts[0])
    clock.sleep(1800)
    assert errors(sync(mirror, api, clock)) == {}
    clock.sleep(DAY)
    assert errors(sync(mirror, api, clock)) == {}
    assert differences(mirror, desk.workspace) == []


def test_a_list_without_data_is_believed_at_once_where_the_mirror_holds_none_either(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """Where nothing changes no question is asked twice; where something would, each is."""

    def asked() -> int:
        before = api.count("GET /tags")
        assert errors(sync(path, api, clock, "tags")) == {}
        return api.count("GET /tags") - before

    api.misbehave("data-null", "/tags", times=-1)
    assert [asked(), asked()] == [2, 1]
    api.behave()
    assert asked() == 1
    assert len(live(path, "tags")) == 1
    api.misbehave("data-null", "/tags", times=-1)
    assert asked() == 2


@pytest.mark.parametrize("options", [{}, {"verify": 9}, {"full": True}])
def test_a_conversation_that_is_really_empty_is_empty_in_the_end(
    mirror: Path, desk: Desk, api: Api, clock: Any, options: dict[str, Any]
) -> None:
    """One run later, for it might have been a fault; and then it is read no more."""
    before = live(mirror, "issue_messages")
    for message in desk.workspace.messages(desk.issues[0]):
        desk.workspace.delete_message(message["id"])
    clock.sleep(DAY)
    sync(mirror, api, clock, **options)
    assert live(mirror, "issue_messages") == before
    sync(mirror, api, clock, **options)
    assert differences(mirror, desk.workspace) == []
    asked = api.count("GET /issues/[^/]+/messages")
    sync(mirror, api, clock)
    assert api.count("GET /issues/[^/]+/messages") == asked


def test_without_any_date_a_clock_of_ours_that_is_ahead_loses_nothing(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    def edit(request: httpx.Request, payload: Payload, headers: dict[str, str]) -> None:
        headers.pop("date", None)

    ours = FakeClock(clock.now() + 7200)
    for turn in range(4):
        desk.workspace.reply(desk.issues[0], html=f"<p>{turn}</p>", author=desk.contacts[0])
        clock.sleep(1800)
        ours.sleep(1800)
        sync(path, api, ours, transport=Edited(api, edit))
    for _ in range(2):
        clock.sleep(7200)
        ours.sleep(7200)
        sync(path, api, ours, transport=Edited(api, edit))
    assert differences(path, desk.workspace) == []


@pytest.mark.parametrize("days", [None, 2])
def test_a_load_in_small_windows_without_any_date_comes_to_its_end(
    path: Path, workspace: Workspace, clock: Any, days: float | None
) -> None:
    desk = open_desk(workspace, issues=6)
    clock.sleep(20 * DAY)
    api = Api(workspace, allowance=None, max_window_days=days)

    def edit(request: httpx.Request, payload: Payload, headers: dict[str, str]) -> None:
        headers.pop("date", None)

    for _ in range(2):
        outcome = sync(path, api, clock, transport=Edited(api, edit))
        assert errors(outcome) == {}
        assert differences(path, desk.workspace) == []
        clock.sleep(DAY)


def test_answers_that_stay_in_the_past_end_in_a_failure_and_in_no_loop(
    path: Path, desk: Desk, clock: Any
) -> None:
    api = Api(desk.workspace, allowance=None, max_window_days=5)

    def edit(request: httpx.Request, payload: Payload, headers: dict[str, str]) -> None:
        if request.url.path == "/issues/search":
            headers["date"] = "Mon, 01 Jan 2024 00:00:00 GMT"

    sync(path, api, clock, "accounts")
    failed = errors(sync(path, api, clock, "issues", transport=Edited(api, edit)))
    assert failed == {"issues": "/issues/search: the answers are older than what was read"}
    clock.sleep(DAY)
    assert errors(sync(path, api, clock)) == {}
    assert differences(path, desk.workspace) == []


def test_full_with_a_later_since_takes_nothing_away(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    clock.sleep(DAY)
    desk.workspace.change_issue(desk.issues[0], title="Changed")
    clock.sleep(20 * DAY)
    later = "2026-07-20T00:00:00Z"
    sync(mirror, api, clock, since=later, full=True)
    assert differences(mirror, desk.workspace) == []


def test_full_on_a_new_file_keeps_to_since(path: Path, desk: Desk, api: Api, clock: Any) -> None:
    sync(path, api, clock, since="2026-07-01T23:00:00Z", full=True)
    assert live(path, "issues") == []


@pytest.mark.parametrize("fault", ["404", "410", "403", "422", "500", "refused-cursor"])
@pytest.mark.parametrize("stream", ["accounts", "issues"])
def test_a_cursor_that_an_earlier_run_left_never_blocks_its_stream(
    path: Path, many: Desk, api: Api, clock: Any, stream: str, fault: str
) -> None:
    for number in range(1200):
        many.workspace.add("accounts", name=f"{number}", owner=None)
        clock.sleep(1)
    where = {"accounts": "/accounts", "issues": "/issues/search"}[stream]
    assert die(path, api, clock, 2, stream)
    api.misbehave(fault, where, times=5 if fault == "500" else 1)
    assert errors(sync(path, api, clock, stream)) == {}
    assert len(live(path, stream)) == {"accounts": 1202, "issues": 1200}[stream]


def test_a_time_of_the_year_9999_is_no_trouble(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    def edit(request: httpx.Request, payload: Payload, headers: dict[str, str]) -> None:
        if request.url.path == "/issues/search" and payload["data"]:
            payload["data"][0]["updated_at"] = "9999-12-31T23:59:59Z"

    assert errors(sync(path, api, clock, transport=Edited(api, edit))) == {}
    assert len(live(path, "issue_messages")) == 16


def test_a_record_that_a_page_holds_twice_is_there_once_and_whole(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    def edit(request: httpx.Request, payload: Payload, headers: dict[str, str]) -> None:
        if request.url.path == "/issues/search" and payload["data"]:
            old = {**payload["data"][0], "tags": ["old1", "old2"], "updated_at": "2026-01-01"}
            payload["data"] = [old, *payload["data"], old]

    sync(path, api, clock, transport=Edited(api, edit))
    assert differences(path, desk.workspace) == []


def test_a_placeholder_has_all_that_references_say(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """An article names its author by id alone, a message with the address."""
    desk.workspace.deactivate_user(desk.agents[1])
    sync(path, api, clock)
    (row,) = rows(path, "SELECT email FROM users WHERE id = ?", [desk.agents[1]])
    assert row["email"]


def test_references_by_odd_numbers_hold(path: Path, desk: Desk, api: Api, clock: Any) -> None:
    def edit(request: httpx.Request, payload: Payload, headers: dict[str, str]) -> None:
        if request.url.path == "/contacts":
            for contact, odd in zip(payload["data"], (1e16, -0.0, 7), strict=False):
                contact["account"] = {"id": odd}

    sync(path, api, clock, transport=Edited(api, edit))
    assert rows(path, "PRAGMA foreign_key_check") == []


def test_a_column_of_the_users_own_is_left_alone(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    with closing(sqlite3.connect(mirror)) as connection, connection:
        connection.execute("ALTER TABLE accounts ADD COLUMN note")
        connection.execute("UPDATE accounts SET note = 'mine'")
    desk.workspace.change("accounts", desk.accounts[0], name="Renamed")
    outcome = sync(mirror, api, clock, "accounts")
    assert outcome.results[0].counts.changed == 1
    assert {row["note"] for row in live(mirror, "accounts")} == {"mine"}


def test_children_of_all_issues_are_read_whenever_they_were_created(
    path: Path, workspace: Workspace, api: Api, clock: Any
) -> None:
    """More than a batch of them at one moment, and some at none."""
    issues = [workspace.open_issue(title=f"{n}", body_html="<p>x</p>") for n in range(1100)]
    clock.sleep(DAY)

    def edit(request: httpx.Request, payload: Payload, headers: dict[str, str]) -> None:
        if request.url.path == "/issues/search":
            for number, issue in enumerate(payload["data"]):
                issue["created_at"] = None if number % 2 else issue["created_at"]

    assert errors(sync(path, api, clock, "issue_messages", transport=Edited(api, edit))) == {}
    assert {row["issue_id"] for row in live(path, "issue_messages")} == {*issues}


def test_answers_that_stay_old_are_asked_for_once_a_run(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """A cache that hands them out for half an hour must not be asked all the time."""
    api.misbehave("stale-page", "/issues/[^/]+/messages", times=-1)
    clock.sleep(60)
    desk.workspace.reply(desk.issues[0], html="<p>New.</p>", author=desk.contacts[0])
    clock.sleep(1800)
    before = api.count("GET /issues/.*/messages")
    sync(mirror, api, clock)
    assert api.count("GET /issues/.*/messages") - before <= 2
    api.behave()
    sync(mirror, api, clock)
    assert differences(mirror, desk.workspace) == []


def test_a_conversation_that_seemed_empty_is_doubted_too(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    api.misbehave("data-null", f"/issues/{desk.issues[0]}/messages", times=2)
    sync(path, api, clock)
    assert differences(path, desk.workspace) != []
    clock.sleep(DAY)
    sync(path, api, clock, verify=3)
    assert differences(path, desk.workspace) == []
