"""Each line of the table of how a change arrives: when, and at what cost in requests."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from desk import Desk, open_issue
from mirroring import DAY, errors, sync
from oracle import differences
from test_truth import Edited

from pylon_to_sqlite.sandbox.api import Api

CHANGES = Path(__file__).parents[1] / "docs" / "changes.md"


@dataclass
class Line:
    """What happens (after `before` has, and was mirrored), when the mirror has it, and the requests
    that it costs beyond those of a run that finds nothing new: in the next run, in one a day later,
    and in one with these options."""

    after: str
    happens: Callable[[Desk], Any]
    next_run: dict[str, int] = field(default_factory=dict)
    a_day_later: dict[str, int] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    when_asked: dict[str, int] = field(default_factory=dict)
    before: Callable[[Desk], Any] = lambda desk: None


NEXT, DAILY, ASKED = "the next run", "a day, or at once with `--reconcile`", "when you ask"


def conversation(times: int = 1) -> dict[str, int]:
    """Messages and threads of so many issues."""
    return {"GET /issues/*/messages": times, "GET /issues/*/threads": times}


def opened(desk: Desk) -> None:
    open_issue(desk, 7)
    desk.workspace.reply(desk.issues[0], html="<p>So?</p>", author=desk.contacts[0])
    desk.workspace.change_issue(desk.issues[1], assignee=desk.agents[1], state="closed")


def message_of(desk: Desk, *, private: bool) -> str:
    messages = desk.workspace.messages(desk.issues[0])
    return next(one["id"] for one in messages if one["is_private"] is private)


def moved_about(desk: Desk) -> None:
    thread = desk.workspace.add_thread(desk.issues[0], name="Elsewhere")
    desk.workspace.move_message(message_of(desk, private=True), thread)
    desk.workspace.delete_message(message_of(desk, private=False))


def lists(desk: Desk) -> None:
    workspace = desk.workspace
    workspace.add("tags", value="new")
    workspace.change("teams", desk.team, users=desk.agents[:1], name="Night shift")
    workspace.change("contacts", desk.contacts[0], account=desk.accounts[1])
    workspace.change_article(desk.articles[0], title="Changed")
    workspace.remove_article(desk.articles[1])
    workspace.remove("ticket_forms", workspace.records("ticket_forms")[0]["id"])


def renamed(desk: Desk) -> None:
    workspace = desk.workspace
    (field_, *_) = workspace.listed("custom_fields")
    workspace.change("custom_fields", field_.key, label="New label", slug="new.slug")
    new = {"areas": None, "new.slug": ["import"]}
    workspace.change_issue(desk.issues[0], custom_fields=new, touch=False)


def someone_unlisted(desk: Desk) -> None:
    late = desk.workspace.add("contacts", name=UNLISTED)
    desk.workspace.open_issue(title="I am new", body_html="<p>Hi.</p>", requester=late)


def deleted(desk: Desk) -> None:
    desk.gone = [desk.issues.pop(0)]
    desk.workspace.delete_issue(desk.gone[0])
    desk.workspace.remove("teams", desk.team)


def restored(desk: Desk) -> None:
    desk.workspace.restore_issue(desk.gone[0])
    desk.workspace.restore("teams", desk.team)


def what_is_new(desk: Desk) -> None:
    workspace = desk.workspace
    task, *_ = workspace.listed("tasks")
    workspace.change("tasks", task.key, status="completed")
    project, *_ = workspace.listed("projects")
    workspace.change("projects", project.key, name="Renamed")
    survey, *_ = workspace.listed("surveys")
    workspace.add_survey_response(survey.key, contact_id=desk.contacts[0])
    call, *_ = workspace.listed("call_recordings")
    workspace.change("call_recordings", call.key, summary="They are happy.")


def what_is_no_longer(desk: Desk) -> None:
    workspace = desk.workspace
    for stream in ("tasks", "projects", "survey_responses", "call_recordings"):
        records = [one for one in workspace.listed(stream) if not one.fields.get("parent_task_id")]
        workspace.remove(stream, records[-1].key)


def recent_calls(desk: Desk) -> None:
    """Calls of the last days: the desk's own are of another month."""
    for call in desk.workspace.listed("call_recordings"):
        began = desk.workspace.clock() - 3600
        desk.workspace.change("call_recordings", call.key, start_time=began)


UNLISTED = "In no list"
LINES = {
    "An issue is opened, answered, reassigned or closed": Line(NEXT, opened, conversation(3)),
    "A message is added, deleted, or moved to another thread": Line(
        NEXT, moved_about, conversation()
    ),
    "A message is edited or redacted": Line(
        NEXT,
        lambda desk: desk.workspace.redact_message(message_of(desk, private=False)),
        conversation(),
    ),
    "… and the issue's `updated_at` does not move": Line(
        ASKED,
        lambda desk: desk.workspace.edit_message(
            message_of(desk, private=False), "<p>Reworded.</p>", touch=False
        ),
        options={"verify": 30},
        # All issues have messages of these days.
        when_asked=conversation(4),
    ),
    "An issue is deleted": Line(
        DAILY,
        lambda desk: desk.workspace.delete_issue(desk.issues[0]),
        a_day_later={"GET /issues/*": 1},
    ),
    "An issue is merged into another": Line(
        DAILY,
        lambda desk: desk.workspace.merge_issues(desk.issues[1], desk.issues[0]),
        next_run=conversation(),
        a_day_later={"GET /issues/*": 1},
    ),
    "An issue moves to another account without a sign": Line(
        DAILY,
        lambda desk: desk.workspace.change_issue(
            desk.issues[0], account=desk.accounts[1], touch=False
        ),
    ),
    "Accounts are merged": Line(
        DAILY,
        lambda desk: desk.workspace.merge_accounts(desk.accounts[0], [desk.accounts[1]]),
        next_run={"GET /accounts/*": 1},
        a_day_later={"GET /accounts/*": 1},
    ),
    "An account, contact or user is deleted": Line(
        NEXT,
        lambda desk: desk.workspace.remove("contacts", desk.contacts[2]),
        next_run={"GET /contacts/*": 1},
        a_day_later={"GET /contacts/*": 1},
    ),
    "A user is deactivated": Line(
        NEXT, lambda desk: desk.workspace.deactivate_user(desk.agents[1])
    ),
    "A task, project or call of the last 14 days changes, or a survey is answered": (
        Line(NEXT, what_is_new, before=recent_calls)
    ),
    "A task, project, answer or call is deleted, or an older call changes": Line(
        DAILY, what_is_no_longer
    ),
    "Any other record is added, changed or deleted": Line(NEXT, lists),
    "A custom field is renamed": Line(DAILY, renamed),
    "Somebody is named whom no list names": Line(
        NEXT,
        someone_unlisted,
        next_run={"GET /contacts/*": 1, **conversation()},
        a_day_later={"GET /contacts/*": 1},
    ),
    "A deleted record is there again": Line(
        DAILY, restored, a_day_later=conversation(), before=deleted
    ),
}
# These have tests of their own: test_drift.py, test_choice.py.
ELSEWHERE = {
    *("A field is new", "A field is of another type, or is gone"),
    "Somebody follows an issue, comments on a task, or relates accounts",
}


def without_unlisted(request: httpx.Request, payload: dict[str, Any], _: dict[str, str]) -> None:
    if request.url.path == "/contacts":
        payload["data"] = [one for one in payload["data"] if one["name"] != UNLISTED]


def table() -> dict[str, str]:
    """What docs/changes.md says: what happens, and when the mirror has it."""
    text = CHANGES.read_text(encoding="utf-8")
    lines = re.findall(r"^\| (.*?) \| .*? \| (.*?) \| .*? \|$", text, re.M)
    return dict(lines[1:])


def test_each_line_of_the_table_has_a_test() -> None:
    told = table()
    assert {*told} == {*LINES} | ELSEWHERE
    assert {name: line.after for name, line in LINES.items()} == {
        name: after for name, after in told.items() if name not in ELSEWHERE
    }


@pytest.mark.parametrize("name", LINES)
def test_a_change_arrives_as_told(path: Path, desk: Desk, api: Api, clock: Any, name: str) -> None:
    line = LINES[name]
    transport = Edited(api, without_unlisted)

    def asked(**options: Any) -> Counter[str]:
        """The requests of a run, with a star for each id."""
        before = len(api.log)
        assert errors(sync(path, api, clock, transport=transport, **options)) == {}
        paths = (f"{one.method} {one.path}" for one in api.log[before:])
        return Counter(re.sub(r"/[0-9a-f-]{36}", "/*", one) for one in paths)

    asked()
    line.before(desk)
    clock.sleep(DAY)
    asked(reconcile=True)
    clock.sleep(2 * DAY)
    asked()
    clock.sleep(3600)
    idle = asked()
    line.happens(desk)
    clock.sleep(3600)
    assert asked() - idle == line.next_run
    assert (differences(path, desk.workspace) == []) == (line.after == NEXT)
    clock.sleep(DAY + 60)
    assert asked() - idle == {"GET /issues": 1, **line.a_day_later}
    assert (differences(path, desk.workspace) == []) == (line.after != ASKED)
    if line.options:
        assert asked(**line.options) - idle == line.when_asked
    assert differences(path, desk.workspace) == []


@pytest.mark.parametrize("name", [name for name, line in LINES.items() if line.after == DAILY])
def test_it_arrives_at_once_where_all_is_compared(
    mirror: Path, desk: Desk, api: Api, clock: Any, name: str
) -> None:
    LINES[name].before(desk)
    clock.sleep(DAY)
    sync(mirror, api, clock, reconcile=True)
    LINES[name].happens(desk)
    clock.sleep(3600)
    sync(mirror, api, clock, reconcile=True)
    assert differences(mirror, desk.workspace) == []
