"""What the mirror remembers of itself, a text by a name each: the table `_pylon_meta`."""

from collections.abc import Mapping
from typing import Any, Protocol

CHOICE = "choice"
"""What is mirrored and what is not, as JSON."""
SCHEMA_VERSION = "schema_version"
ORGANIZATION_ID = "organization_id"
ORGANIZATION_NAME = "organization_name"
FORGOTTEN_SALT = "forgotten_salt"
"""What addresses of who is forgotten are hashed with."""
WRITTEN_ANEW_AT = "written_anew_at"
RETURNING = "returning"
"""What was left out of issues and is read again for all of them, with commas between."""


class Connection(Protocol):
    """To a mirror, of sqlite3 or of sqlite-utils."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Any: ...


def asked(key: str) -> str:
    """The question for one of the above, for who puts it in a way of his own."""
    return f"SELECT value FROM _pylon_meta WHERE key = '{key}'"


def all_of(db: Connection) -> dict[str, str]:
    """All that is remembered, by its names. Raises sqlite3.Error where it cannot be read."""
    return dict(db.execute("SELECT key, value FROM _pylon_meta").fetchall())


def value(db: Connection, key: str) -> str | None:
    """What is remembered by this name. Raises sqlite3.Error where it cannot be read."""
    row = db.execute(asked(key)).fetchone()
    return str(row[0]) if row else None


def keep(db: Connection, known: Mapping[str, str]) -> None:
    """Remember these by their names, in the caller's transaction."""
    for pair in known.items():
        db.execute("INSERT OR REPLACE INTO _pylon_meta VALUES (?, ?)", pair)


def drop(db: Connection, key: str) -> None:
    """Remember it no longer, from the caller's transaction on."""
    db.execute("DELETE FROM _pylon_meta WHERE key = ?", [key])
