"""What a dry run says that a sync would take is what the sync takes."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from desk import Desk, open_issue
from mirroring import ALL, DAY, TOKEN, die, sync

from pylon_to_sqlite.client import Client
from pylon_to_sqlite.errors import Unauthorized
from pylon_to_sqlite.estimate import Estimate, estimate
from pylon_to_sqlite.limits import Clock
from pylon_to_sqlite.run import Wishes
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import SandboxTransport
from pylon_to_sqlite.sandbox.workspace import Workspace
from pylon_to_sqlite.streams import BY_NAME


def estimated(path: Path, api: Api, clock: Any, **wishes: Any) -> Estimate:
    timing = Clock(clock.now, clock.sleep, clock.now)
    client = Client(TOKEN, "http://localhost", SandboxTransport(api), timing)
    with closing(client):
        return estimate(path, client, Wishes(**wishes))


def asked(api: Api, name: str) -> int:
    stream = BY_NAME[name]
    pattern = stream.path.replace("{id}", "[^/]+").replace("{type}", "[^/]+")
    return api.count(f"{stream.method} {pattern}")


@pytest.mark.parametrize("wishes", [{}, ALL, {"issue_type": "ticket"}, {"names": ["tasks"]}])
def test_it_says_what_the_sync_then_takes(
    path: Path, desk: Desk, api: Api, clock: Any, wishes: dict[str, Any]
) -> None:
    def held_against(*names: str, **options: Any) -> None:
        told = estimated(path, api, clock, **options)
        assert told.errors == []
        before = {name: asked(api, name) for name in BY_NAME}
        given = {name: value for name, value in options.items() if name != "names"}
        sync(path, api, clock, *names, **given)
        for cost in told.costs:
            if cost.name not in BY_NAME:
                continue
            # Whose token it is, a run asks at first.
            took = asked(api, cost.name) - before[cost.name] - (cost.name == "organization")
            assert took == cost.requests or (took > cost.requests and not cost.is_known), cost

    names = wishes.get("names", ())
    held_against(*names, **wishes)
    assert path.exists()
    held_against(*names, **wishes)
    clock.sleep(DAY / 2)
    open_issue(desk, 7)
    desk.workspace.change("tasks", desk.workspace.listed("tasks")[0].key, title="Changed")
    clock.sleep(3600)
    held_against(*names, **wishes)


def test_nothing_is_written_and_nothing_but_parents_is_asked_for(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    told = estimated(path, api, clock)
    assert not path.exists()
    assert {one.path for one in api.log} == {
        *("/me", "/knowledge-bases", "/surveys", "/issues/search")
    }
    assert told.made == 4 == len(api.log)
    sync(path, api, clock)
    before = path.read_bytes()
    estimated(path, api, clock, everything=True, issue_type="ticket", full=True)
    assert path.read_bytes() == before


def test_a_load_that_was_stopped_is_told_with_what_is_left(
    path: Path, workspace: Workspace, api: Api, clock: Any, desk: Desk
) -> None:
    assert die(path, api, clock, 40)
    told = {cost.name: cost.requests for cost in estimated(path, api, clock).costs}
    done = api.count("GET /issues/[^/]+/messages")
    assert told["issue_messages"] == 4 - done


def test_time_is_what_the_slowest_endpoint_takes(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    for number in range(116):
        open_issue(desk, number)
    clock.sleep(DAY)
    told = estimated(path, api, clock)
    (messages,) = (cost for cost in told.costs if cost.name == "issue_messages")
    assert (messages.requests, messages.per_minute, told.seconds) == (120, 120, 60.0)


def test_a_comparison_that_is_due_is_told(mirror: Path, api: Api, clock: Any) -> None:
    assert "comparing all issues" not in {one.name for one in estimated(mirror, api, clock).costs}
    allowed = (BY_NAME["issues"],)
    told = estimated(mirror, api, clock, allow_deletes=allowed)
    assert "comparing all issues" in {one.name for one in told.costs}
    clock.sleep(DAY)
    assert "comparing all issues" in {one.name for one in estimated(mirror, api, clock).costs}


def test_a_comparison_that_fails_is_told_where_it_is_tried_again(
    mirror: Path, api: Api, clock: Any
) -> None:
    api.misbehave("403", "/issues", times=-1)
    clock.sleep(DAY)
    for is_tried in (True, True, False, False, True):
        told = {one.name for one in estimated(mirror, api, clock).costs}
        assert ("comparing all issues" in told) == is_tried
        before = api.count("GET /issues")
        sync(mirror, api, clock)
        assert (api.count("GET /issues") > before) == is_tried
        clock.sleep(1600)


def test_what_is_allowed_to_be_gone_is_read_whole(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    for number in range(1200):
        desk.workspace.add("tasks", title=f"{number}")
    clock.sleep(3600)
    sync(path, api, clock)
    clock.sleep(900)
    for allowed, requests in (((), 1), ((BY_NAME["tasks"],), 2)):
        told = estimated(path, api, clock, allow_deletes=allowed)
        before = asked(api, "tasks")
        sync(path, api, clock, allow_deletes=[one.name for one in allowed])
        (cost,) = [one for one in told.costs if one.name == "tasks"]
        assert cost.requests == asked(api, "tasks") - before == requests


def test_a_file_of_another_organisation_is_refused(mirror: Path, clock: Any) -> None:
    other = Api(Workspace(clock, seed=9), allowance=None)
    with pytest.raises(Unauthorized):
        estimated(mirror, other, clock)


def test_what_cannot_be_told_is_said(path: Path, desk: Desk, api: Api, clock: Any) -> None:
    api.misbehave("500", "/surveys", times=-1)
    (error,) = estimated(path, api, clock).errors
    assert error.startswith("surveys: ")


def test_doubted_conversations_are_told(mirror: Path, api: Api, clock: Any) -> None:
    told = {one.name: one.requests for one in estimated(mirror, api, clock, verify=30).costs}
    assert (told["issue_messages"], told["issue_threads"]) == (4, 4)
    before = asked(api, "issue_messages")
    sync(mirror, api, clock, verify=30)
    assert asked(api, "issue_messages") == before + 4


def test_what_could_not_be_found_out_is_unknown(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    api.misbehave("500", "/issues/search", times=-1)
    told = {one.name: one.requests for one in estimated(path, api, clock).costs}
    names = ("issues", "issue_messages", "issue_threads", "tags")
    assert [told[name] for name in names] == [None, None, None, 1]


def test_calls_that_came_with_a_merge_are_counted(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    sync(path, api, clock, everything=True)
    desk.workspace.merge_issues(desk.issues[0], desk.issues[2])
    clock.sleep(DAY)
    sync(path, api, clock, "issues", "issue_messages", reconcile=True)
    told = estimated(path, api, clock, names=["issue_voice_calls"])
    before = asked(api, "issue_voice_calls")
    sync(path, api, clock, "issue_voice_calls")
    (cost,) = [one for one in told.costs if one.name == "issue_voice_calls"]
    assert cost.requests == asked(api, "issue_voice_calls") - before == 1
