"""Stored records as the API gives them, with the ways of leaving things unset that Pylon has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from .defaults import TIMES
from .records import CustomFields, Fields, Issue, Message, Record, Thread
from .times import business_seconds, written

_NULL_WHEN_EMPTY = frozenset({"tags", "external_ids", "users"})
_ABSENT_WHEN_EMPTY = frozenset({"domains", "channels", "custom_fields"})
_SLA_SECONDS = 4 * 3600


@dataclass(frozen=True)
class Person:
    """Who an id stands for. Kept after the record is gone: messages still name their author."""

    kind: str  # "contact" or "user", which is also the key of an author's filled side
    id: str
    name: str
    email: str
    avatar_url: str


@dataclass
class Book:
    """What other records say about those they refer to."""

    people: dict[str, Person] = field(default_factory=dict)
    external_ids: dict[str, Any] = field(default_factory=dict)  # by account
    roles: dict[str, Fields] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)  # by issue
    _above: dict[str, str] = field(default_factory=dict)  # task -> the task above it
    _below: dict[str, list[str]] = field(default_factory=dict)  # task -> its subtasks

    def place_task(self, key: str, above: str) -> None:
        """Note below which task another one is; "" for none."""
        before = self._above.get(key, "")
        if before != above:
            if before:
                self._below[before].remove(key)
            self._above[key] = above
            if above:
                self._below.setdefault(above, []).append(key)

    def subtasks(self, key: str) -> list[str]:
        """The tasks below a task."""
        return list(self._below.get(key, ()))

    def person(self, key: str | None) -> Fields | None:
        """The short form of a user or contact."""
        if not key:
            return None
        known = self.people.get(key)
        return {"id": key, "email": known.email if known else ""}

    def actor(self, key: str | None) -> Fields | None:
        """A user or contact on their side of two."""
        known = self.people.get(key or "")
        if known is None:
            return None
        sides: Fields = {"contact": None, "user": None, known.kind: self.person(known.id)}
        return unset_somehow(sides, known.id)

    def account(self, key: str | None) -> Fields | None:
        """The short form of an account; a merged one is still named by its id."""
        if not key:
            return None
        return {"id": key, "external_ids": fresh(self.external_ids.get(key)) or None}

    def issue(self, key: str | None) -> Fields | None:
        """The short form of an issue."""
        return {"id": key, "number": self.numbers[key]} if key else None


def varied(key: str, name: str, ways: int) -> int:
    """A choice among `ways` that differs by record and field, and is always the same for one."""
    return crc32(f"{key}.{name}".encode()) % ways


def fresh(value: Any) -> Any:
    """A copy of a JSON value that shares nothing with it."""
    if isinstance(value, dict):
        return {name: fresh(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [fresh(item) for item in value]
    return value


def unset_somehow(payload: Mapping[str, Any], key: str) -> Fields:
    """The payload with its empty fields as null, "", [] or left out, which all mean the same."""
    result: Fields = {}
    for name, value in payload.items():
        if value not in (None, "", [], {}):
            result[name] = value
            continue
        way = varied(key, name, 3)
        if name in _NULL_WHEN_EMPTY or (way == 0 and name not in _ABSENT_WHEN_EMPTY):
            result[name] = None
        elif way == 1 and value is not None:
            result[name] = value
    return result


def custom_field_values(stored: CustomFields, key: str) -> Fields:
    """The map of custom fields; one that was unset may stay in it, without a value."""
    values: Fields = {}
    for slug, value in stored.items():
        if value is None:
            if varied(key, slug, 2):
                values[slug] = {"slug": slug, "value": ""}
        elif isinstance(value, str):
            values[slug] = {"slug": slug, "value": value}
            if not varied(key, slug, 4):
                values[slug]["interpreted_value"] = value
        else:
            values[slug] = {"slug": slug, "value": "", "values": list(value)}
    return values


def record_payload(record: Record, book: Book) -> Fields:
    """A record of a flat stream as the API gives it."""
    payload: Fields = {} if record.stream == "issue_statuses" else {"id": record.key}
    times = zip(TIMES.get(record.stream, ()), (record.created, record.updated), strict=False)
    payload.update((name, written(ms)) for name, ms in times if name)
    payload.update(fresh(record.fields))
    expand = _REFERENCES.get(record.stream)
    if expand is not None:
        expand(payload, record, book)
    return unset_somehow(payload, record.key)


def _expand_account(payload: Fields, record: Record, book: Book) -> None:
    payload["owner"] = book.person(record.fields["owner"])
    payload["custom_fields"] = custom_field_values(record.fields["custom_fields"], record.key)
    payload["channels"] = [unset_somehow(channel, record.key) for channel in payload["channels"]]


def _expand_contact(payload: Fields, record: Record, book: Book) -> None:
    payload["account"] = book.account(record.fields["account"])
    payload["custom_fields"] = custom_field_values(record.fields["custom_fields"], record.key)


def _expand_user(payload: Fields, record: Record, book: Book) -> None:
    payload["role_id"] = record.fields["role"] or ""
    payload["role"] = fresh(book.roles.get(payload["role_id"]))


def _expand_team(payload: Fields, record: Record, book: Book) -> None:
    payload["users"] = [book.person(user) for user in record.fields["users"]]


def _expand_collection(payload: Fields, record: Record, book: Book) -> None:
    payload["visibility_config"] = unset_somehow(payload["visibility_config"], record.key)


def _expand_macro(payload: Fields, record: Record, book: Book) -> None:
    payload["visibility"] = unset_somehow(payload["visibility"], record.key)


def _expand_survey_response(payload: Fields, record: Record, book: Book) -> None:
    payload["answers"] = [unset_somehow(answer, record.key) for answer in payload["answers"]]


def _expand_custom_fields(payload: Fields, record: Record, book: Book) -> None:
    payload["custom_fields"] = custom_field_values(record.custom_fields, record.key)


def _expand_project(payload: Fields, record: Record, book: Book) -> None:
    del payload["status"]  # which a search knows, but no payload
    payload["account"] = book.account(record.fields["account"])
    payload["project_template"] = _short(record.fields["project_template"])
    payload["custom_fields"] = custom_field_values(record.custom_fields, record.key)


def _expand_milestone(payload: Fields, record: Record, book: Book) -> None:
    payload["account"] = book.account(record.fields["account"])
    payload["project"] = _short(record.fields["project"])


def _expand_task(payload: Fields, record: Record, book: Book) -> None:
    _expand_milestone(payload, record, book)
    payload["milestone"] = _short(record.fields["milestone"])
    payload["assignee"] = book.actor(record.fields["assignee"])
    payload["subtask_ids"] = book.subtasks(record.key)
    payload["custom_fields"] = custom_field_values(record.custom_fields, record.key)


def _expand_task_comment(payload: Fields, record: Record, book: Book) -> None:
    payload["task_id"] = record.parent
    payload["author"] = book.actor(record.fields["author"])


def _expand_voice_call(payload: Fields, record: Record, book: Book) -> None:
    payload["recordings"] = [
        unset_somehow(recording, record.key) for recording in payload["recordings"]
    ]


def _short(key: str | None) -> Fields | None:
    return {"id": key} if key else None


_REFERENCES: dict[str, Callable[[Fields, Record, Book], None]] = {
    "accounts": _expand_account,
    "contacts": _expand_contact,
    "users": _expand_user,
    "teams": _expand_team,
    "collections": _expand_collection,
    "macros": _expand_macro,
    "survey_responses": _expand_survey_response,
    "call_recordings": _expand_custom_fields,
    "projects": _expand_project,
    "milestones": _expand_milestone,
    "tasks": _expand_task,
    "task_comments": _expand_task_comment,
    "feature_requests": _expand_custom_fields,
    "custom_objects": _expand_custom_fields,
    "issue_voice_calls": _expand_voice_call,
}


def issue_payload(issue: Issue, book: Book) -> Fields:
    """An issue as the API gives it."""
    # Old records still have the capitalised form.
    kind = issue.type if varied(issue.id, "type", 8) else issue.type.capitalize()
    payload = {
        "id": issue.id,
        "number": issue.number,
        "title": issue.title,
        "body_html": issue.body_html,
        "link": f"https://app.usepylon.com/issues?issueNumber={issue.number}",
        "type": kind,
        "source": issue.source,
        "state": issue.state,
        "created_at": written(issue.created),
        "updated_at": written(issue.updated),
        "latest_message_time": written(issue.latest_message),
        "snoozed_until_time": "",
        "account": book.account(issue.account),
        "requester": book.person(issue.requester),
        "assignee": book.person(issue.assignee),
        "team": {"id": issue.team} if issue.team else None,
        "tags": list(issue.tags),
        "custom_fields": custom_field_values(issue.custom_fields, issue.id),
        "external_issues": [],
        "attachment_urls": [],
        "csat_responses": fresh(issue.csat),
        "parent_issue_group": book.issue(issue.parent),
        "child_issues": [book.issue(child) for child in issue.children],
        "number_of_touches": issue.touches,
        "customer_portal_visible": True,
        "author_unverified": issue.source == "chat_widget",
        **_origin(issue),
        **_durations(issue),
        **_active_time(issue),
        **fresh(issue.fields),
    }
    return unset_somehow(payload, issue.id)


def _origin(issue: Issue) -> Fields:
    slack = widget = None
    if issue.source == "slack":
        stamp = f"{issue.created / 1000:.6f}"
        slack = {"channel_id": "C00000000", "message_ts": stamp, "workspace_id": "T00000000"}
    elif issue.source == "chat_widget":
        widget = {"page_url": "https://app.northwind.example/settings"}
    return {"slack": slack, "chat_widget_info": widget}


def _durations(issue: Issue) -> Fields:
    first, resolved = issue.first_response, issue.resolution
    due = written(issue.created + _SLA_SECONDS * 1000)
    response_times = _reached(issue, first)
    resolution_times = _reached(issue, resolved)
    slas = [
        {
            "team_id": issue.team,
            "first_response": {**response_times, "breach_time": due},
            "resolution": {**resolution_times, "breach_time": due},
        }
    ]
    return {
        "first_response_time": response_times["time"],
        "first_response_seconds": response_times["seconds"],
        "business_hours_first_response_seconds": response_times["business_hours_seconds"],
        "first_response_breach_time": "" if first else due,
        "resolution_time": resolution_times["time"],
        "resolution_seconds": resolution_times["seconds"],
        "business_hours_resolution_seconds": resolution_times["business_hours_seconds"],
        "resolution_breach_time": "" if resolved else due,
        "team_slas": slas if issue.team else [],
        "time_in_status_seconds": dict(issue.seconds_in),
        "business_hours_time_in_status_seconds": dict(issue.business_seconds_in),
    }


def _reached(issue: Issue, ms: int | None) -> Fields:
    if ms is None:
        return {"time": "", "seconds": None, "business_hours_seconds": None}
    return {
        "time": written(ms),
        "seconds": (ms - issue.created) // 1000,
        "business_hours_seconds": business_seconds(issue.created, ms),
    }


def _active_time(issue: Issue) -> Fields:
    shares = [
        {
            "user_id": user,
            "active_time_seconds": seconds,
            "business_hours_active_time_seconds": at_work,
        }
        for user, (seconds, at_work) in issue.active.items()
    ]
    totals = [sum(column) for column in zip(*issue.active.values(), strict=True)] or [None, None]
    return {
        "active_time_by_user": shares,
        "active_time_seconds": totals[0],
        "business_hours_active_time_seconds": totals[1],
    }


def thread_payload(thread: Thread, issue: str) -> Fields:
    """An internal thread as the API gives it."""
    return unset_somehow({"id": thread.id, "issue_id": issue, **fresh(thread.fields)}, thread.id)


def message_payload(message: Message, issue: Issue, book: Book) -> Fields:
    """A message as the API gives it, which does not say whose it is."""
    payload = {
        "id": message.id,
        "message_html": message.html,
        "timestamp": written(message.at),
        "source": message.source,
        "is_private": message.private,
        "thread_id": message.thread,
        "file_urls": list(message.file_urls),
        "author": _author(message, book),
        "email_info": _email(message, issue, book),
    }
    return unset_somehow(payload, message.id)


def _author(message: Message, book: Book) -> Fields:
    person = book.people[message.author] if message.author else None
    if person is None:
        return {"name": message.author_name}
    sides: Fields = {"contact": None, "user": None, person.kind: book.person(person.id)}
    name = message.author_name or person.name
    author = {"name": name, "avatar_url": person.avatar_url, **sides}
    return unset_somehow(author, message.id)


def _email(message: Message, issue: Issue, book: Book) -> Fields | None:
    if message.source != "email" or message.private:
        return None
    support = "support@northwind.example"
    sender = book.person(message.author) or {"email": support}
    requester = book.person(issue.requester) or {"email": ""}
    answer = message.author != issue.requester
    copied = answer and not varied(message.id, "copied", 4)
    info = {
        "from_email": sender["email"],
        "to_emails": [requester["email"] if answer else support],
        "cc_emails": [support] if answer else [],
        "bcc_emails": ["archive@northwind.example"] if copied else [],
        "message_id": f"<{message.id}@mail.northwind.example>",
    }
    return unset_somehow(info, message.id)
