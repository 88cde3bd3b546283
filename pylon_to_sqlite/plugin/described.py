"""What Datasette is told of each mirror, whatever its file is called: metadata and canned queries.
What the user says of the same things wins."""

import copy
import sqlite3
from functools import cache
from typing import Any

from markupsafe import escape

from pylon_to_sqlite.full_text import shadows, view_of
from pylon_to_sqlite.metadata import LIVE, metadata_for
from pylon_to_sqlite.plugin.links import overview_path
from pylon_to_sqlite.plugin.mirrors import find, is_all, known, taken_of
from pylon_to_sqlite.plugin.told import telling
from pylon_to_sqlite.schema import FULL_TEXT

# What of a table Datasette 1.0 takes from its configuration, where 0.65 took it from metadata.
_CONFIGURED = ("facets", "fts_table", "hidden", "label_column", "sort_desc")
_SORTS = {"sort", "sort_desc"}
_WORDS = {"description", "description_html"}
# Who may see it.
_RULES = ("allow", "permissions")


@cache
def _all(taken: frozenset[str] = frozenset()) -> dict[str, Any]:
    return metadata_for(["it"], taken)


@cache
def _mirror(taken: frozenset[str]) -> dict[str, Any]:
    """A mirror's metadata, without its queries."""
    told = _all(taken)["databases"]["it"]
    return {key: told[key] for key in told if key != "queries"}


def _queries(taken: frozenset[str]) -> dict[str, dict[str, Any]]:
    queries: dict[str, dict[str, Any]] = _all(taken)["databases"]["it"]["queries"]
    return queries


def _instance(datasette: Any) -> dict[str, Any]:
    """What is said of the whole: nothing where other files are served too."""
    if not is_all(datasette):
        return {}
    return {key: value for key, value in _all().items() if key != "databases"}


def _followed(mine: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The user's rules for tables, for what holds the same words: their full-text indexes, with
    the tables that SQLite keeps these in and the views that they are filled from."""
    return {
        name: rules
        for table in FULL_TEXT
        if (rules := {key: one[key] for key in _RULES if key in (one := mine.get(table) or {})})
        for name in (*shadows(table), view_of(table))
    }


# Datasette 0.65


def metadata(datasette: Any, key: str | None) -> dict[str, Any]:
    """Metadata as Datasette 0.65 asks for it, often: only as much as `key` needs, and new each
    time, for Datasette writes the user's into it."""
    mine = getattr(datasette, "_metadata_local", None) or {}
    told = _instance(datasette)
    if told and not _WORDS & mine.keys():
        # Nothing tells here who asks, so no database is named.
        link = _link(datasette.urls.path("/-/pylon"))
        told["description_html"] = f"{escape(told['description'])} {link}"
    if key in (None, "databases", "tables"):
        theirs = mine.get("databases") or {}
        told["databases"] = {
            name: _database(datasette, name, theirs.get(name) or {}, key == "tables")
            for name in known(datasette)
        }
    return told


def _database(datasette: Any, name: str, mine: dict[str, Any], is_brief: bool) -> dict[str, Any]:
    told = dict(_mirror(taken_of(datasette, name)))
    theirs = mine.get("tables") or {}
    told["tables"] = {
        table: _table(described, theirs.get(table) or {}, is_brief)
        for table, described in told["tables"].items()
    }
    for view in LIVE:
        # To Datasette 0.65 no view is hidden, unless nobody may see it.
        told["tables"][view] = {"allow": False}
    for index, rules in _followed(theirs).items():
        told["tables"][index] = {**rules, **told["tables"].get(index, {})}
    if not _WORDS & mine.keys():
        link = _link(overview_path(datasette, name))
        told["description_html"] = f"{escape(told['description'])} {link}"
    return told


def _table(described: dict[str, Any], mine: dict[str, Any], is_brief: bool) -> dict[str, Any]:
    told = dict(described)
    if _SORTS & mine.keys():
        # Datasette refuses both at once.
        told.pop("sort_desc", None)
    if is_brief:
        # For each permission Datasette makes a deep copy of all that this is.
        told.pop("columns", None)
    elif "columns" in told:
        told["columns"] = dict(told["columns"])
    return told


def _link(path: str) -> str:
    return f'<a href="{escape(path)}"><strong>Overview</strong></a>'


def canned(datasette: Any, database: str) -> dict[str, Any]:
    """Canned queries as Datasette 0.65 asks for them; there a plugin's would win otherwise."""
    if database not in known(datasette):
        return {}
    mine = datasette.metadata("queries", database=database, fallback=False) or {}
    ours = _queries(taken_of(datasette, database))
    return {name: dict(query) for name, query in ours.items() if name not in mine}


# Datasette 1.0


async def describe(datasette: Any) -> None:
    """Find the mirrors; where Datasette has to be told of them once and for all, tell it."""
    found = await find(datasette)
    if not hasattr(datasette, "set_instance_metadata"):
        return
    async with telling(datasette):
        await _describe_all(datasette, found)
    if not found:
        return
    taken = {name: taken_of(datasette, name) for name in found}
    datasette.config = _configured(datasette.config, taken)


async def _describe_all(datasette: Any, found: list[str]) -> None:
    there = await datasette.get_instance_metadata()
    for key, value in _instance(datasette).items():
        if not (there.keys() & ({key} if key != "description" else _WORDS)):
            await datasette.set_instance_metadata(key, value)
    for name in found:
        await _describe_database(datasette, name)
        await _add_queries(datasette, name)


async def _describe_database(datasette: Any, name: str) -> None:
    told = _mirror(taken_of(datasette, name))
    if not (await datasette.get_database_metadata(name)).keys() & _WORDS:
        await datasette.set_database_metadata(name, "description", told["description"])
    columns: list[tuple[str, ...]] = []
    for table, described in told["tables"].items():
        if "description" in described:
            there = await datasette.get_resource_metadata(name, table)
            if not there.keys() & _WORDS:
                words = described["description"]
                await datasette.set_resource_metadata(name, table, "description", words)
            columns += [
                (name, table, column, "description", text)
                for column, text in described.get("columns", {}).items()
            ]
    await _describe_columns(datasette, columns)


async def _describe_columns(datasette: Any, columns: list[tuple[str, ...]]) -> None:
    """They are hundreds, and nobody sees a page before: one after the other through Datasette's
    own methods they would be most of its start."""
    try:
        await datasette.get_internal_database().execute_write_many(
            "INSERT OR IGNORE INTO metadata_columns"
            " (database_name, resource_name, column_name, key, value) VALUES (?, ?, ?, ?, ?)",
            columns,
        )
    except sqlite3.Error:
        for column in columns:
            if "description" not in await datasette.get_column_metadata(*column[:3]):
                await datasette.set_column_metadata(*column)


async def _add_queries(datasette: Any, database: str) -> None:
    for name, query in _queries(taken_of(datasette, database)).items():
        there = await datasette.get_query(database, name)
        if there is None or there.source == "plugin":
            # Trusted, as those of a metadata file are: they need no right to SQL of one's own.
            await datasette.add_query(database, name, source="plugin", is_trusted=True, **query)


def _configured(config: dict[str, Any] | None, taken: dict[str, frozenset[str]]) -> dict[str, Any]:
    """The user's configuration, with what is said of tables added where the user says nothing.

    There is no other way to tell Datasette 1.0 of facets, sort orders, labels and hidden tables."""
    told = copy.deepcopy(config or {})
    databases = told.setdefault("databases", {})
    for name in taken:
        tables = databases.setdefault(name, {}).setdefault("tables", {})
        for index, rules in _followed(tables).items():
            # A rule that the user gives it by itself stands alone.
            if not tables.setdefault(index, {}).keys() & set(_RULES):
                tables[index] |= copy.deepcopy(rules)
        for table, described in _mirror(taken[name])["tables"].items():
            mine = tables.setdefault(table, {})
            is_sorted = bool(_SORTS & mine.keys())
            for key in _CONFIGURED:
                if key in described and not (key == "sort_desc" and is_sorted):
                    mine.setdefault(key, described[key])
    return told
