"""What Datasette 1.0 was told and keeps: with `--internal FILE` it outlives the mirror that it was
told of. So it is marked as ours, and withdrawn at each start, to be told anew if it still holds."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

# By Datasette's own tables, what makes a row: where one was changed since, it is no longer ours.
_COLUMNS = {
    "metadata_instance": "key, value",
    "metadata_databases": "database_name, key, value",
    "metadata_resources": "database_name, resource_name, key, value",
    "metadata_columns": "database_name, resource_name, column_name, key, value",
    "queries": "database_name, name, source, sql",
}
_MARKS = "pylon_to_sqlite_told"


@asynccontextmanager
async def telling(datasette: Any) -> AsyncIterator[None]:
    """Around telling: what was told at an earlier start is withdrawn before, and what is new
    after is marked."""
    internal = datasette.get_internal_database()
    # Whatever becomes of Datasette's own tables, it has to start.
    with suppress(sqlite3.Error):
        await _withdraw(internal)
    before = await _there(internal)
    yield
    after = await _there(internal)
    with suppress(sqlite3.Error):
        await internal.execute_write(f"CREATE TABLE IF NOT EXISTS {_MARKS} (name TEXT, row TEXT)")
        await internal.execute_write_many(
            f"INSERT INTO {_MARKS} VALUES (?, ?)", sorted(after - before)
        )


async def _withdraw(internal: Any) -> None:
    if not await internal.table_exists(_MARKS):
        return
    for table, columns in _COLUMNS.items():
        await internal.execute_write(
            f"DELETE FROM {table} WHERE json_array({columns}) IN"
            f" (SELECT row FROM {_MARKS} WHERE name = ?)",
            [table],
        )
    await internal.execute_write(f"DELETE FROM {_MARKS}")


async def _there(internal: Any) -> set[tuple[str, str]]:
    """All rows, by table."""
    found: set[tuple[str, str]] = set()
    for table, columns in _COLUMNS.items():
        with suppress(sqlite3.Error):
            read = f"SELECT json_array({columns}) FROM {table}"
            rows = await internal.execute_fn(lambda db, sql=read: db.execute(sql).fetchall())
            found |= {(table, row[0]) for row in rows}
    return found
