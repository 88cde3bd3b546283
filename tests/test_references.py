"""References hold after any sync, and say who is who."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from desk import Desk, open_issue
from mirroring import DAY, errors, live, rows, sync
from oracle import differences
from test_truth import Edited, Payload

from pylon_to_sqlite.sandbox.api import Api


def requester(path: Path, issue: str) -> tuple[Any, ...]:
    (row,) = rows(
        path,
        "SELECT requester_id, requester_contact_id, requester_user_id FROM issues WHERE id = ?",
        [issue],
    )
    return tuple(row.values())


def placeholders(path: Path, table: str) -> list[dict[str, Any]]:
    return rows(path, f"SELECT * FROM {table} WHERE placeholder = 1")


def test_issues_alone_have_placeholders_for_all_they_refer_to(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    sync(path, api, clock, "issues")
    assert rows(path, "PRAGMA foreign_key_check") == []
    assert {row["id"] for row in placeholders(path, "accounts")} == {*desk.accounts}
    ann, bo = (one for one in desk.workspace.records("users"))
    users = {row["id"]: row["email"] for row in placeholders(path, "users")}
    assert users == {ann["id"]: ann["email"], bo["id"]: bo["email"]}
    assert live(path, "accounts") == []


def test_a_placeholder_is_replaced_when_the_record_itself_comes(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    sync(path, api, clock, "issues")
    outcome = sync(path, api, clock)
    counts = {one.stream.name: one.counts.new for one in outcome.results}
    assert counts["accounts"] == 2
    assert placeholders(path, "accounts") == placeholders(path, "users") == []
    assert differences(path, desk.workspace) == []


def test_who_asked_is_decided_once_both_lists_are_there(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    contact, user = desk.contacts[0], desk.agents[0]
    sync(path, api, clock, "issues")
    assert requester(path, desk.issues[0]) == (contact, None, None)
    sync(path, api, clock, "contacts")
    assert requester(path, desk.issues[2]) == (user, None, None)
    sync(path, api, clock, "users")
    assert requester(path, desk.issues[0]) == (contact, contact, None)
    assert requester(path, desk.issues[2]) == (user, None, user)
    assert placeholders(path, "contacts") == []


def test_a_requester_in_neither_list_is_a_contact_until_a_list_says_otherwise(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    workspace = desk.workspace
    agent = workspace.add("users", name="New agent", email="new@northwind.example")
    issue = workspace.open_issue(title="By a new agent", body_html="<p>x</p>", requester=agent)
    clock.sleep(DAY)
    sync(mirror, api, clock, "issues", "issue_messages")
    # The message says that its author is a user, so the requester is one.
    assert requester(mirror, issue) == (agent, None, agent)
    newcomer = workspace.add("contacts", name="Newcomer")
    issue = workspace.open_issue(title="By a newcomer", body_html="<p>x</p>", requester=newcomer)
    clock.sleep(DAY)
    sync(mirror, api, clock, "issues")
    assert requester(mirror, issue) == (newcomer, newcomer, None)
    assert [row["id"] for row in placeholders(mirror, "contacts")] == [newcomer]
    sync(mirror, api, clock)
    assert placeholders(mirror, "contacts") == placeholders(mirror, "users") == []
    assert differences(mirror, workspace) == []


def test_a_changed_requester_is_decided_anew(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    desk.workspace.change_issue(desk.issues[0], requester=desk.agents[1])
    desk.workspace.change_issue(desk.issues[2], requester=desk.contacts[2])
    clock.sleep(DAY)
    sync(mirror, api, clock)
    assert requester(mirror, desk.issues[0]) == (desk.agents[1], None, desk.agents[1])
    assert requester(mirror, desk.issues[2]) == (desk.contacts[2], desk.contacts[2], None)


def test_a_deactivated_agent_is_asked_for_too(path: Path, desk: Desk, api: Api, clock: Any) -> None:
    """Issues and messages still name who has left."""
    desk.workspace.deactivate_user(desk.agents[1])
    assert errors(sync(path, api, clock)) == {}
    assert {row["id"] for row in live(path, "users")} == {*desk.agents}
    assert differences(path, desk.workspace) == []


def test_who_is_nowhere_any_more_stays_as_a_marked_placeholder_and_breaks_no_key(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """An agent is asked for by id once, once more a day later, and never again."""
    desk.workspace.remove("users", desk.agents[1])
    for _ in range(4):
        assert errors(sync(path, api, clock)) == {}
        clock.sleep(DAY)
    (agent,) = placeholders(path, "users")
    assert agent["id"] == desk.agents[1]
    assert agent["deleted_at"]
    assert api.count(f"GET /users/{desk.agents[1]}") == 2
    assert rows(path, "PRAGMA foreign_key_check") == []


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("stream", ["accounts", "contacts", "users"])
def test_whoever_is_looked_up_the_run_comes_to_its_end(
    path: Path, desk: Desk, api: Api, clock: Any, stream: str, workers: int
) -> None:
    """However many ask at once, and whether or not the record was here before."""
    keys = {"accounts": desk.accounts, "contacts": desk.contacts, "users": desk.agents}[stream]
    desk.workspace.remove(stream, keys[0])
    assert errors(sync(path, api, clock, workers=workers)) == {}
    desk.workspace.remove(stream, keys[1])
    for issue in desk.issues:
        desk.workspace.change_issue(issue, title="Changed")
    clock.sleep(DAY)
    assert errors(sync(path, api, clock, workers=workers)) == {}
    assert {*keys[:2]} & {row["id"] for row in live(path, stream)} == set()


@pytest.mark.parametrize("workers", [1, 8])
def test_whom_a_looked_up_record_names_is_looked_up_too(
    path: Path, desk: Desk, api: Api, clock: Any, workers: int
) -> None:
    """In the same run: a contact in no list, of an account in no list, that a user owns who is in
    none."""
    workspace = desk.workspace
    owner = workspace.add("users", name="Owner")
    account = workspace.add("accounts", name="Account", owner=owner)
    contact = workspace.add("contacts", name="Contact", account=account)
    workspace.open_issue(title="I", body_html="<p>x</p>", requester=contact)
    clock.sleep(DAY)
    transport = Edited(api, unlisted(owner, account, contact))
    assert errors(sync(path, api, clock, workers=workers, transport=transport)) == {}
    assert differences(path, workspace) == []


@pytest.mark.parametrize("workers", [1, 8])
def test_whom_only_the_comparison_shows_is_looked_up_in_the_same_run(
    mirror: Path, desk: Desk, api: Api, clock: Any, workers: int
) -> None:
    """Of the streams that are named, none ends later."""
    account = desk.workspace.add("accounts", name="In no list")
    desk.workspace.change_issue(desk.issues[0], account=account, touch=False)
    names = ("issues", "accounts", "contacts", "users")
    transport = Edited(api, unlisted(account))
    options: Any = {"workers": workers, "reconcile": True, "transport": transport}
    clock.sleep(3600)
    sync(mirror, api, clock, *names, **options)
    assert differences(mirror, desk.workspace) == []


@pytest.mark.parametrize("fault", ["403", "500"])
def test_a_contact_who_was_listed_is_no_user_to_be_asked_for(
    mirror: Path, desk: Desk, api: Api, clock: Any, fault: str
) -> None:
    desk.workspace.remove("contacts", desk.contacts[2])
    api.misbehave(fault, "/users/[^/]+", times=-1)
    clock.sleep(DAY)
    sync(mirror, api, clock)
    assert api.count("GET /users/.*") == 0
    assert differences(mirror, desk.workspace) == []


def test_who_was_asked_for_today_is_asked_again_where_all_is_compared(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    gone = desk.contacts[2]
    clock.sleep(3600)
    sync(mirror, api, clock, transport=Edited(api, unlisted(gone)))
    desk.workspace.remove("contacts", gone)
    clock.sleep(3600)
    sync(mirror, api, clock, reconcile=True)
    assert differences(mirror, desk.workspace) == []


def unlisted(*keys: str) -> Callable[[httpx.Request, Payload, dict[str, str]], None]:
    """Leave records out of their lists, as Pylon does with some."""

    def edit(request: httpx.Request, payload: Payload, headers: dict[str, str]) -> None:
        if isinstance(payload.get("data"), list) and request.url.path in LISTS:
            payload["data"] = [one for one in payload["data"] if one["id"] not in keys]

    return edit


LISTS = ("/users", "/contacts", "/accounts")


def test_who_is_in_no_list_is_asked_for_by_id(path: Path, desk: Desk, api: Api, clock: Any) -> None:
    """They are records like all others, and asked for once a day, for no list tells when they
    go. An agent who asked is found behind a contact's place."""
    missing = (desk.agents[0], desk.contacts[1], desk.accounts[1])

    def asked() -> int:
        return api.count(f"GET /(users|contacts|accounts)/({'|'.join(missing)})")

    def run() -> None:
        transport = Edited(api, unlisted(*missing))
        assert errors(sync(path, api, clock, transport=transport)) == {}

    run()
    assert differences(path, desk.workspace) == []
    assert requester(path, desk.issues[2]) == (desk.agents[0], None, desk.agents[0])
    first = asked()
    assert first >= 3
    run()
    assert asked() == first
    assert differences(path, desk.workspace) == []
    clock.sleep(DAY + 60)
    run()
    assert asked() == first + 3
    desk.workspace.remove("contacts", missing[1])
    run()
    clock.sleep(DAY + 60)
    run()
    (contact,) = rows(path, "SELECT * FROM contacts WHERE id = ?", [missing[1]])
    assert contact["deleted_at"]
    # Those that are listed again are like all others, and who is gone is asked for once more.
    clock.sleep(DAY + 60)
    sync(path, api, clock)
    assert rows(path, "SELECT * FROM _pylon_unlisted") == []


def test_an_account_that_was_merged_into_another_leads_to_that_one(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    def edit(request: httpx.Request, payload: Payload, headers: dict[str, str]) -> None:
        unlisted(desk.accounts[1])(request, payload, headers)
        if request.url.path == f"/accounts/{desk.accounts[1]}":
            accounts = {one["id"]: one for one in api.workspace.records("accounts")}
            payload["data"] = accounts[desk.accounts[0]]

    sync(path, api, clock, transport=Edited(api, edit))
    (merged,) = placeholders(path, "accounts")
    assert (merged["id"], bool(merged["deleted_at"])) == (desk.accounts[1], True)
    assert [row["id"] for row in live(path, "accounts")] == [desk.accounts[0]]


def test_one_wrong_answer_to_a_look_up_is_mended_in_a_day(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    transport = Edited(api, unlisted(desk.agents[1]))
    api.misbehave("404", f"/users/{desk.agents[1]}", times=1)
    sync(path, api, clock, transport=transport)
    assert placeholders(path, "users")[0]["deleted_at"]
    clock.sleep(DAY + 60)
    sync(path, api, clock, transport=transport)
    assert differences(path, desk.workspace) == []


def test_a_record_that_cannot_be_answered_keeps_no_other_from_its_turn(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    missing = sorted([desk.agents[0], desk.agents[1]])
    api.misbehave("400", f"/users/{missing[0]}", times=-1)
    sync(path, api, clock, transport=Edited(api, unlisted(*missing)))
    assert [row["id"] for row in live(path, "users")] == [missing[1]]


def test_who_has_left_a_list_is_asked_before_being_marked(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """Lists are cut off, and pages shift."""
    missing = (desk.agents[1], desk.contacts[2], desk.accounts[0])
    for _ in range(2):
        sync(mirror, api, clock, transport=Edited(api, unlisted(*missing)))
        assert differences(mirror, desk.workspace) == []


@pytest.mark.parametrize("fault", ["403", "500", "errors-on-200", "no-key"])
def test_a_look_up_that_fails_is_left_to_the_next_run(
    path: Path, desk: Desk, api: Api, clock: Any, fault: str
) -> None:
    """It is no failure: the mirror is as whole as its lists."""
    transport = Edited(api, unlisted(desk.agents[1]))
    api.misbehave(fault, "/users/.*", times=-1)
    assert errors(sync(path, api, clock, transport=transport)) == {}
    (agent,) = placeholders(path, "users")
    assert agent["deleted_at"] is None
    api.behave()
    assert errors(sync(path, api, clock, transport=transport)) == {}
    assert differences(path, desk.workspace) == []


def test_a_note_in_a_thread_that_is_not_listed_has_a_placeholder_of_its_issue(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    api.misbehave("data-null", "/issues/[^/]+/threads", times=-1)
    sync(path, api, clock)
    threads = placeholders(path, "issue_threads")
    assert {row["issue_id"] for row in threads} == {*desk.issues}
    assert rows(path, "PRAGMA foreign_key_check") == []


def test_issue_groups_refer_to_their_issues_even_outside_the_scope(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    desk.workspace.change_issue(desk.issues[1], parent_issue_group=desk.issues[0], touch=False)
    clock.sleep(DAY)
    new = open_issue(desk, 5)
    desk.workspace.change_issue(new, parent_issue_group=desk.issues[0])
    clock.sleep(1)
    since = desk.workspace.records("issues")[0]["created_at"]
    sync(path, api, clock, since=since)
    assert [row["id"] for row in live(path, "issues")] == [new]
    assert api.count(f"GET /issues/{desk.issues[0]}.*") == 0, "a placeholder has no children"
    assert placeholders(path, "issues")[0]["id"] == desk.issues[0]
    assert placeholders(path, "issues")[0]["number"] == 1
    sync(path, api, clock, since="2020-01-01T00:00:00Z")
    assert placeholders(path, "issues") == []
    assert differences(path, desk.workspace) == []
