"""What fails, fails alone, is told, and is made good by the next run. That this holds of every
fault at every request, whatever it is, is for test_fault_matrix.py to say."""

import json
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from mirroring import ALL, DAY, errors, live, rows, sync
from oracle import differences

from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.streams import BY_NAME, STREAMS
from pylon_to_sqlite.tables import MOST_COLUMNS

# One of each kind that a list tells apart, and what may be wrong with the children of one issue.
FEW = ["400", "403"]
OF_CHILDREN = ["403", "404", "500", "no-key", "data-object", "reset"]
PATHS = {
    stream.name: stream.path.replace("{id}", "[^/]+")
    for stream in STREAMS
    # Whose token it is, every run asks first; custom objects have tests of their own.
    if not (stream.is_by_staleness or stream.is_one or stream.name == "custom_objects")
}


@pytest.mark.parametrize(
    ("stream", "fault"),
    # Which of them is of no matter to most streams.
    [(stream, FEW[number % 2]) for number, stream in enumerate(PATHS)],
)
def test_a_stream_that_fails_leaves_the_others_alone_and_recovers(
    path: Path, desk: Desk, api: Api, clock: Any, stream: str, fault: str
) -> None:
    api.misbehave(fault, PATHS[stream], times=-1)
    everything = BY_NAME[stream].is_optional
    outcome = sync(path, api, clock, everything=everything)
    missing = {one.stream.name for one in outcome.results if one.missing}
    if fault == "403" and stream != "issues":
        assert (set(errors(outcome)), missing) == (set(), {stream})
    else:
        assert (set(errors(outcome)), missing) == ({stream}, set())
    assert rows(path, "PRAGMA foreign_key_check") == []
    api.behave()
    clock.sleep(DAY)
    assert errors(sync(path, api, clock)) == {}
    assert differences(path, desk.workspace) == []


@pytest.mark.parametrize("fault", OF_CHILDREN)
@pytest.mark.parametrize("child", ["messages", "threads"])
def test_children_that_fail_stay_stale_and_the_others_go_on(
    path: Path, desk: Desk, api: Api, clock: Any, child: str, fault: str
) -> None:
    bad = desk.issues[2]
    api.misbehave(fault, f"/issues/{bad}/{child}", times=-1)
    failed = errors(sync(path, api, clock))
    assert set(failed) == {f"issue_{child}"}
    if fault != "reset":
        assert bad in failed[f"issue_{child}"]
    with_children = {row["issue_id"] for row in live(path, f"issue_{child}")}
    assert with_children == {
        issue for issue in desk.issues if issue != bad and _children(desk, child, issue)
    }
    api.behave()
    before = api.count(f"GET /issues/[^/]+/{child}")
    sync(path, api, clock)
    assert api.count(f"GET /issues/[^/]+/{child}") == before + 1
    assert differences(path, desk.workspace) == []


def _children(desk: Desk, child: str, issue: str) -> list[Any]:
    return getattr(desk.workspace, child)(issue)


@pytest.mark.parametrize("status", ["400", "404", "410"])
def test_an_issue_that_is_gone_is_marked_gone_with_its_children_and_is_no_failure(
    mirror: Path, desk: Desk, api: Api, clock: Any, status: str
) -> None:
    gone = desk.issues[1]
    desk.workspace.reply(gone, html="<p>One last word.</p>", author=desk.contacts[0])
    clock.sleep(DAY)
    sync(mirror, api, clock, "issues")
    desk.workspace.delete_issue(gone)
    api.misbehave(status, f"/issues/{gone}/.*", times=-1)
    outcome = sync(mirror, api, clock)
    assert errors(outcome) == {}
    counts = {one.stream.name: one.counts for one in outcome.results}
    assert counts["issues"].gone == 1
    for table, column in (("issues", "id"), ("issue_messages", "issue_id")):
        assert gone not in {row[column] for row in live(mirror, table)}
        kept = rows(mirror, f"SELECT deleted_at FROM {table} WHERE {column} = ?", [gone])
        assert kept, "nothing is lost"
        assert all(row["deleted_at"] for row in kept)
    assert differences(mirror, desk.workspace) == []
    api.log.clear()
    sync(mirror, api, clock)
    assert not [one for one in api.log if gone in one.path], "it is not asked for again"


def test_a_stray_404_on_children_is_not_gone(path: Path, desk: Desk, api: Api, clock: Any) -> None:
    api.misbehave("404", f"/issues/{desk.issues[0]}/messages", times=-1)
    assert set(errors(sync(path, api, clock))) == {"issue_messages"}
    assert len(live(path, "issues")) == 4


@pytest.mark.parametrize("status", ["404", "410"])
def test_no_issue_is_gone_where_all_are_said_to_be(
    mirror: Path, desk: Desk, api: Api, clock: Any, status: str
) -> None:
    """It is the endpoint then. Only the comparison would bring them back, a day later."""
    desk.workspace.reply(desk.issues[1], html="<p>One more.</p>", author=desk.contacts[0])
    clock.sleep(DAY)
    api.misbehave(status, "/issues/[^/]+(/messages)?", times=-1, method="GET")
    assert set(errors(sync(mirror, api, clock))) == {"issue_messages"}
    assert {row["id"] for row in live(mirror, "issues")} == {*desk.issues}
    assert len(live(mirror, "issue_messages")) == 16
    api.behave()
    assert errors(sync(mirror, api, clock)) == {}
    assert differences(mirror, desk.workspace) == []


@pytest.mark.parametrize("fault", ["data-null", "no-data"])
def test_no_conversation_is_gone_where_all_are_said_to_be(
    mirror: Path, desk: Desk, api: Api, clock: Any, fault: str
) -> None:
    """One that is empty, while another is not, is."""
    desk.workspace.reply(desk.issues[1], html="<p>One more.</p>", author=desk.contacts[0])
    clock.sleep(DAY)
    api.misbehave(fault, "/issues/[^/]+/messages", times=-1)
    # The first time nobody believes it.
    assert errors(sync(mirror, api, clock)) == {}
    for _ in range(3):
        clock.sleep(DAY)
        assert (
            "gives nothing, here as elsewhere where there was something"
            in errors(sync(mirror, api, clock))["issue_messages"]
        )
    assert len(live(mirror, "issue_messages")) == 16
    api.behave()
    for message in desk.workspace.messages(desk.issues[1]):
        desk.workspace.delete_message(message["id"])
    clock.sleep(DAY)
    # Of this one it is told by the runs before.
    assert errors(sync(mirror, api, clock)) == {}
    assert len(live(mirror, "issue_messages")) == 12
    assert differences(mirror, desk.workspace) == []


def test_conversations_emptied_together_are_no_fault_of_all(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """However few there were: of what is new there are messages, and who else is gone does not
    answer for them."""
    sync(path, api, clock, "issues", "issue_messages")
    workspace = desk.workspace
    for issue in desk.issues[:-1]:
        for message in workspace.messages(issue):
            workspace.delete_message(message["id"])
    workspace.delete_issue(desk.issues[-1])
    for number in range(2):
        workspace.open_issue(title=f"{number}", body_html="<p>x</p>")
    clock.sleep(DAY)
    for _ in range(2):
        assert errors(sync(path, api, clock, full=True)) == {}
    assert differences(path, workspace) == []


@pytest.mark.parametrize("fault", ["400", "500"])
def test_an_issue_that_fails_does_not_answer_for_another(
    mirror: Path, desk: Desk, api: Api, clock: Any, fault: str
) -> None:
    for message in desk.workspace.messages(desk.issues[0]):
        desk.workspace.delete_message(message["id"])
    for other in desk.issues[1:3]:
        api.misbehave(fault, f"/issues/{other}/messages", times=-1)
    for _ in range(2):
        clock.sleep(DAY)
        assert errors(sync(mirror, api, clock)) == {}
    assert differences(mirror, desk.workspace) == []


def test_children_that_all_go_together_are_gone_a_day_later(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """Where to have none is usual: an agent who leaves follows nobody any more."""
    workspace, agent = desk.workspace, desk.agents[1]
    for one in workspace.listed("issue_followers"):
        workspace.remove("issue_followers", one.key)
    for issue in desk.issues:
        workspace.add_follower(issue, agent)
    clock.sleep(DAY)
    sync(path, api, clock, everything=True)
    for one in workspace.listed("issue_followers"):
        workspace.remove("issue_followers", one.key)
    for issue in desk.issues:
        workspace.change_issue(issue, title="Touched")
    clock.sleep(3600)
    assert errors(sync(path, api, clock)) == {}
    clock.sleep(3600)
    assert set(errors(sync(path, api, clock))) == {"issue_followers"}
    assert len(live(path, "issue_followers")) == len(desk.issues)
    clock.sleep(DAY)
    assert errors(sync(path, api, clock)) == {}
    assert differences(path, workspace) == []


def test_what_a_day_would_tell_can_be_said(mirror: Path, desk: Desk, api: Api, clock: Any) -> None:
    """And of conversations, which no day tells, nothing else."""
    for issue in desk.issues:
        for message in desk.workspace.messages(issue):
            desk.workspace.delete_message(message["id"])
    for _ in range(3):
        clock.sleep(DAY)
        failed = errors(sync(mirror, api, clock))
    assert failed["issue_messages"].endswith("--allow-deletes issue_messages has it believed")
    assert errors(sync(mirror, api, clock, allow_deletes=["issue_messages"])) == {}
    assert differences(mirror, desk.workspace) == []


def test_an_issue_that_came_back_gets_its_children_again(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    desk.workspace.change_issue(desk.issues[0], title="Touched")
    clock.sleep(DAY)
    api.misbehave("404", f"/issues/{desk.issues[0]}.*", times=-1)
    sync(mirror, api, clock)
    assert differences(mirror, desk.workspace) != []
    api.behave()
    sync(mirror, api, clock, "issues", full=True)
    sync(mirror, api, clock)
    assert differences(mirror, desk.workspace) == []


def test_when_children_fail_five_times_in_a_row_the_stream_stops(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """It is not the issues then, and each would cost its tries."""
    for number in range(20):
        desk.workspace.open_issue(title=f"{number}", body_html="<p>x</p>")
    clock.sleep(DAY)
    api.misbehave("500", r"/issues/[^/]+/messages", times=-1)
    assert errors(sync(path, api, clock))["issue_messages"].endswith("the rest was not tried")
    assert api.count("GET /issues/[^/]+/messages") <= 5 * 5
    assert len(live(path, "issue_threads")) == sum(
        len(desk.workspace.threads(issue)) for issue in desk.issues
    )


@pytest.mark.parametrize("fault", ["400", "404", "403", "no-key", "data-object", "errors-on-200"])
def test_odd_issues_however_many_keep_no_other_from_its_children(
    path: Path, desk: Desk, api: Api, clock: Any, fault: str
) -> None:
    """The newest come first in every run, so those behind them would never have their turn."""
    bad = [
        desk.workspace.open_issue(title=f"{number}", body_html="<p>x</p>", at=clock.now() - 60)
        for number in range(8)
    ]
    api.misbehave(fault, f"/issues/({'|'.join(bad)})/messages", times=-1)
    assert set(errors(sync(path, api, clock))) == {"issue_messages"}
    assert {row["issue_id"] for row in live(path, "issue_messages")} == {*desk.issues}


def test_of_more_fields_than_a_table_has_room_for_none_is_lost(
    path: Path, desk: Desk, api: Api, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that have no room for a column of their own have one together, in every run."""
    assert MOST_COLUMNS < 1_990, "SQLite has room for 2,000"
    monkeypatch.setattr("pylon_to_sqlite.tables.MOST_COLUMNS", 80)
    long = "x" * 5_000
    fields = {f"field_{number}": number for number in range(150)} | {long: "kept"}
    tag = desk.workspace.listed("tags")[0].key
    body = json.dumps({"data": [{"id": tag, **fields}], "request_id": "r"}).encode()
    for _ in range(2):
        api.misbehave("custom", "/tags", times=1, body=body, status=200)
        outcome = sync(path, api, clock, "tags")
        assert errors(outcome) == {}
        (row,) = live(path, "tags")
        assert len(row) == 81
        others = json.loads(row["other_fields"])
        assert others[long] == "kept"
        assert {name: row.get(name, others.get(name)) for name in fields} == fields
    assert (outcome.counts.new, outcome.counts.changed) == (0, 0)
    assert [one.column for one in outcome.drift] == []
    assert errors(sync(path, api, clock)) == {}
    assert differences(path, desk.workspace) == []


def test_a_knowledge_base_that_fails_leaves_the_others_alone(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    other = desk.workspace.add("knowledge_bases", title="Other")
    desk.workspace.add_article(other, title="There")
    api.misbehave("500", f"/knowledge-bases/{desk.base}/articles", times=-1)
    failed = errors(sync(path, api, clock))
    assert set(failed) == {"knowledge_base_articles"}
    assert [row["title"] for row in live(path, "knowledge_base_articles")] == ["There"]


def test_an_error_tells_pylons_words_and_its_request_id(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    sync(path, api, clock, "teams")
    api.misbehave("403", "/teams", times=-1)
    error = errors(sync(path, api, clock, "teams"))["teams"]
    assert "GET /teams" in error
    assert "403" in error
    assert "permission_denied" in error
    assert "request_id" in error


@pytest.mark.parametrize("fault", ["429", "429-no-header", "429-retry-after-date"])
def test_a_429_is_waited_out_and_no_failure(
    path: Path, desk: Desk, api: Api, clock: Any, fault: str
) -> None:
    api.misbehave(fault, ".*", times=12, after=3)
    assert errors(sync(path, api, clock)) == {}
    assert differences(path, desk.workspace) == []
    assert sum(clock.slept) > 60


@pytest.mark.parametrize("era", ["2025", "2026", 3])
def test_a_mirror_under_enforced_allowances_is_whole(
    path: Path, desk: Desk, clock: Any, era: Any
) -> None:
    for number in range(60):
        desk.workspace.open_issue(title=f"{number}", body_html="<p>x</p>")
    api = Api(desk.workspace, allowance=era)
    clock.sleep(DAY)
    assert errors(sync(path, api, clock)) == {}
    assert differences(path, desk.workspace) == []


def test_the_client_never_writes(path: Path, desk: Desk, api: Api, clock: Any) -> None:
    sync(path, api, clock)
    assert api.writes == []


def test_records_that_name_an_unknown_field_keep_it(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    api.misbehave("extra-field", ".*", times=-1)
    outcome = sync(path, api, clock, **ALL)
    assert errors(outcome) == {}
    assert {one.table for one in outcome.drift} >= {stream.name for stream in STREAMS}
