"""The tables of the file, derived from the streams: data only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pylon_to_sqlite.stream import Column, Kind, Link, Stream
from pylon_to_sqlite.streams import STREAMS

# The last of the steps in migrations.py.
VERSION = 5

SQL_TYPES: Mapping[Kind, str] = {
    "text": "TEXT",
    "html": "TEXT",
    "plain": "TEXT",
    "time": "TEXT",
    "array": "TEXT",
    "address": "TEXT",
    "addresses": "TEXT",
    "object": "TEXT",
    "integer": "INTEGER",
    "boolean": "INTEGER",
    "real": "FLOAT",
}

SYNCED_AT = Column(
    "synced_at", "When the mirror last wrote this row, UTC, by its own clock.", "time"
)
DELETED_AT = Column("deleted_at", "When the mirror saw that Pylon no longer has it, UTC.", "time")
PLACEHOLDER = Column(
    "placeholder", "1 where others name the record, but Pylon has not given it itself.", "boolean"
)

CHANGES = (
    Column("id", "Number of the change.", "integer"),
    Column("issue_id", "The issue.", refers="issues"),
    Column("column", "What changed: a column of issues, or priority."),
    Column("old", "What it was, as in that column."),
    Column("new", "What it became."),
    Column("seen_at", "When a sync saw it, UTC.", "time"),
)

ATTACHMENTS = (
    Column("id", "Tells the issue, the message and the address from all others: their hash."),
    Column("issue_id", "The issue.", refers="issues"),
    Column(
        "message_id", "The message; NULL where only the issue names it.", refers="issue_messages"
    ),
    Column("address", "Where it is, without the signature that opens it."),
    Column("file_name", "What it is called."),
    Column(
        "is_private", "As of its message: 0 where the customer saw it, NULL: not known.", "boolean"
    ),
    Column("content_hash", "SHA-256 of its contents, where they were downloaded."),
    Column("content_type", "What kind of file its host says it is."),
    Column("size", "Bytes of its contents.", "integer"),
    Column("path", "Where its contents are, in the directory they were downloaded to."),
    Column("downloaded_at", "When that was, UTC.", "time"),
    Column("error", "Why the last download failed."),
    SYNCED_AT,
    DELETED_AT,
)

# Beside the keys and every column that refers to another table. Where an index holds all that a
# question needs, 100,000 issues with their bodies and a million messages are not read for it.
_LIVE = ("deleted_at", "placeholder")
_OF = ("id", "type", "source", "account_id", "assignee_id", "team_id")
_WRITTEN = ("is_private", "deleted_at", "author_contact_id", "author_user_id")
INDEXES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "issues",
        (
            *("created_at", *_OF, "state", "first_response_seconds", "resolution_seconds"),
            *("resolution_time", *_LIVE),
        ),
    ),
    ("issues", ("state", *_OF[4:], "created_at", "latest_message_time", "id", "type", *_LIVE)),
    ("issues", ("resolution_time", "id", "type", "team_id", "resolution_seconds", *_LIVE)),
    ("issues", ("updated_at",)),
    ("issues", ("id", "updated_at", *_LIVE)),
    ("issues", ("number",)),
    ("issue_messages", ("issue_id", "timestamp", *_WRITTEN)),
    ("issue_messages", ("timestamp", *_WRITTEN, "issue_id")),
    ("issue_tags", ("tag",)),
    ("issue_custom_fields", ("slug", "value", "issue_id")),
    ("account_tags", ("tag",)),
    ("account_domains", ("domain",)),
)

# By name, indexes of the few rows that a question asks for: their table, columns and condition.
_GONE = "deleted_at IS NOT NULL OR placeholder = 1"
PARTIAL_INDEXES: Mapping[str, tuple[str, str, str]] = {
    "idx_issues_gone": ("issues", "id, deleted_at, placeholder", _GONE),
    "idx_issue_messages_phone": ("issue_messages", "issue_id", "lower(source) = 'phone'"),
}

# The columns whose words can be searched for.
FULL_TEXT: Mapping[str, tuple[str, ...]] = {
    "accounts": ("name", "domains"),
    "contacts": ("name", "email"),
    "issues": ("title", "body_text"),
    "issue_messages": ("message_text",),
    "knowledge_base_articles": ("title", "published_text"),
}


@dataclass(frozen=True, eq=False)
class Table:
    """A table as it is created: all its columns, its key, and whether others refer to it."""

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    source: Stream | Link | None = None
    """Where its rows come from; None where the mirror writes them by itself."""

    @property
    def has_placeholder(self) -> bool:
        """Whether others refer to it, so that some of its rows may only stand in for a record."""
        return self.name in REFERRED

    @property
    def foreign_keys(self) -> list[tuple[str, str, str]]:
        """(column, other table, its column)."""
        return [(one.name, one.refers, "id") for one in self.columns if one.refers]


REFERRED = frozenset(
    column.refers
    for stream in STREAMS
    for columns in (stream.columns, *((link.owner, *link.columns) for link in stream.links))
    for column in columns
    if column.refers
)


def _tables() -> Iterator[Table]:
    for stream in STREAMS:
        ours = (SYNCED_AT, DELETED_AT, *([PLACEHOLDER] if stream.name in REFERRED else []))
        yield Table(stream.name, stream.description, (*stream.columns, *ours), stream.key, stream)
    for stream in STREAMS:
        for link in stream.links:
            columns = (link.owner, *link.columns)
            yield Table(link.table, link.description, columns, link.key, link)
    yield Table(
        "issue_changes",
        "What became of issues, as far as syncs saw it: what changed and changed again between two"
        " of them is not here, and the times are those of the syncs.",
        CHANGES,
        ("id",),
    )
    yield Table(
        "attachments",
        "Files of issues and their messages, one row for each message that has one. What they"
        " contain is not in here: sync --download-attachments fetches it.",
        ATTACHMENTS,
        ("id",),
    )


TABLES: Mapping[str, Table] = {table.name: table for table in _tables()}


def live(table: Table, row: str = "") -> str:
    """SQL for rows of a stream's table that are records which Pylon still has; `row` is the
    table's name in the query."""
    prefix = f"{row}." if row else ""
    placeholder = f" AND {prefix}placeholder = 0" if table.has_placeholder else ""
    return f"{prefix}deleted_at IS NULL{placeholder}"


# Which steps a file has taken (migrations.py): sqlite-utils' own, shared with other programs.
MIGRATED = "_sqlite_migrations"

# Tables that earlier versions had.
EARLIER = ("_pylon_columns",)

# What the mirror remembers of itself.
BOOKKEEPING: Mapping[str, str] = {
    "_pylon_meta": """
        key TEXT PRIMARY KEY,
        value TEXT
    """,
    "_pylon_checkpoints": """
        stream TEXT PRIMARY KEY,
        fingerprint TEXT NOT NULL,
        state TEXT NOT NULL,
        completed_at TEXT
    """,
    # Where Pylon's fields are not what this tool knows, and when that was first seen: "new" ones,
    # which got a column, those of another "type", and those that are "gone".
    "_pylon_fields": """
        "table" TEXT NOT NULL,
        "column" TEXT NOT NULL,
        change TEXT NOT NULL,
        detail TEXT,
        seen_at TEXT,
        told INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY ("table", "column", change)
    """,
    # For which state of its parent each set of children was read, and when.
    "_pylon_children": """
        stream TEXT NOT NULL,
        parent TEXT NOT NULL,
        read_for TEXT,
        read_at TEXT NOT NULL,
        again_at TEXT,
        PRIMARY KEY (stream, parent)
    """,
    # Records that Pylon has, but names in no list: when they were last asked for by id.
    "_pylon_unlisted": """
        stream TEXT NOT NULL,
        key TEXT NOT NULL,
        asked_at TEXT NOT NULL,
        PRIMARY KEY (stream, key)
    """,
    # Where private notes are left out: for which state of an issue its messages have told whether
    # its body is public, whether it is for sure (1; -1: a note may have been it), and whether a
    # body that came is awaited again when they will have.
    "_pylon_bodies": """
        issue TEXT PRIMARY KEY,
        judged_for TEXT,
        is_sure INTEGER NOT NULL,
        is_awaited INTEGER NOT NULL
    """,
    # What was forgotten, and stays out: ids of records, hashes of addresses and files, and issues
    # whose "bodies" stay out. `because` is the key of the record or address that was named.
    "_pylon_forgotten": """
        stream TEXT NOT NULL,
        key TEXT NOT NULL,
        because TEXT NOT NULL,
        forgotten_at TEXT NOT NULL,
        PRIMARY KEY (key, stream, because)
    """,
    # Full-text indexes that may still hold words which are gone from their tables.
    "_pylon_unpurged": """
        name TEXT PRIMARY KEY
    """,
    "_pylon_runs": """
        id INTEGER PRIMARY KEY,
        version TEXT NOT NULL,
        started_at TEXT NOT NULL,
        ended_at TEXT,
        outcome TEXT,
        requests INTEGER,
        seconds_waited REAL,
        exit_status INTEGER,
        error TEXT
    """,
    "_pylon_run_streams": """
        run INTEGER NOT NULL REFERENCES _pylon_runs(id),
        stream TEXT NOT NULL,
        started_at TEXT NOT NULL,
        ended_at TEXT,
        outcome TEXT,
        error TEXT,
        rows_new INTEGER,
        rows_changed INTEGER,
        rows_gone INTEGER,
        PRIMARY KEY (run, stream)
    """,
}
