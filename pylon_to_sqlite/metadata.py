"""Datasette's metadata, from streams, schema and queries. Pure."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from importlib.resources import files
from typing import Any, NamedTuple
from urllib.parse import urlencode

from pylon_to_sqlite.full_text import index_of, view_of
from pylon_to_sqlite.schema import BOOKKEEPING, FULL_TEXT, MIGRATED, TABLES, Table
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.views import VIEWS, View, taken

# The names that the README and other people's recipes give the file.
USUAL_NAMES = ("pylon", "db")

FACETS: dict[str, list[str]] = {
    "accounts": ["type", "owner_id"],
    "attachments": ["is_private", "content_type"],
    "audit_logs": ["action", "source"],
    "call_recordings": ["source", "account_id"],
    "contacts": ["portal_role"],
    "custom_objects": ["type"],
    "custom_fields": ["object_type", "type"],
    "feature_requests": ["request_status"],
    "issue_followers": ["type"],
    "issues": ["type", "state", "source", "team_id", "assignee_id"],
    "issue_messages": ["is_private", "source"],
    "issue_tags": ["tag"],
    "issue_custom_fields": ["slug"],
    "issue_csat_responses": ["score"],
    "knowledge_base_articles": ["is_published"],
    "macros": ["macro_group_id", "text_type"],
    "projects": ["account_id", "owner_id"],
    "survey_answers": ["question_type"],
    "survey_responses": ["survey_id"],
    "tags": ["object_type"],
    "task_comments": ["is_internal"],
    "tasks": ["status", "project_id", "assignee_user_id"],
    "users": ["role_id"],
    "calls_overview": ["account", "source"],
    "conversations": ["state", "team"],
    "issue_feedback": ["type", "state", "team"],
    "issue_overview": ["type", "status", "team", "assignee"],
    "survey_answers_overview": ["survey", "prompt"],
    "tickets": ["state", "team"],
}
SORT_DESCENDING: dict[str, str] = {
    "accounts": "latest_customer_activity_time",
    "audit_logs": "action_happened_at",
    "call_recordings": "start_time",
    "feature_requests": "updated_at",
    "issues": "created_at",
    "issue_messages": "timestamp",
    "knowledge_base_articles": "last_edited_at",
    "survey_responses": "submitted_at",
    "tasks": "updated_at",
    "calls_overview": "start_time",
    "conversations": "created_at",
    "issue_feedback": "created_at",
    "issue_overview": "created_at",
    "private_notes": "timestamp",
    "public_messages": "timestamp",
    "survey_answers_overview": "submitted_at",
    "tickets": "created_at",
}


# The views that full-text indexes read.
LIVE = tuple(view_of(name) for name in FULL_TEXT)
# What a query may read of a mirror, and where in it the names of tables stand.
_READABLE = frozenset((*TABLES, *BOOKKEEPING, *map(index_of, FULL_TEXT)))
_NAMED = re.compile(r"\b(?:FROM|JOIN|IN) (\w+(?: AS \w+)?(?:, \w+(?: AS \w+)?)*)")


class Query(NamedTuple):
    """A canned query: the lines of its first comment are its title, its description, and its chart
    where it opens with one: the mark, the columns of both axes with their types, and those that
    tell colours and sizes."""

    name: str
    title: str
    description: str
    sql: str
    chart: str = ""

    @property
    def reads(self) -> frozenset[str]:
        """The tables that have to be there for it."""
        words = (re.findall(r"\w+", named) for named in _NAMED.findall(self.sql))
        return _READABLE & {word for some in words for word in some}

    @property
    def fragment(self) -> str:
        """The end of its address, by which datasette-vega draws the chart."""
        if not self.chart:
            return ""
        mark, x, y, *more = self.chart.split()
        said = {"mark": mark}
        for axis, column in (("x", x), ("y", y)):
            said[f"{axis}_column"], _, said[f"{axis}_type"] = column.partition(":")
        said |= {
            f"{what}_column": column
            for what, column in zip(("color", "size"), more, strict=False)
            if column != "-"
        }
        return urlencode({f"g.{name}": value for name, value in said.items()})


def queries() -> Iterator[Query]:
    """The canned queries, by name."""
    folder = files("pylon_to_sqlite") / "queries"
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.name.endswith(".sql"):
            yield _query(path.name.removesuffix(".sql"), path.read_text(encoding="utf-8"))


def withheld(schema: Iterable[tuple[str, str]]) -> set[str]:
    """The names of views and queries that are not to be told of, in a file of this SCHEMA:
    something of the user's own bears their name, which Datasette would hide behind a query, or the
    version that made the file had no such tables."""
    there = [*schema]
    names = {name.lower() for name, _ in there}
    return taken(there) | {
        query.name for query in queries() if query.name in names or not query.reads <= names
    }


def metadata_for(names: Sequence[str], without: Collection[str] = ()) -> dict[str, Any]:
    """Metadata for database files of these names, without their `.db`; of the views and queries
    `without` which they are, it tells nothing."""
    database = {
        "description": "A mirror of a Pylon workspace, made by pylon-to-sqlite.",
        "tables": {
            **{table.name: _table(table) for table in TABLES.values()},
            **{view.name: _view(view) for view in VIEWS.values() if view.name not in without},
            # Datasette hides full-text indexes itself, but not the views that they read.
            **{name: {"hidden": True} for name in (*BOOKKEEPING, MIGRATED, *LIVE)},
        },
        "queries": {query.name: _told(query) for query in queries() if query.name not in without},
    }
    return {
        "title": "Pylon",
        "description": "Customer support: issues, messages, accounts and what belongs to them.",
        "source": "Pylon",
        "source_url": "https://usepylon.com",
        "databases": dict.fromkeys(names, database),
    }


def _table(table: Table) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": table.description,
        "columns": {column.name: column.description for column in table.columns},
    }
    if isinstance(table.source, Stream):
        # Without it Datasette 1.0 shows ids where 0.65 shows names.
        described["label_column"] = table.source.label
    if table.name in FULL_TEXT:
        described["fts_table"] = index_of(table.name)
    if table.name in FACETS:
        described["facets"] = FACETS[table.name]
    if table.name in SORT_DESCENDING:
        described["sort_desc"] = SORT_DESCENDING[table.name]
    return described


def _view(view: View) -> dict[str, Any]:
    described: dict[str, Any] = {"description": view.description, "columns": dict(view.columns)}
    if view.name in FACETS:
        described["facets"] = FACETS[view.name]
    described["sort_desc"] = SORT_DESCENDING[view.name]
    return described


def _told(query: Query) -> dict[str, Any]:
    told: dict[str, Any] = {
        "title": query.title,
        "description": query.description,
        "sql": query.sql,
        # The answer comes first; Datasette has a link that shows the SQL.
        "hide_sql": True,
    }
    if query.chart:
        told["fragment"] = query.fragment
    return told


def _query(name: str, text: str) -> Query:
    lines = text.splitlines()
    comment = []
    while lines and lines[0].startswith("--"):
        comment.append(lines.pop(0).removeprefix("--").strip())
    title, *description = comment
    chart = ""
    if description and description[-1].startswith("chart: "):
        chart = description.pop().removeprefix("chart: ")
    return Query(name, title, " ".join(description), "\n".join(lines).strip(), chart)
