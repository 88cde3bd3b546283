"""The endpoints of the API as a table: path, allowance, and how each is answered."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .answers import Body, Refusal, Request, cursor_of, limit_of, page
from .filters import FilterRules, Matches, matcher, updated_span
from .payloads import message_payload
from .records import Issue, Message, Record
from .timeline import Position
from .times import DAY, millis, read
from .workspace import Workspace

_FAR = 1 << 62
_OBJECT_TYPES = ("account", "issue", "contact", "task", "project", "meeting", "opportunity")


@dataclass(frozen=True)
class Rules:
    """What can differ from one workspace, or one year of the API, to the next."""

    max_window_days: float | None = None  # of a search by updated_at
    max_list_days: float = 30.0  # of GET /issues
    search_lag: float = 0.0
    inclusive: bool = False
    object_types: tuple[str, ...] = _OBJECT_TYPES


Answer = Callable[[Workspace, Request, Rules, str], Body]
"""(workspace, request, rules, id in the path) -> the body, without its request_id."""


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
        pattern = re.compile(self.path.replace("{id}", "(?P<id>[^/]+)"))
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


def _pages_of(stream: str, *, parent: str = "", limit_required: bool = False) -> Answer:
    def answer(workspace: Workspace, request: Request, rules: Rules, key: str) -> Body:
        if limit_required and not request.query.get("limit"):
            raise Refusal(400, "limit is required")
        if parent and workspace.find(parent, key) is None:
            raise _missing(parent)
        limit = limit_of(request, default=100, highest=999)
        found = workspace.newest(stream, key, cursor_of(request))
        return page(found, limit, _of_record, workspace.payload)

    return answer


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


def _issues(workspace: Workspace, request: Request, rules: Rules, key: str) -> Body:
    start, end = _query_time(request, "start_time"), _query_time(request, "end_time")
    if not 0 <= end - start <= millis(rules.max_list_days * DAY):
        raise Refusal(400, f"the time range must be at most {rules.max_list_days:g} days")
    limit = limit_of(request, default=20_000, lowest=0, highest=20_000)
    edge = 0 if rules.inclusive else 1
    newest = (end + 1 - edge, "")
    cursor = cursor_of(request)
    found = _until(workspace.newest_issues(min(cursor, newest) if cursor else newest), start + edge)
    return page(found, limit, _of_issue, workspace.issue_payload)


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


def _search(workspace: Workspace, request: Request, rules: Rules, key: str) -> Body:
    if not request.readable:
        raise Refusal(400, "the body is not a JSON object")
    limit = limit_of(request, default=100, highest=999)
    cursor, wanted = cursor_of(request), request.asked.get("filter")
    horizon = millis(workspace.clock() - rules.search_lag) if rules.search_lag else None
    matches: Matches = _nothing_asked
    span: tuple[int, int] | None = None
    if wanted is not None:
        matches, span = _compiled(workspace, wanted, rules, horizon)
    text = str(request.asked.get("search_text") or "").lower()
    found = (
        issue
        for issue in workspace.newest_issues(cursor, span)
        if issue.updated_as_of(horizon) is not None
        and matches(issue)
        and (not text or text in f"{issue.title} {issue.body_html}".lower())
    )
    return page(found, limit, _of_issue, workspace.issue_payload)


def _compiled(
    workspace: Workspace, wanted: Any, rules: Rules, horizon: int | None
) -> tuple[Matches, tuple[int, int] | None]:
    """The filter as a function, and the span of updated_at that the index can answer for."""
    fields = workspace.listed("custom_fields")
    slugs = {f.fields["slug"] for f in fields if f.fields["object_type"] == "issue"}
    known = FilterRules(frozenset(slugs | {"priority"}), rules.inclusive, horizon)
    matches = matcher(wanted, known)
    start, end = updated_span(wanted)
    if start is None and end is None:
        return matches, None
    width = (millis(workspace.clock()) if end is None else end) - (start or 0)
    if rules.max_window_days is not None and width > millis(rules.max_window_days * DAY):
        days = f"{rules.max_window_days:g}"
        raise Refusal(400, f"the updated_at time range must be at most {days} days")
    lagging = horizon is not None
    return matches, None if lagging else (start or 0, _FAR if end is None else end)


def _nothing_asked(issue: Issue) -> bool:
    return True


def _found(workspace: Workspace, key: str) -> Issue:
    issue = workspace.find_issue(key)
    if issue is None:
        raise _missing("issues")
    return issue


def _missing(stream: str) -> Refusal:
    return Refusal(404, f"no such record in {stream}", "not_found")


def _query_time(request: Request, name: str) -> int:
    try:
        return read(request.query[name])
    except KeyError:
        raise Refusal(400, f"{name} is required") from None
    except ValueError:
        raise Refusal(400, f"{name} is not an RFC 3339 time") from None


def _of_record(record: Record) -> Position:
    return record.created, record.key


def _of_issue(issue: Issue) -> Position:
    return issue.created, issue.id


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
    Route(
        "GET",
        "/knowledge-bases/{id}/articles",
        _pages_of("articles", parent="knowledge_bases"),
        allowance_before=20,
    ),
    Route("GET", "/ticket-forms", _all_of("ticket_forms")),
    Route("GET", "/user-roles", _all_of("user_roles")),
    Route("GET", "/activity-types", _all_of("activity_types"), allowance_before=10),
    Route("GET", "/issue-statuses", _all_of("issue_statuses"), allowance_before=10),
    Route("GET", "/issues", _issues, 30, 10),
    Route("POST", "/issues/search", _search, 120, 20),
    Route("GET", "/issues/{id}", _issue),
    Route("GET", "/issues/{id}/messages", _messages, 120, 20),
    Route("GET", "/issues/{id}/threads", _threads, 120, 20),
)
