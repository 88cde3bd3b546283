"""Text that cannot be read: a flipped bit that SQLite's own check does not see, and on which every
sync would stumble. It is kept as far as it goes, and read again."""

import sqlite3
from collections.abc import Iterator

from pylon_to_sqlite.layout import quoted
from pylon_to_sqlite.schema import BOOKKEEPING, TABLES
from pylon_to_sqlite.stream import Stream


def unreadable(connection: sqlite3.Connection) -> dict[str, list[int]]:
    """By table of ours, the rowids of rows with text that is no UTF-8, or bytes where text was."""
    there = "SELECT name FROM sqlite_master WHERE type = 'table'"
    names = {row[0].lower() for row in connection.execute(there)}
    found = {name: _rowids(connection, name) for name in (*TABLES, *BOOKKEEPING) if name in names}
    return {name: rowids for name, rowids in found.items() if rowids}


def mend_text(connection: sqlite3.Connection, table: str, rowid: int) -> None:
    """Put a mark in place of what cannot be read; children are read again, as lists always are.
    A part of the caller's transaction."""
    row = dict(zip(_names(connection, table), _row(connection, table, rowid), strict=False))
    for name, value in row.items():
        if isinstance(value, bytes):
            row[name] = value.decode(errors="replace")
            # What stands there already is another row, and right.
            sql = f"UPDATE OR REPLACE {table} SET {quoted(name)} = ? WHERE rowid = ?"
            connection.execute(sql, [row[name], rowid])
    source = TABLES[table].source if table in TABLES else None
    if row and isinstance(source, Stream) and source.is_by_staleness:
        connection.execute(
            "DELETE FROM _pylon_children WHERE stream = ? AND parent = ?",
            [table, row[source.owner]],
        )


def _rowids(connection: sqlite3.Connection, table: str) -> list[int]:
    """One look at all rows tells where there is nothing to find, which is always, and quick."""
    columns = _names(connection, table)
    blobs = " OR ".join(f"typeof({quoted(name)}) = 'blob'" for name in columns)
    try:
        if not connection.execute(f"SELECT 1 FROM {table} WHERE {blobs} LIMIT 1").fetchone():
            for _ in connection.execute(f"SELECT * FROM {table}"):
                pass
            return []
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
    rowids = [row[0] for row in connection.execute(f"SELECT rowid FROM {table} NOT INDEXED")]
    return [one for one in rowids if any(_odd(_row(connection, table, one)))]


def _odd(row: tuple[object, ...]) -> Iterator[bool]:
    return (isinstance(value, bytes) for value in row)


def _row(connection: sqlite3.Connection, table: str, rowid: int) -> tuple[object, ...]:
    """The row, in which what cannot be read is bytes."""

    def text(value: bytes) -> str | bytes:
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value

    before, connection.text_factory = connection.text_factory, text
    try:
        sql = f"SELECT * FROM {table} WHERE rowid = ?"
        found: tuple[object, ...] | None = connection.execute(sql, [rowid]).fetchone()
        return found or ()
    finally:
        connection.text_factory = before


def _names(connection: sqlite3.Connection, table: str) -> list[str]:
    found = connection.execute("SELECT name FROM pragma_table_info(?)", [table])
    return [row[0] for row in found]
