"""The endpoints of the API as a table: path, allowance, and how each is answered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from .answers import Body, Refusal, Request, cursor_of, limit_of, page
from .further_defaults import PARENTS
from .payloads import message_payload
from .records import Issue, Message
from .searches import (
    Answer,
    Rules,
    of_issue,
    of_record,
    search_feature_requests,
    search_issues,
    search_of,
)
from .timeline import Position
from .times import DAY, millis, read
from .workspace import Workspace


@dataclass(frozen=True)
class Route:
    """An endpoint. Allowances are requests a minute since autumn 2026, and before."""

    method: str
    path: str
    answer: Answer
    allowance: int = 300
    allowance_before: int = 60
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        pattern = re.compile(re.sub(r"\{\w+\}", "(?P<key>[^/]+)", self.path))
        object.__setattr__(self, "pattern", pattern)

    @property
    def endpoint(self) -> str:
        """What the allowance is counted by."""
        return f"{self.method} {self.path}"


def _me(workspace: Workspace, request: Request, rules: Rules, key: str) -> Body:
    return {"data": workspace.organization}


def _all_of(stream: str) -> Answer:
    def answer(workspace: Workspace, request: Request, rules: Rules, key: str) -> Body:
        deactivated = request.query.get("include_deactivated") == "true"
        records = workspace.listed(stream, deactivated=deactivated)
        return {"data": [workspace.payload(record) for record in records]}

    return answer


def _pages_of(
    stream: str, *, limit_required: bool = False, default: int = 100, highest: int = 999
) -> Answer:
    def answer(workspace: Workspace, request: Request, rules: Rules, key: str) -> Body:
        if limit_required and not request.query.get("limit"):
            raise Refusal(400, "limit is required")
        parent = _parent(workspace, stream, key) if stream in PARENTS else ""
        limit = limit_of(request, default=default, highest=highest)
        found = workspace.newest(stream, parent, cursor_of(request))
        return page(found, limit, of_record, workspace.payload)

    return answer


def _belonging(stream: str) -> Answer:
    def answer(workspace: Workspace, request: Request, rules: Rules, key: str) -> Body:
        return {"data": workspace.belonging(stream, _parent(workspace, stream, key)) or None}

    return answer


def _parent(workspace: Workspace, stream: str, key: str) -> str:
    parent = workspace.resolved(PARENTS[stream], key)
    if parent is None:
        raise _missing(PARENTS[stream])
    return parent


def _one_of(stream: str) -> Answer:
    def answer(workspace: Workspace, request: Request, rules: Rules, key: str) -> Body:
        record = workspace.find(stream, key)
        if record is None:
            raise _missing(stream)
        return {"data": workspace.payload(record)}

    return answer


def _custom_fields(workspace: Workspace, request: Request, rules: Rules, key: str) -> Body:
    wanted = request.query.get("object_type")
    if wanted not in rules.object_types:
        raise Refusal(400, f"object_type must be one of {', '.join(rules.object_types)}")
    fields = workspace.listed("custom_fields")
    matching = [field for field in fields if field.fields["object_type"] == wanted]
    return {"data": [workspace.payload(field) for field in matching]}


def _macros(workspace: Workspace, request: Request, rules: Rules, key: str) -> Body:
    group = request.query.get("macro_group_id")
    macros = workspace.listed("macros")
    chosen = [one for one in macros if not group or one.fields["macro_group_id"] == group]
    return {"data": [workspace.payload(macro) for macro in chosen]}


def _responses(workspace: Workspace, request: Request, rules: Rules, key: str) -> Body:
    survey, edge = _parent(workspace, "survey_responses", key), 0 if rules.inclusive else 1
    after, before = (_query_time(request, f"submitted_{end}") for end in ("after", "before"))
    people = {name: request.query.get(name) for name in ("account_id", "contact_id")}
    limit = limit_of(request, default=100, highest=999)
    found = (
        response
        for response in workspace.newest("survey_responses", survey, cursor_of(request))
        if (after is None or response.created >= after + edge)
        and (before is None or response.created <= before - edge)
        and all(not one or response.fields[name] == one for name, one in people.items())
    )
    return page(found, limit, of_record, workspace.payload)


def _issues(workspace: Workspace, request: Request, rules: Rules, key: str) -> Body:
    start, end = _query_time(request, "start_time"), _query_time(request, "end_time")
    if start is None or end is None:
        raise Refusal(400, "start_time and end_time are required")
    if not 0 <= end - start <= millis(rules.max_list_days * DAY):
        raise Refusal(400, f"the time range must be at most {rules.max_list_days:g} days")
    limit = limit_of(request, default=20_000, lowest=0, highest=20_000)
    edge = 0 if rules.inclusive else 1
    newest = (end + 1 - edge, "")
    cursor = cursor_of(request)
    found = _until(workspace.newest_issues(min(cursor, newest) if cursor else newest), start + edge)
    return page(found, limit, of_issue, workspace.issue_payload)


def _until(issues: Iterator[Issue], created: int) -> Iterator[Issue]:
    for issue in issues:
        if issue.created < created:
            return
        yield issue


def _issue(workspace: Workspace, request: Request, rules: Rules, key: str) -> Body:
    return {"data": workspace.issue_payload(_found(workspace, key))}


def _messages(workspace: Workspace, request: Request, rules: Rules, key: str) -> Body:
    issue = _found(workspace, key)

    def payload(message: Message) -> Body:
        return message_payload(message, issue, workspace.book)

    cursor = cursor_of(request)
    if cursor is None and "limit" not in request.query:
        return {"data": [payload(message) for message in issue.messages] or None}
    limit = limit_of(request, default=100, highest=1000)
    left = (m for m in issue.messages if cursor is None or _of_message(m) > cursor)
    return page(left, limit, _of_message, payload)


def _threads(workspace: Workspace, request: Request, rules: Rules, key: str) -> Body:
    return {"data": workspace.threads(_found(workspace, key).id) or None}


def _found(workspace: Workspace, key: str) -> Issue:
    issue = workspace.find_issue(key)
    if issue is None:
        raise _missing("issues")
    return issue


def _missing(stream: str) -> Refusal:
    return Refusal(404, f"no such record in {stream}", "not_found")


def _query_time(request: Request, name: str) -> int | None:
    given = request.query.get(name)
    try:
        return read(given) if given else None
    except ValueError:
        raise Refusal(400, f"{name} is not an RFC 3339 time") from None


def _of_message(message: Message) -> Position:
    return message.at, message.id


ROUTES = (
    Route("GET", "/me", _me),
    Route("GET", "/accounts", _pages_of("accounts", limit_required=True)),
    Route("GET", "/accounts/{id}", _one_of("accounts")),
    Route("GET", "/contacts", _pages_of("contacts")),
    Route("GET", "/contacts/{id}", _one_of("contacts")),
    Route("GET", "/users", _all_of("users")),
    Route("GET", "/users/{id}", _one_of("users")),
    Route("GET", "/teams", _all_of("teams")),
    Route("GET", "/tags", _all_of("tags")),
    Route("GET", "/custom-fields", _custom_fields),
    Route("GET", "/knowledge-bases", _all_of("knowledge_bases")),
    Route("GET", "/knowledge-bases/{id}", _one_of("knowledge_bases")),
    Route("GET", "/knowledge-bases/{id}/articles", _pages_of("articles"), allowance_before=20),
    Route(
        "GET", "/knowledge-bases/{id}/collections", _belonging("collections"), allowance_before=20
    ),
    Route("GET", "/ticket-forms", _all_of("ticket_forms")),
    Route("GET", "/user-roles", _all_of("user_roles")),
    Route("GET", "/activity-types", _all_of("activity_types"), allowance_before=10),
    Route("GET", "/issue-statuses", _all_of("issue_statuses"), allowance_before=10),
    Route("GET", "/issues", _issues, 30, 10),
    Route("POST", "/issues/search", search_issues, 120, 20),
    Route("GET", "/issues/{id}", _issue),
    Route("GET", "/issues/{id}/messages", _messages, 120, 20),
    Route("GET", "/issues/{id}/threads", _threads, 120, 20),
    Route("GET", "/issues/{id}/followers", _belonging("issue_followers")),
    Route("GET", "/issues/{id}/voice-calls", _belonging("issue_voice_calls"), 300, 20),
    Route("GET", "/accounts/{id}/relationships", _belonging("account_relationships")),
    Route("POST", "/call-recordings/search", search_of("call_recordings", highest=1000), 120, 20),
    Route("GET", "/surveys", _all_of("surveys")),
    Route("GET", "/surveys/{id}", _one_of("surveys")),
    Route("GET", "/surveys/{id}/responses", _responses),
    Route("GET", "/macros", _macros),
    Route("GET", "/macro-groups", _all_of("macro_groups")),
    Route("GET", "/training-data", _all_of("training_data")),
    Route("POST", "/projects/search", search_of("projects"), 120, 20),
    Route("POST", "/milestones/search", search_of("milestones"), 120, 20),
    Route("POST", "/tasks/search", search_of("tasks"), 120, 20),
    Route("GET", "/tasks", _pages_of("tasks")),
    Route("GET", "/tasks/{id}", _one_of("tasks")),
    Route("GET", "/tasks/{id}/comments", _belonging("task_comments")),
    Route("POST", "/feature-requests/search", search_feature_requests, 120, 20),
    Route("GET", "/audit-logs", _pages_of("audit_logs")),
    Route("POST", "/audit-logs/search", search_of("audit_logs"), 120, 10),
    Route("GET", "/custom-objects/{type}", _pages_of("custom_objects", default=25, highest=100)),
)
