"""Which of the files that Datasette serves are mirrors, told by their own marker."""

import sqlite3
from typing import Any
from weakref import WeakKeyDictionary

from datasette.database import QueryInterrupted

from pylon_to_sqlite import meta
from pylon_to_sqlite.metadata import withheld
from pylon_to_sqlite.views import SCHEMA

# By Datasette, of which several live in one process only in tests: each mirror, with the names of
# views and queries that are not told of there.
_FOUND: WeakKeyDictionary[Any, dict[str, frozenset[str]]] = WeakKeyDictionary()


async def find(datasette: Any) -> list[str]:
    """The names of the databases that are mirrors; from here on they are known."""
    found = {
        name: frozenset(withheld(tuple(row) for row in (await one.execute(SCHEMA)).rows))
        for name, one in datasette.databases.items()
        if await is_mirror(one)
    }
    _FOUND[datasette] = found
    return list(found)


def known(datasette: Any) -> list[str]:
    """The mirrors that were there when Datasette started."""
    return list(_FOUND.get(datasette, ()))


def taken_of(datasette: Any, name: str) -> frozenset[str]:
    """The names of views and queries of ours that are not told of in a mirror: something of the
    user's own bears them, or it has no tables for them."""
    return _FOUND.get(datasette, {}).get(name, frozenset())


def is_all(datasette: Any) -> bool:
    """Whether mirrors are all that is served, so that the first page is about them."""
    served = {name for name, one in datasette.databases.items() if not one.is_memory}
    return bool(served) and served == set(known(datasette))


async def is_mirror(database: Any) -> bool:
    """Whether it has our marker, whatever its name. What cannot be read is none."""
    if database.is_memory:
        return False
    try:
        if not await database.table_exists("_pylon_meta"):
            return False
        found = await database.execute(meta.asked(meta.SCHEMA_VERSION), log_sql_errors=False)
        row = found.first()
    except (sqlite3.Error, QueryInterrupted):
        return False
    return row is not None and str(row[0]).isdecimal()
