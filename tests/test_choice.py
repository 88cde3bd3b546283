"""What a file mirrors is chosen once and remembered: streams, kinds of objects, type of issues."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from desk import Desk, open_issue
from mirroring import ALL, DAY, die, errors, live, rows, sync
from oracle import differences
from test_truth import Edited, Payload

from pylon_to_sqlite.choice import Choice
from pylon_to_sqlite.display import Display
from pylon_to_sqlite.reconcile import Compared
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.stale import stale_params, stale_sql
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.streams import BY_NAME, STREAMS

OPTIONAL = [stream.name for stream in STREAMS if stream.is_optional]
USUAL = [one.name for one in STREAMS if not one.is_optional and one.name != "custom_objects"]


def names(streams: tuple[Stream, ...]) -> list[str]:
    return [stream.name for stream in streams]


def read(outcome: Any) -> set[str]:
    return {one.stream.name for one in outcome.results}


def test_nothing_chosen_is_all_that_costs_no_request_a_record() -> None:
    assert names(Choice().streams()) == USUAL
    assert set(OPTIONAL) == {
        *("issue_followers", "issue_voice_calls", "task_comments", "account_relationships"),
        "audit_logs",
    }


@pytest.mark.parametrize("name", OPTIONAL)
def test_an_optional_stream_is_on_once_it_was_named(name: str) -> None:
    choice = Choice().with_wishes([name])
    assert name in names(choice.streams([name]))
    assert {*names(choice.streams())} == {*USUAL, name}
    assert {*names(choice.with_wishes().streams())} == {*USUAL, name}
    assert {*names(choice.with_wishes(skip=[name]).streams())} == {*USUAL}


def test_what_is_skipped_stays_out_with_its_children_until_it_is_named() -> None:
    choice = Choice().with_wishes(skip=["surveys", "tags"])
    left = {*USUAL} - {"surveys", "survey_responses", "tags"}
    assert {*names(choice.streams())} == left
    assert {*names(choice.with_wishes(["survey_responses"]).streams())} == {*USUAL} - {"tags"}
    assert {*names(choice.with_wishes(everything=True).streams())} == {*USUAL, *OPTIONAL}
    both = choice.with_wishes(skip=["tags"], everything=True)
    assert {*names(both.streams())} == {*USUAL, *OPTIONAL} - {"tags"}


def test_a_choice_survives_the_file() -> None:
    choice = Choice().with_wishes(["audit_logs"], ["tags"], ["companies"], "ticket")
    assert Choice.from_json(choice.to_json()) == choice
    assert choice.with_wishes(issue_type="all").issue_type == ""


def test_all_of_it_is_mirrored_where_it_is_asked_for_and_remembered(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    outcome = sync(path, api, clock, **ALL)
    assert (errors(outcome), read(outcome)) == ({}, {*BY_NAME})
    assert differences(path, desk.workspace) == []
    for stream in BY_NAME:
        assert live(path, stream), stream
    open_issue(desk, 5)
    task = desk.workspace.listed("tasks")[0].key
    desk.workspace.add_task_comment(task, body_html="<p>Done.</p>", author=desk.agents[0])
    desk.workspace.add("audit_logs", actor_contact_id=desk.contacts[0])
    desk.workspace.add_custom_object("companies", name="Late")
    clock.sleep(DAY)
    assert read(sync(path, api, clock)) == {*BY_NAME}
    assert differences(path, desk.workspace) == []


def test_without_it_they_cost_no_request(path: Path, desk: Desk, api: Api, clock: Any) -> None:
    sync(path, api, clock)
    for name in (*OPTIONAL, "custom_objects"):
        assert live(path, name) == []
        pattern = BY_NAME[name].path.replace("{id}", "[^/]+").replace("{type}", ".*")
        assert api.count(f".* {pattern}") == 0


def test_children_are_read_again_when_their_parent_changes_or_a_week_has_passed(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    sync(path, api, clock, **ALL)
    task = desk.workspace.listed("tasks")[0].key
    account, other = desk.accounts
    quiet: dict[str, Any] = {"touch": False}
    desk.workspace.add_task_comment(task, body_html="<p>Quiet.</p>", author=desk.agents[0], **quiet)
    desk.workspace.add_relationship(account, other, relationship_type="partner_account")
    desk.workspace.add_follower(desk.issues[0], desk.contacts[2])
    clock.sleep(DAY)
    before = api.count("GET /(tasks|accounts)/[^/]+/(comments|relationships)")
    sync(path, api, clock)
    assert len(live(path, "issue_followers")) == 7
    assert differences(path, desk.workspace) != []
    assert api.count("GET /(tasks|accounts)/[^/]+/(comments|relationships)") == before
    clock.sleep(6 * DAY)
    sync(path, api, clock)
    assert differences(path, desk.workspace) == []


def test_only_issues_that_came_by_phone_are_asked_for_calls(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    sync(path, api, clock, "issue_voice_calls")
    assert api.count("GET /issues/[^/]+/voice-calls") == 1
    assert len(live(path, "issue_voice_calls")) == 1


def test_calls_move_with_an_issue_that_is_merged_into_one_that_did_not_come_by_phone(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    sync(path, api, clock, everything=True)
    desk.workspace.merge_issues(desk.issues[0], desk.issues[2])
    for _ in range(2):
        clock.sleep(3600)
        sync(path, api, clock, reconcile=True)
    assert differences(path, desk.workspace) == []
    assert [row["issue_id"] for row in live(path, "issue_voice_calls")] == [desk.issues[0]]
    # Of a million messages none is looked at for this.
    calls = BY_NAME["issue_voice_calls"]
    params = stale_params(calls, "", None)
    plan = rows(path, f"EXPLAIN QUERY PLAN SELECT 1 {stale_sql(calls)}", params)
    assert [row for row in plan if "idx_issue_messages_phone" in row["detail"]]
    assert not [row for row in plan if row["detail"] == "SCAN issue_messages"]


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("name", [name for name in OPTIONAL if name != "issue_voice_calls"])
def test_what_the_plan_does_not_have_is_no_failure_and_costs_few_requests(
    path: Path, desk: Desk, api: Api, clock: Any, name: str, status: int
) -> None:
    for number in range(12):
        open_issue(desk, number)
        task = desk.workspace.add("tasks", title=f"Task {number}")
        desk.workspace.add("accounts", name=f"Account {number}")
    assert task
    clock.sleep(DAY)
    stream = BY_NAME[name]
    endpoint = f"{stream.method} {stream.path}"
    api.unavailable = {endpoint: status}
    outcome = sync(path, api, clock, everything=True)
    assert errors(outcome) == {}
    (result,) = (one for one in outcome.results if one.stream is stream)
    assert str(status) in str(result.missing)
    assert api.count(endpoint.replace("{id}", "[^/]+")) <= 6
    api.unavailable = {}
    clock.sleep(DAY)
    assert errors(sync(path, api, clock)) == {}
    assert differences(path, desk.workspace) == []
    # It has answered, so from now on it is missed.
    api.unavailable = {endpoint: status}
    desk.workspace.change_issue(desk.issues[0], title="Changed")
    desk.workspace.change("tasks", task, title="Changed")
    desk.workspace.change("accounts", desk.accounts[0], name="Changed")
    clock.sleep(DAY)
    assert {*errors(sync(path, api, clock))} == {name}


def test_a_kind_of_objects_that_is_not_there_fails_and_is_forgotten(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    outcome = sync(path, api, clock, custom_objects=["companies", "companys"])
    assert {*errors(outcome)} == {"custom_objects"}
    assert "companys" in errors(outcome)["custom_objects"]
    assert len(live(path, "custom_objects")) == 2
    clock.sleep(DAY)
    desk.workspace.add_custom_object("companies", name="Late")
    assert errors(sync(path, api, clock)) == {}
    assert differences(path, desk.workspace) == []


def test_a_kind_that_pylon_does_not_know_is_not_tried_again(
    path: Path, api: Api, clock: Any, capsys: Any
) -> None:
    outcome = sync(path, api, clock, custom_objects=["compnies"])
    assert list(errors(outcome)) == ["custom_objects"]
    Display(False, False).summary(outcome, 1, 0, 0)
    assert capsys.readouterr().err.splitlines()[-1] == "Failed: custom_objects."


def test_custom_objects_without_a_kind_say_so(path: Path, api: Api, desk: Desk, clock: Any) -> None:
    outcome = sync(path, api, clock, "custom_objects")
    assert [one.missing for one in outcome.results] == ["no type of them is named"]


def test_one_type_of_issues_alone(path: Path, desk: Desk, api: Api, clock: Any) -> None:
    """It is remembered; what changes its type comes or leaves."""
    sync(path, api, clock, issue_type="ticket", **ALL)
    assert {row["type"].lower() for row in live(path, "issues")} == {"ticket"}
    assert differences(path, desk.workspace) == []
    assert api.count("GET /issues/[^/]+/messages") == 2
    desk.workspace.change_issue(desk.issues[0], type="ticket")
    desk.workspace.change_issue(desk.issues[1], type="conversation")
    clock.sleep(DAY + 60)
    sync(path, api, clock)
    outcome = sync(path, api, clock, reconcile=True)
    assert outcome.compared.error is None
    assert differences(path, desk.workspace) == []


def test_what_leaves_the_scope_is_marked_and_what_comes_is_loaded(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    for kind, mirrored in (("conversation", 2), ("ticket", 2), ("all", 4), ("ticket", 2)):
        clock.sleep(3600)
        outcome = sync(mirror, api, clock, issue_type=kind)
        assert errors(outcome) == {}
        assert len(live(mirror, "issues")) == mirrored
        assert differences(mirror, desk.workspace) == []
        clock.sleep(3600)
        again = sync(mirror, api, clock, reconcile=True)
        assert again.compared == Compared(issues=4)
        assert differences(mirror, desk.workspace) == []


def test_a_scope_that_is_narrowed_in_the_middle_of_a_load(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    for number in range(1200):
        desk.workspace.open_issue(title=f"{number}", body_html="<p>x</p>", at=clock() - 9000)
    assert die(path, api, clock, 2, "issues")
    sync(path, api, clock, "issues", "organization", issue_type="ticket")
    assert len(live(path, "issues")) == 2
    sync(path, api, clock, "issues", issue_type="all")
    assert len(live(path, "issues")) == 1204


def test_a_filter_that_is_not_heeded_changes_nothing(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """Pylon ignores what it does not know."""

    class Deaf(Edited):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/issues/search":
                request = httpx.Request("POST", request.url, headers=request.headers, json={})
            return super().handle_request(request)

    def nothing(request: httpx.Request, payload: Payload, headers: dict[str, str]) -> None:
        pass

    sync(path, api, clock, issue_type="ticket", transport=Deaf(api, nothing))
    assert differences(path, desk.workspace) == []
    assert rows(path, "SELECT count(*) AS n FROM issues WHERE type = 'conversation'") == [{"n": 0}]


@pytest.mark.parametrize("fault", ["400", "404", "422", "errors-on-200"])
def test_a_kind_of_objects_that_has_answered_is_remembered_whatever_is_said_of_it_once(
    path: Path, desk: Desk, api: Api, clock: Any, fault: str
) -> None:
    sync(path, api, clock, custom_objects=["companies"])
    api.misbehave(fault, "/custom-objects/companies")
    assert {*errors(sync(path, api, clock))} == {"custom_objects"}
    desk.workspace.add_custom_object("companies", name="Late")
    clock.sleep(DAY)
    assert errors(sync(path, api, clock)) == {}
    assert len(live(path, "custom_objects")) == 3


@pytest.mark.parametrize("kinds", [["companies"], ["companies", "gateways"]])
def test_custom_objects_may_not_be_available_however_many_kinds_are_named(
    path: Path, desk: Desk, api: Api, clock: Any, kinds: list[str]
) -> None:
    api.unavailable = {"GET /custom-objects/{type}": 403}
    for _ in range(2):
        outcome = sync(path, api, clock, custom_objects=kinds)
        assert errors(outcome) == {}
        (result,) = (one for one in outcome.results if one.stream.name == "custom_objects")
        assert "403" in str(result.missing)


@pytest.mark.parametrize(
    ("child", "parents"),
    [
        ("survey_responses", "surveys"),
        ("task_comments", "tasks"),
        ("account_relationships", "accounts"),
        ("knowledge_base_articles", "knowledge_bases"),
    ],
)
def test_parents_that_a_list_names_are_not_gone_because_an_endpoint_is(
    path: Path, desk: Desk, api: Api, clock: Any, child: str, parents: str
) -> None:
    """As with a plan, a token or a year that has neither."""
    for number in range(9):
        desk.workspace.add("tasks", title=f"{number}")
        desk.workspace.add("surveys", name=f"{number}")
    by_id = f"GET {BY_NAME[parents].path.removesuffix('/search')}/{{id}}"
    for run in range(3):
        api.unavailable = {f"GET {BY_NAME[child].path}": 404, by_id: 404}
        outcome = sync(path, api, clock, everything=True)
        missing = {one.stream.name for one in outcome.results if one.missing}
        # Once it has answered, it is missed.
        told = [{*errors(outcome)}, missing]
        assert told == ([{child}, set()] if run == 2 else [set(), {child}])
        assert len(live(path, parents)) == len(desk.workspace.listed(parents))
        clock.sleep(DAY)
        if run == 1:
            api.unavailable = {}
            sync(path, api, clock)
            assert differences(path, desk.workspace) == []
            desk.workspace.change("tasks", desk.workspace.listed("tasks")[0].key, title="x")
            desk.workspace.change("accounts", desk.accounts[0], name="x")
            clock.sleep(DAY)


@pytest.mark.parametrize(
    ("child", "parents"), [("task_comments", "tasks"), ("account_relationships", "accounts")]
)
def test_a_record_that_went_before_its_children_were_read_is_no_failure(
    path: Path, desk: Desk, api: Api, clock: Any, child: str, parents: str
) -> None:
    """Also where nothing but its children was asked for, and its list is read whole once a day."""
    sync(path, api, clock, everything=True)
    key = desk.workspace.listed(parents)[0].key
    clock.sleep(3600)
    desk.workspace.change(parents, key, custom_fields={"size": "7"})
    clock.sleep(3600)
    sync(path, api, clock, parents)
    desk.workspace.remove(parents, key)
    before = api.count(f"GET {BY_NAME[child].path.replace('{id}', key)}")
    assert errors(sync(path, api, clock)) == {}
    assert api.count(f"GET {BY_NAME[child].path.replace('{id}', key)}") == before + 1
    assert errors(sync(path, api, clock)) == {}
    assert key not in {row["id"] for row in live(path, parents)}
    assert differences(path, desk.workspace) == []


def test_what_was_never_asked_for_has_never_answered(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """Where there was no phone issue yet, the first one is no failure."""
    for issue in desk.issues:
        desk.workspace._issues[issue].source = "email"
    sync(path, api, clock, "issue_voice_calls")
    api.unavailable = {"GET /issues/{id}/voice-calls": 403}
    desk.workspace.open_issue(title="Ring", body_html="<p>Ring.</p>", source="phone")
    clock.sleep(DAY)
    outcome = sync(path, api, clock)
    assert errors(outcome) == {}
    assert {one.stream.name for one in outcome.results if one.missing} == {"issue_voice_calls"}


def test_kinds_are_forgotten_where_their_stream_is_skipped() -> None:
    choice = Choice().with_wishes(custom_objects=["a", "b"])
    assert choice.with_wishes(skip=["custom_objects"]).custom_objects == []
    assert choice.with_wishes(skip=["custom_objects"], custom_objects=["c"]).custom_objects == ["c"]


@pytest.mark.parametrize("number", [999, 1000, 1001])
def test_feature_requests_beyond_what_pylon_gives_are_told(
    path: Path, desk: Desk, api: Api, clock: Any, number: int
) -> None:
    for one in range(number - 2):
        desk.workspace.add("feature_requests", title=f"{one}")
    outcome = sync(path, api, clock, "feature_requests")
    assert errors(outcome) == {}
    (result,) = (one for one in outcome.results if one.stream.name == "feature_requests")
    assert result.is_cut_off == (number >= 1000)
    assert len(live(path, "feature_requests")) == min(number, 1000)
    # Those that a new one pushes out of the list are not gone.
    desk.workspace.add("feature_requests", title="One more")
    sync(path, api, clock, "feature_requests")
    assert len(live(path, "feature_requests")) == min(number, 1000) + 1
