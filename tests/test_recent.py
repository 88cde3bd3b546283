"""Lists of which what is new is asked for, and all of it once a day."""

from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from mirroring import DAY, die, errors, live, sync
from oracle import differences

from pylon_to_sqlite.plan import Checkpoint, new_since, request
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.streams import BY_NAME

TASKS, CALLS, LOGS = BY_NAME["tasks"], BY_NAME["call_recordings"], BY_NAME["audit_logs"]
NOON = "2026-07-01T12:00:00Z"
WHOLE = "2026-07-01T06:00:00Z"


@pytest.mark.parametrize(
    ("checkpoint", "now", "since"),
    [
        (Checkpoint(), NOON, None),
        (Checkpoint(watermark=NOON, walked=WHOLE), "2026-07-01T13:00:00Z", "2026-07-01T11:50:00Z"),
        # A day after the last whole walk, or before it by a clock that was wrong.
        (Checkpoint(watermark=NOON, walked=WHOLE), "2026-07-02T06:00:00Z", None),
        (Checkpoint(watermark=NOON, walked=NOON), "2026-06-30T11:00:00Z", None),
        (Checkpoint(watermark=NOON, walked=WHOLE), "2026-07-01T11:00:00Z", None),
        # A whole walk that was not finished comes first.
        (Checkpoint("c", watermark=NOON, walked=WHOLE), "2026-07-01T13:00:00Z", None),
    ],
)
def test_since_when_it_is_asked(checkpoint: Checkpoint, now: str, since: str | None) -> None:
    assert new_since(TASKS, checkpoint, now) == since


def test_each_goes_back_as_far_as_it_must() -> None:
    checkpoint = Checkpoint(watermark=NOON, walked=NOON)
    assert new_since(CALLS, checkpoint, NOON) == "2026-06-17T12:00:00Z"
    assert new_since(LOGS, checkpoint, "2027-07-01T12:00:00Z") == "2026-06-30T12:00:00Z"
    assert new_since(BY_NAME["tags"], checkpoint, NOON) is None
    after = request(TASKS, Checkpoint(), after=NOON).body
    wanted = {"field": "updated_at", "operator": "time_is_after", "value": "2026-07-01T11:59:59Z"}
    assert after == {"limit": 999, "filter": {"operator": "and", "subfilters": [wanted]}}
    responses = request(BY_NAME["survey_responses"], Checkpoint(), "s", after=NOON)
    assert responses.params == {"limit": "999", "submitted_after": NOON}


def test_a_survey_that_comes_back_brings_its_old_answers(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    workspace = desk.workspace
    survey = workspace.listed("surveys")[0].key
    sync(path, api, clock)
    workspace.remove("surveys", survey)
    clock.sleep(3600)
    sync(path, api, clock)
    assert len(live(path, "survey_responses")) == 1
    workspace.restore("surveys", survey)
    clock.sleep(3600)
    sync(path, api, clock)
    assert differences(path, workspace) == []


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("lag", [0.0, 300.0])
def test_what_changes_between_any_two_requests_is_there_in_the_end(
    path: Path, desk: Desk, clock: Any, lag: float, workers: int
) -> None:
    """Through deaths and lags, without a whole walk."""
    workspace = desk.workspace
    api = Api(workspace, allowance=None, search_lag=lag)
    sync(path, api, clock, workers=workers)
    for requests in range(20, 44, 3):
        task = workspace.listed("tasks")[requests % 4].key
        workspace.change("tasks", task, title=f"Changed {requests}")
        survey = workspace.listed("surveys")[requests % 2].key
        workspace.add_survey_response(survey)
        clock.sleep(30)
        die(path, api, clock, requests)
    clock.sleep(900)
    outcome = sync(path, api, clock, workers=workers)
    assert errors(outcome) == {}
    assert differences(path, workspace) == []


def test_what_is_new_marks_nothing(mirror: Path, desk: Desk, api: Api, clock: Any) -> None:
    desk.workspace.remove("tasks", desk.workspace.listed("tasks")[0].key)
    clock.sleep(3600)
    sync(mirror, api, clock)
    assert len(live(mirror, "tasks")) == 4
    clock.sleep(DAY)
    sync(mirror, api, clock)
    assert len(live(mirror, "tasks")) == 3


def test_a_filter_that_is_refused_is_done_without(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    desk.workspace.change("tasks", desk.workspace.listed("tasks")[0].key, title="Changed")
    clock.sleep(3600)
    api.misbehave("400", "/tasks/search")
    assert errors(sync(mirror, api, clock)) == {}
    assert differences(mirror, desk.workspace) == []


def test_an_answer_of_a_cache_moves_no_watermark_beyond_its_time(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    clock.sleep(3600)
    api.misbehave("stale-page", "/tasks/search")
    desk.workspace.change("tasks", desk.workspace.listed("tasks")[0].key, title="Changed")
    clock.sleep(1800)
    sync(mirror, api, clock)
    assert differences(mirror, desk.workspace) != []
    clock.sleep(1800)
    sync(mirror, api, clock)
    assert differences(mirror, desk.workspace) == []


def test_a_list_that_was_empty_by_mistake_is_read_again_at_once(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """And not a day later only."""
    clock.sleep(DAY)
    api.misbehave("data-null", "/tasks/search", times=2)
    sync(mirror, api, clock)
    clock.sleep(3600)
    sync(mirror, api, clock)
    assert differences(mirror, desk.workspace) == []


@pytest.mark.parametrize("ending", ["failed", "died"])
def test_a_new_survey_whose_answers_broke_off_is_read_whole(
    mirror: Path, desk: Desk, api: Api, clock: Any, ending: str
) -> None:
    survey = desk.workspace.add("surveys", name="Old answers")
    for number in range(1500):
        desk.workspace.add_survey_response(survey, at=clock() - 9000 - number)
    clock.sleep(3600)
    responses = f"/surveys/{survey}/responses"
    api.misbehave("500", responses, after=1, times=-1)
    if ending == "failed":
        assert {*errors(sync(mirror, api, clock))} == {"survey_responses"}
    else:
        for requests in range(20, 60):
            if not die(mirror, api, clock, requests) or api.count(f"GET {responses}") > 1:
                break
    assert len(live(mirror, "survey_responses")) == 1001
    api.behave()
    clock.sleep(3600)
    sync(mirror, api, clock)
    assert differences(mirror, desk.workspace) == []


def test_a_list_that_is_longer_than_a_run_is_finished_in_the_end(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    for number in range(4500):
        desk.workspace.add("audit_logs", at=clock() - 600 * number)
    clock.sleep(3600)
    for _ in range(4):
        die(path, api, clock, 3, "audit_logs")
    assert len(live(path, "audit_logs")) == 4502
    before = api.count("POST /audit-logs/search")
    sync(path, api, clock, "audit_logs")
    assert api.count("POST /audit-logs/search") == before + 1


@pytest.mark.parametrize("requests", range(1, 40, 4))
def test_a_full_that_died_has_its_lists_read_whole_by_the_next_run(
    path: Path, desk: Desk, api: Api, clock: Any, requests: int
) -> None:
    """Wherever it died; and by none after that."""
    workspace = desk.workspace
    clock.sleep(DAY)
    sync(path, api, clock, everything=True)
    clock.sleep(3600)
    # Written down late, so that what is new in the list does not tell of it.
    late = {"actor_user_id": desk.agents[0], "object_id": desk.accounts[0]}
    workspace.add("audit_logs", at=clock() - 5 * DAY, **late)
    workspace.remove("tasks", workspace.listed("tasks")[0].key)
    die(path, api, clock, requests, full=True)
    clock.sleep(900)
    assert errors(sync(path, api, clock)) == {}
    assert len(live(path, "audit_logs")) == len(workspace.records("audit_logs"))
    assert len(live(path, "tasks")) == len(workspace.listed("tasks"))
    for more in (0, 1):
        # One more whole walk, for one was gone; then what is new alone.
        clock.sleep(900)
        sync(path, api, clock)
        assert len(live(path, "tasks")) == len(workspace.listed("tasks")) + more
        workspace.remove("tasks", workspace.listed("tasks")[0].key)
