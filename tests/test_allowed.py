"""A list that lacks most of what is here is not believed, however often it is read, until somebody
says --allow-deletes. Through the command line."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import ANY

import pytest
from click.testing import CliRunner, Result
from conftest import FakeClock
from desk import Desk
from mirroring import DAY, TOKEN, errors, live, sync

from pylon_to_sqlite import reconcile
from pylon_to_sqlite.cli import cli
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import Server
from pylon_to_sqlite.status import runs_of

Run = Callable[..., Result]


@pytest.fixture
def run(path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A quiet sync in a process's own time; Pylon's goes by the workspace's clock."""
    monkeypatch.setattr(reconcile, "FEW", 5)
    with Server(Api(desk.workspace, token=TOKEN, allowance=None)) as server:
        env = {"PYLON_API_URL": server.url, "PYLON_API_TOKEN": TOKEN}

        def invoke(*options: str) -> Result:
            return CliRunner().invoke(cli, ["sync", str(path), "-q", *options], env=env)

        yield invoke


ADDED: dict[str, Callable[[Desk, int], str]] = {
    "tasks": lambda desk, number: desk.workspace.add("tasks", title=f"{number}"),
    "projects": lambda desk, number: desk.workspace.add("projects", name=f"{number}"),
    "call_recordings": lambda desk, number: desk.workspace.add("call_recordings", title="Call"),
    "survey_responses": lambda desk, number: desk.workspace.add_survey_response(
        desk.workspace.listed("surveys")[0].key
    ),
    "tags": lambda desk, number: desk.workspace.add("tags", value=f"{number}"),
    "contacts": lambda desk, number: desk.workspace.add("contacts", name=f"{number}"),
    "knowledge_base_articles": lambda desk, number: desk.workspace.add_article(
        desk.base, title=f"{number}"
    ),
    "custom_objects": lambda desk, number: desk.workspace.add_custom_object(
        "companies", name=f"{number}"
    ),
    "issues": lambda desk, number: desk.workspace.open_issue(title="T", body_html="<p>B</p>"),
}


def remove(desk: Desk, stream: str, key: str) -> None:
    if stream == "issues":
        desk.workspace.delete_issue(key)
    elif stream == "knowledge_base_articles":
        desk.workspace.remove_article(key)
    else:
        desk.workspace.remove(stream, key)


@pytest.mark.parametrize("stream", [one for one in ADDED if one != "issues"])
def test_what_was_refused_is_refused_until_it_is_allowed(
    path: Path, desk: Desk, clock: FakeClock, run: Run, stream: str
) -> None:
    """Also where most runs ask for what is new alone."""
    keys = [ADDED[stream](desk, number) for number in range(20)]
    clock.sleep(3600)
    kinds = ("--custom-object", "companies")
    assert run(*kinds).exit_code == 0
    there = {row["id"] for row in live(path, stream)}
    for key in keys[2:]:
        remove(desk, stream, key)
    clock.sleep(DAY)
    for _ in range(3):
        refused = run()
        assert refused.exit_code == 1
        assert f"--allow-deletes {stream}" in refused.stderr
        assert {row["id"] for row in live(path, stream)} == there
        clock.sleep(900)
    for options in (("--allow-deletes", stream), ()):
        allowed = run(*options)
        assert (allowed.exit_code, allowed.output) == (0, "")
        assert {row["id"] for row in live(path, stream)} == there - {*keys[2:]}
        clock.sleep(900)


def test_issues_that_were_not_believed_to_be_gone_are_told_after_a_day(
    path: Path, desk: Desk, clock: FakeClock, run: Run
) -> None:
    """They alone are no failure at once, for the next runs may find them again."""
    keys = [ADDED["issues"](desk, number) for number in range(20)]
    clock.sleep(DAY)
    for _ in range(2):
        assert run("issues").exit_code == 0
    there = {row["id"] for row in live(path, "issues")}
    for key in keys[2:]:
        remove(desk, "issues", key)
    clock.sleep(DAY)
    for seconds in (900, 900, DAY):
        refused = run("issues")
        assert (refused.exit_code, refused.output) == (0, "")
        clock.sleep(seconds)
    assert "--allow-deletes issues" in str(runs_of(path, 3)[1].error)
    failed = run("issues")
    assert (failed.exit_code, failed.stderr.count("\n")) == (1, 1)
    assert failed.stderr.startswith("Comparing all issues has failed since 2026-07-")
    assert "lacks 18 of the 24 issues" in failed.stderr
    assert "--allow-deletes issues" in failed.stderr
    # So do the runs between two tries, in any way they may tell of it.
    event = json.loads(run("issues", "--log-json").stderr)
    (last,) = runs_of(path, 1)
    assert event["event"] == "error"
    assert (event["exit_status"], event["message"]) == (last.exit_status, last.error) == (1, ANY)
    assert {row["id"] for row in live(path, "issues")} == there
    for options in (("--allow-deletes", "issues"), ()):
        allowed = run("issues", *options)
        assert (allowed.exit_code, allowed.output) == (0, "")
        assert {row["id"] for row in live(path, "issues")} == there - {*keys[2:]}
        clock.sleep(900)


@pytest.mark.parametrize("stream", ["tasks", "survey_responses", "issues"])
def test_what_is_allowed_before_it_was_refused_is_believed_at_once(
    path: Path, desk: Desk, api: Api, clock: FakeClock, stream: str
) -> None:
    """And not when all of it is read next, in a run that nobody allowed it."""
    keys = {ADDED[stream](desk, number) for number in range(20)}
    clock.sleep(3600)
    sync(path, api, clock)
    there = {row["id"] for row in live(path, stream)}
    for key in keys:
        remove(desk, stream, key)
    clock.sleep(900)
    assert errors(sync(path, api, clock, allow_deletes=[stream])) == {}
    assert {row["id"] for row in live(path, stream)} == there - keys
