"""What the sandbox stores: flat records, and issues with their messages and threads."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Fields = dict[str, Any]
CustomFields = dict[str, "str | list[str] | None"]


@dataclass(slots=True, eq=False)
class Record:
    """A record of a flat stream. References are ids; `parent` is what it belongs to, as an article
    does to its knowledge base. `updated` is, of an entry of the audit log, the time of the action.
    """

    key: str
    stream: str
    created: int
    updated: int
    fields: Fields
    parent: str = ""
    deactivated: bool = False
    # Every value updated_at has had, as for issues.
    updates: array[int] = field(default_factory=lambda: array("q"))

    @property
    def custom_fields(self) -> CustomFields:
        """Its custom fields, of which most streams have none."""
        held: CustomFields = self.fields.get("custom_fields", {})
        return held

    def touch(self, ms: int) -> None:
        """Move updated_at, which never goes back."""
        self.updated = max(self.updated, ms)
        self.updates.append(self.updated)

    def updated_as_of(self, horizon_ms: int | None) -> int | None:
        """updated_at as it stood at the horizon; None when the record did not exist yet."""
        if horizon_ms is not None and self.created > horizon_ms:
            return None
        return _as_of(self.updated, self.updates, horizon_ms)


@dataclass(slots=True, eq=False)
class Message:
    """A message or internal note. `author` is the id of a user or contact, or None for a bot."""

    id: str
    issue: str
    at: int
    html: str
    author: str | None
    author_name: str
    source: str
    private: bool = False
    thread: str = ""
    file_urls: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Thread:
    """An internal thread. The channel is set only when a chat platform carries it."""

    id: str
    fields: Fields


@dataclass(slots=True, eq=False)
class Issue:
    """An issue. Times are milliseconds, None when unset; `fields` overrides its payload."""

    id: str
    number: int
    created: int
    updated: int
    title: str
    body_html: str
    type: str
    source: str
    account: str | None
    requester: str | None
    assignee: str | None = None
    team: str | None = None
    tags: list[str] = field(default_factory=list)
    custom_fields: CustomFields = field(default_factory=dict)
    state: str = "new"
    state_since: int = 0
    seconds_in: dict[str, int] = field(default_factory=dict)
    business_seconds_in: dict[str, int] = field(default_factory=dict)
    latest_message: int | None = None
    first_response: int | None = None
    resolution: int | None = None
    touches: int = 0
    # user -> active seconds, and those of them in business hours
    active: dict[str, tuple[int, int]] = field(default_factory=dict)
    csat: list[Fields] = field(default_factory=list)
    parent: str | None = None
    children: list[str] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)
    fields: Fields = field(default_factory=dict)
    # Every value updated_at has had: a search that lags behind still answers by an older one.
    updates: array[int] = field(default_factory=lambda: array("q"))

    def updated_as_of(self, horizon_ms: int | None) -> int | None:
        """updated_at as it stood at the horizon; None when the issue did not exist yet."""
        return _as_of(self.updated, self.updates, horizon_ms)


def _as_of(updated: int, updates: array[int], horizon_ms: int | None) -> int | None:
    if horizon_ms is None or updated <= horizon_ms:
        return updated
    return max((ms for ms in updates if ms <= horizon_ms), default=None)


def merged_custom_fields(
    current: CustomFields, changes: Mapping[str, str | list[str] | None]
) -> CustomFields:
    """Custom fields after some were set; None unsets one, which stays known by its slug."""
    return {**current, **{slug: _own(value) for slug, value in changes.items()}}


def _own(value: str | list[str] | None) -> str | list[str] | None:
    return value if value is None or isinstance(value, str) else list(value)
