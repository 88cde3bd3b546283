"""The searches of the API: issues and other records by filters, feature requests by text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from .answers import Body, Refusal, Request, cursor_of, limit_of, page
from .filterable import CUSTOM_FIELDS_OF
from .filters import FilterRules, Matches, matcher, updated_span
from .records import Issue, Record
from .timeline import Position
from .times import DAY, millis
from .workspace import Workspace

OBJECT_TYPES = (
    "account", "issue", "contact", "task", "project", "call_recording", "meeting", "opportunity",
)  # fmt: skip
"""What custom fields can be of."""

_FAR = 1 << 62


@dataclass(frozen=True)
class Rules:
    """What can differ from one workspace, or one year of the API, to the next."""

    max_window_days: float | None = None  # of a search by updated_at
    max_list_days: float = 30.0  # of GET /issues
    search_lag: float = 0.0
    inclusive: bool = False
    object_types: tuple[str, ...] = OBJECT_TYPES


Answer = Callable[[Workspace, Request, Rules, str], Body]
"""(workspace, request, rules, key in the path) -> the body, without its request_id."""


def search_issues(workspace: Workspace, request: Request, rules: Rules, key: str) -> Body:
    """Issues by filter and text, the newest first."""
    limit = _limit(request, 999)
    cursor, horizon = cursor_of(request), _horizon(workspace, rules)
    matches, span = _compiled(workspace, "issues", request, rules, horizon)
    text = str(request.asked.get("search_text") or "").lower()
    found = (
        issue
        for issue in workspace.newest_issues(cursor, span)
        if issue.updated_as_of(horizon) is not None
        and matches(issue)
        and (not text or text in f"{issue.title} {issue.body_html}".lower())
    )
    return page(found, limit, of_issue, workspace.issue_payload)


def search_of(stream: str, *, highest: int = 999) -> Answer:
    """The search of a flat stream: by filter, the newest first."""

    def answer(workspace: Workspace, request: Request, rules: Rules, key: str) -> Body:
        limit = _limit(request, highest)
        cursor, horizon = cursor_of(request), _horizon(workspace, rules)
        matches, _ = _compiled(workspace, stream, request, rules, horizon)
        found = (
            record
            for record in workspace.newest(stream, before=cursor)
            if record.updated_as_of(horizon) is not None and matches(record)
        )
        return page(found, limit, of_record, workspace.payload)

    return answer


def search_feature_requests(workspace: Workspace, request: Request, rules: Rules, key: str) -> Body:
    """Feature requests by text, status and account: the newest ones up to the limit, and not a
    word about those that it cuts off."""
    limit, horizon = _limit(request, 1000), _horizon(workspace, rules)
    text = str(request.asked.get("query") or "").lower()
    statuses, accounts = _listed(request, "request_statuses"), _listed(request, "account_ids")
    found = (
        record
        for record in workspace.newest("feature_requests")
        if record.updated_as_of(horizon) is not None
        and text in f"{record.fields['title']} {record.fields['description']}".lower()
        and (not statuses or record.fields["request_status"] in statuses)
        and (not accounts or accounts & set(record.fields["account_ids"]))
    )
    return {"data": [workspace.payload(record) for record in islice(found, limit)]}


def of_record(record: Record) -> Position:
    """Where a record stands in a list."""
    return record.created, record.key


def of_issue(issue: Issue) -> Position:
    """Where an issue stands in a list."""
    return issue.created, issue.id


def _limit(request: Request, highest: int) -> int:
    if not request.readable:
        raise Refusal(400, "the body is not a JSON object")
    return limit_of(request, default=100, highest=highest)


def _horizon(workspace: Workspace, rules: Rules) -> int | None:
    return millis(workspace.clock() - rules.search_lag) if rules.search_lag else None


def _compiled(
    workspace: Workspace, stream: str, request: Request, rules: Rules, horizon: int | None
) -> tuple[Matches, tuple[int, int] | None]:
    """The filter as a function, and the span of updated_at that the index can answer for."""
    wanted = request.asked.get("filter")
    if wanted is None:
        return _nothing_asked, None
    slugs = _custom_fields_of(workspace, stream)
    matches = matcher(wanted, FilterRules(stream, slugs, rules.inclusive, horizon))
    start, end = updated_span(wanted)
    if start is None and end is None:
        return matches, None
    width = (millis(workspace.clock()) if end is None else end) - (start or 0)
    if rules.max_window_days is not None and width > millis(rules.max_window_days * DAY):
        days = f"{rules.max_window_days:g}"
        raise Refusal(400, f"the updated_at time range must be at most {days} days")
    lagging = horizon is not None
    return matches, None if lagging else (start or 0, _FAR if end is None else end)


def _custom_fields_of(workspace: Workspace, stream: str) -> frozenset[str]:
    kind = CUSTOM_FIELDS_OF.get(stream)
    fields = workspace.listed("custom_fields") if kind else []
    slugs = {one.fields["slug"] for one in fields if one.fields["object_type"] == kind}
    return frozenset(slugs | ({"priority"} if kind == "issue" else set()))


def _nothing_asked(item: Any) -> bool:
    return True


def _listed(request: Request, name: str) -> set[str]:
    given = request.asked.get(name) or []
    if not isinstance(given, Iterable) or isinstance(given, str):
        raise Refusal(400, f"{name} must be a list")
    return {str(one) for one in given}
