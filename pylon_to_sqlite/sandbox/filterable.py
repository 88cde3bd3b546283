"""What the searches can be filtered by: the fields of each, and the operators that each takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .times import read

Filterable = tuple[tuple[str, ...], Callable[[Any], Any]]

TIME = ("time_is_after", "time_is_before", "time_range")
_CHOICE = ("equals", "in", "not_in")
_CHOSEN = (*_CHOICE, "is_set")
_REFERENCE = (*_CHOSEN, "is_unset")
_TAGS = ("contains", "does_not_contain", "in", "not_in")
_TEXT = ("string_contains", "string_does_not_contain")
CUSTOM = (*_REFERENCE, "contains", "does_not_contain")
"""What custom fields take."""


def _of(name: str) -> Callable[[Any], Any]:
    return lambda record: record.fields[name]


def _time_of(name: str) -> Callable[[Any], Any]:
    return lambda record: read(record.fields[name]) if record.fields[name] else None


FIELDS: dict[str, dict[str, Filterable]] = {
    "issues": {
        "account_id": (_REFERENCE, lambda issue: issue.account),
        "requester_id": (_REFERENCE, lambda issue: issue.requester),
        "assignee_id": (_REFERENCE, lambda issue: issue.assignee),
        "issue_type": (_REFERENCE, lambda issue: issue.type),
        "team_id": (_CHOICE, lambda issue: issue.team),
        "state": (_CHOICE, lambda issue: issue.state),
        "tags": (_TAGS, lambda issue: issue.tags),
        "title": (_TEXT, lambda issue: issue.title),
        "body_html": (_TEXT, lambda issue: issue.body_html),
        "created_at": (TIME, lambda issue: issue.created),
        "updated_at": (TIME, lambda issue: issue.updated),
        "resolved_at": (TIME, lambda issue: issue.resolution),
        "latest_message_activity_at": (TIME, lambda issue: issue.latest_message),
    },
    "call_recordings": {
        "account_id": (_REFERENCE, _of("account_id")),
        "source": (_CHOICE, _of("source")),
        "title": (("equals", "string_contains"), _of("title")),
        "start_time": (TIME, _time_of("start_time")),
    },
    "projects": {
        "account_id": (_CHOSEN, _of("account")),
        "status": (_CHOICE, _of("status")),
        "owner_id": (_REFERENCE, _of("owner_id")),
        "is_archived": (("equals",), lambda record: str(record.fields["is_archived"]).lower()),
        "created_at": (TIME, lambda record: record.created),
        "updated_at": (TIME, lambda record: record.updated),
    },
    "tasks": {
        "account_id": (_CHOSEN, _of("account")),
        "project_id": (_REFERENCE, _of("project")),
        "status": (_CHOICE, _of("status")),
        "assignee_id": (_CHOSEN, _of("assignee")),
        "milestone_id": (_CHOSEN, _of("milestone")),
        "created_at": (TIME, lambda record: record.created),
        "due_date": ((*TIME, "is_set"), _time_of("due_date")),
        "updated_at": (TIME, lambda record: record.updated),
    },
    "milestones": {},  # nobody has said what they can be filtered by
    "audit_logs": {
        "action": ((*_CHOICE, *_TEXT), _of("action")),
        "action_happened_at": (TIME, lambda record: record.updated),
    },
}
"""Stream -> field of a filter -> the operators it takes, and what it looks at."""

CUSTOM_FIELDS_OF = {"issues": "issue", "projects": "project", "tasks": "task"}
"""Streams that can also be filtered by custom fields, and the object type of these."""
