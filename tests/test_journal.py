"""What a run leaves: events for programs, and a record in the file."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from desk import Desk
from mirroring import DAY, TOKEN, die, rows, sync

from pylon_to_sqlite.cli import cli
from pylon_to_sqlite.file import held
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import Server
from pylon_to_sqlite.status import runs_of

Run = Callable[..., Result]
FIELDS = {
    "run_began": {"version", "db"},
    "request": {"method", "path", "status"},
    "wait": {"endpoint", "seconds", "why"},
    "progress": {"stream", "done", "total"},
    "stream_ended": {
        *("stream", "outcome", "read", "new", "changed", "gone", "is_cut_off", "error"),
    },
    "drift": {"table", "column", "change", "detail"},
    "summary": {
        *("organization", "outcome", "exit_status", "new", "changed", "gone", "requests"),
        *("seconds", "seconds_waited", "failed", "compared", "erased", "unpurged", "attachments"),
    },
    "error": {"message", "exit_status"},
    "warning": {"message"},
}
WORDS = ("late payer", "Quarry", "Zoë", "Question 1", TOKEN)


@pytest.fixture
def api(workspace: Any) -> Api:
    return Api(workspace, token=TOKEN, allowance=None)


@pytest.fixture
def run(api: Api, desk: Desk, path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.chdir(path.parent)
    with Server(api) as server:

        def invoke(*arguments: str, token: str = TOKEN) -> Result:
            env = {"PYLON_API_URL": server.url, "PYLON_API_TOKEN": token}
            result = CliRunner().invoke(cli, arguments, env=env)
            assert result.exception is None or isinstance(result.exception, SystemExit)
            assert "mistake in pylon-to-sqlite" not in result.output
            return result

        yield invoke


def events(result: Result) -> list[dict[str, Any]]:
    """All of stderr, each line of which is an event with its own fields and no others."""
    found = [json.loads(line) for line in result.stderr.splitlines()]
    for event in found:
        assert event.pop("time").endswith("Z")
        assert event.keys() - {"event"} == FIELDS[event["event"]]
    assert [word for word in WORDS if word in result.output] == []
    return found


def test_a_run_in_events(run: Run, api: Api) -> None:
    api.misbehave("extra-field", "/tags", field="mood", value="late payer")
    api.misbehave("400", "/teams")
    api.misbehave("429", "/user-roles", retry_after=0)
    result = run("sync", "pylon.db", "--log-json", "-v")
    assert (result.exit_code, result.stdout) == (1, "")
    found = events(result)
    assert {one["event"] for one in found} == {*FIELDS} - {"error", "warning"}
    assert found[0]["event"] == "run_began"
    ended = {one["stream"]: one for one in found if one["event"] == "stream_ended"}
    assert ended["tags"] == {
        "event": "stream_ended", "stream": "tags", "outcome": "ok", "read": 1, "new": 1,
        "changed": 0, "gone": 0, "is_cut_off": False, "error": None,
    }  # fmt: skip
    assert ended["teams"]["outcome"] == "failed"
    assert ended["teams"]["error"].startswith("GET /teams: 400")
    assert [one for one in found if one["event"] == "drift"] == [
        {"event": "drift", "table": "tags", "column": "mood", "change": "new", "detail": ""}
    ]
    summary = found[-1]
    assert (summary["outcome"], summary["exit_status"], summary["failed"]) == (
        "failed",
        1,
        ["teams"],
    )
    # A 429 is no answer, and counts as none.
    answered = [one for one in found if one["event"] == "request" and one["status"] != 429]
    assert summary["requests"] == len(answered)
    assert summary["new"] == sum(one["new"] for one in ended.values())


def test_quiet_it_tells_of_failures_alone(run: Run, api: Api) -> None:
    api.misbehave("400", "/tags")
    (found,) = events(run("sync", "pylon.db", "tags", "--log-json", "-q"))
    assert (found["stream"], found["outcome"]) == ("tags", "failed")
    assert run("sync", "pylon.db", "tags", "--log-json", "-q").output == ""


@pytest.mark.parametrize(
    ("arguments", "token", "status"),
    [(["missing/x.db"], TOKEN, 2), (["pylon.db"], "pylon_api_5ecret", 3)],
)
def test_an_error_is_an_event_too(run: Run, arguments: list[str], token: str, status: int) -> None:
    result = run("sync", *arguments, "--log-json", token=token)
    last = events(result)[-1]
    assert (result.exit_code, last["event"], last["exit_status"]) == (status, "error", status)
    assert "5ecret" not in result.output


def test_runs_are_listed_with_how_they_ended(run: Run, api: Api, path: Path) -> None:
    run("sync", "pylon.db", "tags", "teams")
    api.misbehave("400", "/tags")
    run("sync", "pylon.db", "tags")
    api.misbehave("401", "/tags")
    run("sync", "pylon.db", "tags")
    found = json.loads(run("runs", "pylon.db", "--json").stdout)
    for one in found:
        assert one.pop("started_at") <= one.pop("ended_at")
        assert one.pop("version")
    error = found[0].pop("error")
    assert error.startswith("Pylon does not accept the token")
    none = {"new": 0, "changed": 0, "gone": 0, "seconds_waited": 0.0}
    assert found == [
        {**none, "id": 3, "outcome": "failed", "exit_status": 3, "streams": 1,
         "failed": ["tags"], "requests": 2},
        {**none, "id": 2, "outcome": "failed", "exit_status": 1, "streams": 1,
         "failed": ["tags"], "requests": 2, "error": None},
        {**none, "id": 1, "outcome": "ok", "exit_status": 0, "streams": 2, "failed": [],
         "new": 3, "requests": 3, "error": None},
    ]  # fmt: skip
    lines = run("runs", "pylon.db", "--last", "2").stdout.splitlines()
    assert lines[0].split()[:4] == ["began", "took", "ended", "exit"]
    assert len([line for line in lines[1:] if " failed " in line]) == 2
    assert lines[-1].endswith(": failed: tags")


def test_a_run_that_stopped_keeps_what_its_streams_did(
    path: Path, desk: Desk, clock: Any, workspace: Any
) -> None:
    assert die(path, Api(workspace, allowance=None), clock, 4, "issue_messages")
    (stream,) = rows(path, "SELECT * FROM _pylon_run_streams WHERE stream = 'issue_messages'")
    assert (stream["outcome"], stream["rows_new"]) == (None, 8)
    (run,) = rows(path, "SELECT outcome, exit_status FROM _pylon_runs")
    assert run == {"outcome": "interrupted", "exit_status": 1}


def test_what_the_comparison_found_is_in_the_record(
    path: Path, desk: Desk, clock: Any, workspace: Any
) -> None:
    api = Api(workspace, allowance=None)
    sync(path, api, clock, "issues")
    workspace.delete_issue(desk.issues[0])
    clock.sleep(DAY)
    sync(path, api, clock, "issues", reconcile=True)
    (last,) = runs_of(path, 1)
    assert (last.new, last.changed, last.gone) == (0, 0, 1)


def test_a_run_that_was_killed_and_one_that_is_at_work(
    path: Path, desk: Desk, clock: Any, workspace: Any
) -> None:
    """Neither has told how it ended; who holds the file is at work."""
    die(path, Api(workspace, allowance=None), clock, 4, "issue_messages")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE _pylon_runs SET ended_at = NULL, outcome = NULL")
        connection.commit()
    assert [one.outcome for one in runs_of(path, 9)] == ["interrupted"]
    with held(path):
        assert [one.outcome for one in runs_of(path, 9)] == ["at work"]


def test_of_runs_long_ago_only_what_happened_is_remembered(run: Run, api: Api, path: Path) -> None:
    """Else a year of runs would be a million rows that say that nothing was new."""
    run("sync", "pylon.db", "tags", "teams")
    for number in range(3):
        if number == 1:
            api.misbehave("400", "/teams")
        run("sync", "pylon.db", "teams")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO _pylon_runs (id, version, started_at) VALUES (2003, '', '')"
        )
        connection.commit()
    run("sync", "pylon.db", "teams")
    kept = rows(path, "SELECT run, stream FROM _pylon_run_streams ORDER BY run, stream")
    assert [(one["run"], one["stream"]) for one in kept] == [
        *((1, "tags"), (1, "teams")),
        *((3, "teams"), (4, "teams"), (2004, "teams")),
    ]
    assert [one["id"] for one in rows(path, "SELECT id FROM _pylon_runs")] == [
        *(1, 3, 4, 2003, 2004)
    ]
