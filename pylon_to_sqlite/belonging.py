"""What belongs to a record, and goes with it when it is forgotten: data, derived from the tables.

Whatever else names it is emptied of the reference, and stays.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pylon_to_sqlite.schema import TABLES, Table
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.streams import BY_NAME


class Place(NamedTuple):
    """A column that names records of another stream."""

    table: str
    column: str


# Beside what is a child of it (by its owner), the records that are somebody's: what they wrote and
# asked, and what was written down about them.
_TAKEN: Mapping[str, tuple[Place, ...]] = {
    "accounts": (
        Place("contacts", "account_id"),
        Place("issues", "account_id"),
        Place("projects", "account_id"),
        Place("milestones", "account_id"),
        Place("tasks", "account_id"),
        Place("survey_responses", "account_id"),
        Place("call_recordings", "account_id"),
        Place("account_relationships", "parent_account_id"),
        Place("account_relationships", "related_object_id"),
        Place("audit_logs", "object_id"),
    ),
    "contacts": (
        Place("issues", "requester_id"),
        Place("issue_messages", "author_contact_id"),
        Place("survey_responses", "contact_id"),
        Place("task_comments", "author_contact_id"),
        Place("audit_logs", "actor_contact_id"),
        Place("audit_logs", "object_id"),
    ),
    "issues": (Place("audit_logs", "object_id"),),
    "projects": (Place("milestones", "project_id"), Place("tasks", "project_id")),
    "milestones": (Place("tasks", "milestone_id"),),
    "tasks": (Place("tasks", "parent_task_id"),),
}


def has_id(stream: Stream) -> bool:
    """Whether a record is told from all others by an id of its own."""
    return stream.key == ("id",)


def _places() -> Iterator[tuple[str, Place, Table]]:
    for table in TABLES.values():
        for column in table.columns:
            if column.refers:
                yield column.refers, Place(table.name, column.name), table
    for target, places in _TAKEN.items():
        for place in places:
            table = TABLES[place.table]
            if all(one.name != place.column or not one.refers for one in table.columns):
                yield target, place, table


def _goes(target: str, place: Place, table: Table) -> bool:
    source = table.source
    is_child = isinstance(source, Stream) and source.owner == place.column
    return is_child or place in _TAKEN.get(target, ())


def _sorted_out() -> tuple[dict[str, list[Place]], dict[str, list[Place]], dict[str, list[Place]]]:
    records: dict[str, list[Place]] = {name: [] for name in BY_NAME}
    rows: dict[str, list[Place]] = {name: [] for name in BY_NAME}
    others: dict[str, list[Place]] = {name: [] for name in BY_NAME}
    for target, place, table in _places():
        if not (isinstance(table.source, Stream) and has_id(table.source)):
            rows[target].append(place)
        elif _goes(target, place, table):
            records[target].append(place)
        else:
            others[target].append(place)
    return records, rows, others


RECORDS, ROWS, OTHERS = _sorted_out()
"""By stream, what names its records: records that go with them, rows of lists and what is derived,
which go too, and records that stay without the reference."""


def _by_table(*kinds: Mapping[str, list[Place]]) -> Mapping[str, tuple[tuple[str, str], ...]]:
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in TABLES}
    for places in kinds:
        for target, named in places.items():
            for place in named:
                found[place.table].append((place.column, target))
    return {name: tuple(columns) for name, columns in found.items()}


GOING = _by_table(RECORDS, ROWS)
"""By table, the columns without whose record a row does not stay, and the streams they name."""
STAYING = _by_table(OTHERS)
"""By table, the columns that are emptied, and the streams they name."""
