"""The flat streams of a workspace: accounts, people, tags, projects and the rest."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, TypeVar, cast

from .defaults import DEFAULTS, new_fields
from .further_defaults import PARENTS
from .payloads import Book, Person, fresh, record_payload
from .records import Fields, Record, merged_custom_fields
from .timeline import Position, Timeline
from .times import millis, written

_Method = TypeVar("_Method", bound=Callable[..., Any])

_PEOPLE = {"contacts": "contact", "users": "user"}
_NEWEST_FIRST = (
    "accounts", "contacts", "call_recordings", "survey_responses", "projects", "milestones",
    "tasks", "feature_requests", "audit_logs", "custom_objects",
)  # fmt: skip
_ADDED_BY = {
    "articles": "add_article",
    "collections": "add_collection",
    "survey_responses": "add_survey_response",
    "task_comments": "add_task_comment",
    "issue_followers": "add_follower",
    "issue_voice_calls": "add_voice_call",
    "account_relationships": "add_relationship",
    "custom_objects": "add_custom_object",
}
_TIME_NAMES = ("_at", "_time", "_date")


def locked(method: _Method) -> _Method:
    """Let only one thread at a time into a workspace: tests change it while it is served."""

    @wraps(method)
    def alone(self: Directory, *args: Any, **kwargs: Any) -> Any:
        with self.lock:
            return method(self, *args, **kwargs)

    return cast(_Method, alone)


def readable(fields: Fields) -> Fields:
    """Fields of a payload in which times were given as epoch seconds."""
    return {name: _readable(name, value) for name, value in fields.items()}


def _readable(name: str, value: Any) -> Any:
    is_time = name.endswith(_TIME_NAMES) and isinstance(value, (int, float))
    return written(millis(value)) if is_time else value


class Directory:
    """Records by stream and key, what they say about each other, and the clock."""

    def __init__(self, clock: Callable[[], float] = time.time, *, seed: int = 0) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.book = Book()
        self._random = random.Random(seed)
        self._records: dict[str, dict[str, Record]] = {stream: {} for stream in DEFAULTS}
        self._order: dict[str, Timeline] = {stream: Timeline() for stream in DEFAULTS}
        self._added: dict[str, int] = dict.fromkeys(DEFAULTS, 0)
        self._removed: dict[tuple[str, str], Record] = {}
        self._families: dict[tuple[str, str], dict[str, Record]] = {}  # by stream and parent

    def new_id(self) -> str:
        """The next id: a UUID, but the same one for the same seed."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def moment(self, at: float | None) -> int:
        """The milliseconds of a time given in seconds, or of now."""
        return millis(self.clock() if at is None else at)

    def add(self, stream: str, *, at: float | None = None, **fields: Any) -> str:
        """Add a record; what is not given is made up. Answers its key."""
        if stream in PARENTS:
            raise ValueError(f"{stream} belong to {PARENTS[stream]}: use {_ADDED_BY[stream]}")
        return self._add(stream, at, fields).key

    def change(self, stream: str, key: str, *, at: float | None = None, **fields: Any) -> None:
        """Change fields of a record, and with them its updated_at where it has one."""
        self._change(self._record(stream, key), at, fields)

    @locked
    def remove(self, stream: str, key: str) -> None:
        """Remove a record without a trace; others may go on naming it by its id. What belongs to
        it is out of reach until it is restored."""
        record = self._removed[stream, key] = self._records[stream].pop(key)
        self._order[stream].drop(key)
        self._families.get((stream, record.parent), {}).pop(key, None)
        if stream == "tasks":
            self.book.place_task(key, "")

    @locked
    def restore(self, stream: str, key: str) -> None:
        """Bring back a record that was removed, as it was."""
        self._file(self._removed.pop((stream, key)))

    @locked
    def deactivate_user(self, user: str) -> None:
        """Leave a user out of the usual list; issues and messages still name them."""
        self._record("users", user).deactivated = True

    @locked
    def reactivate_user(self, user: str) -> None:
        """Have a user in the usual list again."""
        self._record("users", user).deactivated = False

    @locked
    def records(self, stream: str) -> list[Fields]:
        """The records of a stream, as the API gives them now."""
        return [self.payload(record) for record in self.listed(stream)]

    def payload(self, record: Record) -> Fields:
        """A record as the API gives it now."""
        return record_payload(record, self.book)

    def listed(self, stream: str, *, deactivated: bool = False) -> list[Record]:
        """The records of a stream in the order in which the API lists them."""
        found = self.newest(stream) if stream in _NEWEST_FIRST else self._records[stream].values()
        there = [record for record in found if deactivated or not record.deactivated]
        if stream not in PARENTS:
            return there
        return [one for one in there if self.resolved(PARENTS[stream], one.parent) is not None]

    def children(self, stream: str, parent: str) -> list[Record]:
        """The records of a stream that belong to one of another, in the order of the API's list."""
        newest_first = stream in (*_NEWEST_FIRST, "articles")
        family = self._families.get((stream, parent), {}).values()
        return sorted(family, key=lambda one: (one.created, one.key), reverse=newest_first)

    @locked
    def belonging(self, stream: str, parent: str) -> list[Fields]:
        """The same records as the API gives them now."""
        return [self.payload(record) for record in self.children(stream, parent)]

    def newest(
        self, stream: str, parent: str = "", before: Position | None = None
    ) -> Iterator[Record]:
        """The records of a stream from the newest back, from the first one older than `before`."""
        records = self._records[stream]
        for _, key in self._order[stream].newest(before):
            if not parent or records[key].parent == parent:
                yield records[key]

    def resolved(self, stream: str, key: str) -> str | None:
        """The key of the record that a path may mean by `key`, or None when there is none."""
        return key if key in self._records[stream] else None

    def find(self, stream: str, key: str) -> Record | None:
        """A record by its key."""
        return self._records[stream].get(key)

    @locked
    def _add(self, stream: str, at: float | None, given: Fields, parent: str = "") -> Record:
        if stream not in DEFAULTS:
            raise ValueError(f"unknown stream {stream!r}: one of {', '.join(DEFAULTS)}")
        given = fresh(given)
        key = given.pop("id", None) or self.new_id()
        acted = given.pop("action_happened_at", None)
        fields = readable(new_fields(stream, self._added[stream], key, given))
        if stream == "issue_statuses":
            key = fields["slug"]
        elif stream == "custom_fields" and key in self._records[stream]:
            # Their ids are unique within one object type only.
            fields["id"], key = key, f"{fields['object_type']}:{key}"
        if key in self._records[stream]:
            raise ValueError(f"{stream} already has {key!r}")
        self._added[stream] += 1
        ms = self.moment(at)
        record = Record(
            key, stream, ms, ms if acted is None else self.moment(acted), fields, parent
        )
        record.updates.append(record.updated)
        self._file(record)
        return record

    def _file(self, record: Record) -> None:
        self._records[record.stream][record.key] = record
        self._order[record.stream].put(record.key, record.created)
        if record.parent:
            self._families.setdefault((record.stream, record.parent), {})[record.key] = record
        self._note(record)

    @locked
    def _change(self, record: Record, at: float | None, given: Fields) -> None:
        given = readable(fresh(given))
        if "custom_fields" in given:
            current = record.fields["custom_fields"]
            given["custom_fields"] = merged_custom_fields(current, given["custom_fields"])
        record.fields.update(given)
        record.touch(self.moment(at))
        self._note(record)

    def _note(self, record: Record) -> None:
        """Keep what other records say about this one."""
        fields, key = record.fields, record.key
        if record.stream in _PEOPLE:
            kind = _PEOPLE[record.stream]
            about = (fields["name"], fields["email"], fields["avatar_url"])
            self.book.people[key] = Person(kind, key, *about)
        elif record.stream == "accounts":
            self.book.external_ids[key] = fields["external_ids"]
        elif record.stream == "user_roles":
            self.book.roles[key] = {"id": key, "name": fields["name"], "slug": fields["slug"]}
        elif record.stream == "tasks":
            self.book.place_task(key, fields["parent_task_id"])

    def _record(self, stream: str, key: str) -> Record:
        return self._records[stream][key]
