"""What becomes of the file when Pylon changes its fields: no run fails, nothing is lost, and each
change is told once."""

import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from desk import Desk, add_the_rest, open_desk, open_issue
from mirroring import ALL, DAY, die, errors, rows, sync
from oracle import differences
from test_truth import Edited

from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import SandboxTransport
from pylon_to_sqlite.sandbox.workspace import Workspace
from pylon_to_sqlite.streams import BY_NAME, STREAMS

Payload = dict[str, Any]
# Of an organisation there is one, whose token's it is.
TESTED = [stream for stream in STREAMS if not stream.is_one]
PATHS = {one.name: re.sub(r"\{\w+\}", "[^/]+", one.path) for one in TESTED}
BY_ID = {stream.name: f"{PATHS[stream.name]}/[^/]+" for stream in STREAMS if stream.by_id}
# What the mirror knows a record by, and what it was asked for with.
KEYS = {"id", "slug", "object_type", "issue_id", "task_id", "child_account_id"}


def stream_of(path: str) -> str | None:
    for paths in (PATHS, BY_ID):
        for name, pattern in paths.items():
            if re.fullmatch(pattern, path):
                return name
    return None


class Drifting(SandboxTransport):
    """Changes one field of each record: the first of the first record it comes by, the second of
    the second, and so on. `changed` holds which field, and what is new in it, by stream and key."""

    def __init__(self, api: Api, change: Callable[[Any, str], Any], fields: Payload) -> None:
        super().__init__(api)
        self._change, self._fields = change, fields
        self._place: dict[tuple[str, str], int] = {}
        self.changed: dict[tuple[str, str], tuple[str, set[str]]] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        payload = json.loads(response.content)
        stream = stream_of(request.url.path)
        if stream and payload.get("data"):
            records = payload["data"]
            for record in records if isinstance(records, list) else [records]:
                self._alter(stream, record)
        headers = {
            name: text for name, text in response.headers.items() if name != "content-length"
        }
        return httpx.Response(
            response.status_code, headers=headers, content=json.dumps(payload).encode()
        )

    def _alter(self, stream: str, record: Payload) -> None:
        key = record[BY_NAME[stream].key[-1]]
        mine = [one for one, _ in self._place if one == stream]
        place = self._place.setdefault((stream, key), len(mine))
        fields = self._fields[stream]
        field = fields[place % len(fields)]
        value = self._change(record.get(field), f"odd {stream} {field}")
        old = {*leaves(record.pop(field, None))}
        if value is not ABSENT:
            record[field] = value
        self.changed[stream, key] = field, {*leaves(value)} - old


ABSENT = object()


def another_type(value: Any, marker: str) -> Any:
    if value is None:
        # Of what type it would be, the record does not say.
        return None
    if isinstance(value, str):
        return {"odd": [marker, 7]}
    if isinstance(value, dict):
        return [marker]
    return {"odd": marker} if isinstance(value, list) else marker


def doubled(value: Any, marker: str) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return 2 * value + 1
    if isinstance(value, str):
        return value + value + marker
    if isinstance(value, list):
        more = [{**one, "odd": marker} if isinstance(one, dict) else marker for one in value[:1]]
        return more + value + value
    return {**value, "odd": marker} if isinstance(value, dict) else marker


CHANGES: dict[str, Callable[[Any, str], Any]] = {
    "absent": lambda value, marker: ABSENT,
    "null": lambda value, marker: None,
    "empty": lambda value, marker: "",
    "another type": another_type,
    "doubled": doubled,
}


@pytest.fixture
def busy(workspace: Workspace, clock: Any) -> Desk:
    """A desk with as many records in each stream as they have fields."""
    desk = open_desk(workspace, issues=0)
    for number in range(50):
        open_issue(desk, number)
    for number in range(20):
        owner, account = desk.agents[0], desk.accounts[0]
        workspace.add("accounts", name=f"Account {number}", owner=owner, tags=["a"])
        workspace.add("contacts", name=f"Contact {number}", account=account, phone_numbers=["1"])
        workspace.add("users", name=f"User {number}")
        workspace.add("teams", name=f"Team {number}", users=desk.agents)
        workspace.add("tags", value=f"tag {number}")
        workspace.add("custom_fields", object_type="issue", slug=f"field.{number}")
        workspace.add("ticket_forms", name=f"Form {number}")
        workspace.add("knowledge_bases", title=f"Base {number}")
        workspace.add_article(desk.base, title=f"Article {number}")
        for stream in ("user_roles", "activity_types", "issue_statuses"):
            workspace.add(stream)
        add_the_rest(workspace, number, desk.base, account, desk.contacts[0], owner)
    clock.sleep(DAY)
    return desk


def fields_of(workspace: Workspace) -> Payload:
    """By stream, the fields of its records that are no keys."""
    issues = [issue["id"] for issue in workspace.records("issues")]
    bases = [base["id"] for base in workspace.records("knowledge_bases")]
    children: Payload = {
        "issue_messages": [one for issue in issues for one in workspace.messages(issue)],
        "issue_threads": [one for issue in issues for one in workspace.threads(issue)],
        "knowledge_base_articles": [one for base in bases for one in workspace.articles(base)],
        "knowledge_base_collections": workspace.records("collections"),
    }
    found = {}
    for stream in TESTED:
        records = children.get(stream.name) or workspace.records(stream.name)
        # What was asked for is what it is, whatever it says.
        keys = KEYS | {stream.part_column}
        found[stream.name] = sorted({name for record in records for name in record} - keys)
    return found


def leaves(value: Any) -> Iterator[str]:
    """All that a value holds, as text."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from leaves(inner)
    elif value is not None and value != "" and value is not ABSENT:
        yield str(int(value) if isinstance(value, bool) else value)


def held(path: Path) -> dict[tuple[str, str], set[str]]:
    """By stream and key, all that the rows of a record hold, as text, in JSON too."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for stream in TESTED:
        tables = [(stream.name, stream.key[-1])]
        tables += [(link.table, link.owner.name) for link in stream.links]
        for table, key in tables:
            for row in rows(path, f"SELECT * FROM {table}"):
                found[stream.name, row[key]] |= {*texts(row)}
    return found


def texts(row: Payload) -> Iterator[str]:
    """All that a row holds."""
    for text in row.values():
        if text is not None:
            yield str(text)
            with suppress(ValueError, TypeError):
                yield from leaves(json.loads(text))


@pytest.mark.parametrize("change", [*CHANGES])
def test_each_field_may_change(path: Path, busy: Desk, api: Api, clock: Any, change: str) -> None:
    """In turn every field of every stream; and when it is as before, so is the mirror."""
    sync(path, api, clock, **ALL)
    fields = fields_of(busy.workspace)
    drifting = Drifting(api, CHANGES[change], fields)
    clock.sleep(3600)
    outcome = sync(path, api, clock, full=True, transport=drifting)
    assert errors(outcome) == {}
    seen = {(stream, field) for (stream, _), (field, _) in drifting.changed.items()}
    assert seen == {(stream, field) for stream in fields for field in fields[stream]}
    here = held(path)
    for (stream, key), (field, new) in drifting.changed.items():
        assert not new - here[stream, key], f"{stream}.{field}"
    assert rows(path, "PRAGMA foreign_key_check") == []
    clock.sleep(3600)
    assert errors(sync(path, api, clock, full=True)) == {}
    assert differences(path, busy.workspace) == []


def test_what_changed_is_told_once(path: Path, busy: Desk, api: Api, clock: Any) -> None:
    assert sync(path, api, clock, **ALL).drift == []
    fields = fields_of(busy.workspace)
    for attempt in range(2):
        clock.sleep(3600)
        drifting = Drifting(api, another_type, fields)
        outcome = sync(path, api, clock, full=True, transport=drifting)
        told = {(one.table, one.column) for one in outcome.drift}
        if attempt:
            assert told == set()
            continue
        odd = [(stream, field) for (stream, _), (field, new) in drifting.changed.items() if new]
        assert len(odd) > 100
        for stream, field in odd:
            tables = {stream, *(link.table for link in BY_NAME[stream].links)}
            columns = {column for table, column in told if table in tables}
            column = {"current_published_content_html": "published_text"}.get(field, field)
            assert any(name.startswith(column) for name in columns), f"{stream}.{field}"
    kept = rows(path, 'SELECT "table", "column", change, detail FROM _pylon_fields')
    assert {(row["table"], row["column"]) for row in kept} >= told
    title = {"table": "issues", "column": "title", "change": "type"}
    assert {**title, "detail": "an object where text was"} in kept


@pytest.mark.parametrize(
    ("stream", "field", "columns"),
    [
        ("contacts", "phone_numbers", {"phone_numbers"}),
        ("issues", "body_html", {"body_html", "body_text"}),
        ("issues", "link", {"link"}),
        ("accounts", "owner", {"owner_id"}),
        ("issue_messages", "message_html", {"message_html", "message_text"}),
        ("issues", "custom_fields", {"custom_fields"}),
        ("issues", "tags", {"tags"}),
        ("teams", "users", {"users"}),
    ],
)
def test_a_field_that_is_gone_is_left_null_and_told_once(
    path: Path, busy: Desk, api: Api, clock: Any, stream: str, field: str, columns: set[str]
) -> None:
    sync(path, api, clock, stream)
    gone = {(stream, column, "gone") for column in columns}
    for expected in (gone, set()):
        clock.sleep(3600)
        transport = Emptied(api, stream, field)
        outcome = sync(path, api, clock, stream, full=True, transport=transport)
        assert errors(outcome) == {}
        assert {one[:3] for one in outcome.drift} == expected
    there = {row["name"] for row in rows(path, f"PRAGMA table_info({stream})")}
    for column in columns & there:
        assert rows(path, f"SELECT 1 FROM {stream} WHERE {column} IS NOT NULL LIMIT 1") == []
    for link in BY_NAME[stream].links:
        assert link.path != field or rows(path, f"SELECT 1 FROM {link.table}") == []
    # Once it is there again, it can be gone again.
    for transport, expected in ((None, set()), (Emptied(api, stream, field), gone)):
        clock.sleep(3600)
        outcome = sync(path, api, clock, stream, full=True, transport=transport)
        assert {one[:3] for one in outcome.drift} == expected


def test_a_snooze_that_ends_is_no_field_that_is_gone(
    path: Path, busy: Desk, api: Api, clock: Any
) -> None:
    issues = [issue["id"] for issue in busy.workspace.records("issues")][:8]
    for issue in issues:
        busy.workspace.change_issue(issue, snoozed_until_time="2026-07-09T00:00:00Z")
    clock.sleep(3600)
    sync(path, api, clock)
    for issue in issues:
        busy.workspace.change_issue(issue, snoozed_until_time="", assignee=None)
    clock.sleep(3600)
    assert sync(path, api, clock).drift == []
    assert sync(path, api, clock, reconcile=True).drift == []


def test_what_a_run_saw_that_died_is_told_by_the_next(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    api.misbehave("extra-field", "/user-roles", times=-1, field="tier", value="x")
    assert die(path, api, clock, 9)
    api.behave()
    assert [one.column for one in sync(path, api, clock).drift] == ["tier"]
    assert sync(path, api, clock).drift == []


@pytest.mark.parametrize("name", ["issue", "id_", "user", "contact", "who", "rowid", "m", "p"])
def test_a_new_field_of_any_name_disturbs_nothing(
    path: Path, desk: Desk, api: Api, clock: Any, name: str
) -> None:
    """Such as one that a query of the tool's own uses."""
    api.misbehave("extra-field", ".*", times=-1, field=name, value="x")
    for options in ({}, {"reconcile": True}, {"erase_deleted": 0}):
        assert errors(sync(path, api, clock, **options)) == {}
        desk.workspace.change_issue(desk.issues[0], title=f"{options}")
        desk.workspace.delete_issue(desk.issues.pop())
        clock.sleep(DAY)


def test_a_column_of_a_new_field_may_be_dropped(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """It comes again with the field."""
    for value in ("x", "y"):
        api.misbehave("extra-field", "/teams", times=-1, field="tier", value=value)
        assert errors(sync(path, api, clock, erase_deleted=0)) == {}
        assert {row["tier"] for row in rows(path, "SELECT tier FROM teams")} == {value}
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("ALTER TABLE teams DROP COLUMN tier")
        api.behave()
        assert errors(sync(path, api, clock, erase_deleted=0)) == {}


def test_a_key_that_is_given_as_a_number_changes_nothing_in_the_next_run(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    def number(request: httpx.Request, payload: Payload, headers: dict[str, str]) -> None:
        if request.url.path.endswith("/messages"):
            for message in payload["data"]:
                message["thread_id"] = 5

    for _ in range(2):
        sync(path, api, clock, full=True, transport=Edited(api, number))
        found = rows(path, "SELECT id, synced_at FROM issue_threads WHERE id = '5'")
        clock.sleep(3600)
        assert found == [{"id": "5", "synced_at": "2026-07-02T00:00:00Z"}]


def test_a_field_that_some_records_lose_is_not_told(
    path: Path, busy: Desk, api: Api, clock: Any
) -> None:
    """They may well have lost it."""
    sync(path, api, clock)
    for issue in busy.workspace.records("issues")[1:]:
        busy.workspace.change_issue(issue["id"], assignee=None)
    clock.sleep(DAY)
    assert sync(path, api, clock).drift == []


class Emptied(SandboxTransport):
    """Gives the records of a stream without a field."""

    def __init__(self, api: Api, stream: str, field: str) -> None:
        super().__init__(api)
        self._stream, self._field = stream, field

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        payload = json.loads(response.content)
        if stream_of(request.url.path) == self._stream and isinstance(payload.get("data"), list):
            for record in payload["data"]:
                record.pop(self._field, None)
        date = {"Date": response.headers["Date"]}
        return httpx.Response(response.status_code, headers=date, json=payload)


def test_a_new_field_keeps_numbers_and_text_as_they_come(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """A number today may be text tomorrow: "007" is not 7."""
    values = [7, "007", 1.5, "1.50", True]
    for value in values:
        api.behave()
        api.misbehave("extra-field", "/teams", times=-1, field="badge", value=value)
        sync(path, api, clock, "teams")
        found = {repr(row["badge"]) for row in rows(path, "SELECT badge FROM teams")}
        assert found == {repr(int(value) if value is True else value)}


def test_values_of_custom_fields_that_are_renamed_or_deleted_stay_readable(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    workspace = desk.workspace
    for slug in ("priority", "areas"):
        workspace.add("custom_fields", object_type="issue", slug=slug, label=f"Old {slug}")
    sync(path, api, clock)
    fields = {one.fields["slug"]: one.key for one in workspace.listed("custom_fields")}
    workspace.change("custom_fields", fields["priority"], label="Urgency")
    workspace.remove("custom_fields", fields["areas"])
    clock.sleep(3600)
    sync(path, api, clock)
    values = rows(
        path,
        "SELECT DISTINCT slug, label, value, f.deleted_at IS NULL AS is_live"
        " FROM issue_custom_fields JOIN custom_fields f USING (slug)"
        " WHERE f.object_type = 'issue' ORDER BY slug, value",
    )
    assert [tuple(row.values()) for row in values] == [
        ("areas", "Old areas", "export", 0),
        ("areas", "Old areas", "import", 0),
        ("priority", "Urgency", "high", 1),
    ]
