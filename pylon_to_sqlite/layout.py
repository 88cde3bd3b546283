"""Tables, indexes, full text and views of the file: created, or brought up to date where an earlier
version made them. Everything here belongs inside one transaction of the caller's."""

from collections import defaultdict
from collections.abc import Mapping
from functools import cache

from sqlite_utils import Database

from pylon_to_sqlite import full_text
from pylon_to_sqlite.attachments import derive_all
from pylon_to_sqlite.drift import added
from pylon_to_sqlite.migrations import MIGRATIONS
from pylon_to_sqlite.schema import (
    BOOKKEEPING,
    FULL_TEXT,
    INDEXES,
    PARTIAL_INDEXES,
    PLACEHOLDER,
    SQL_TYPES,
    TABLES,
    Table,
)
from pylon_to_sqlite.stream import Column, Stream
from pylon_to_sqlite.views import SCHEMA, VIEWS, mark_of, taken


def lay_out(db: Database, now: str) -> None:
    """Create what is not there yet, and bring the rest up to date with nothing lost."""
    MIGRATIONS.apply(db)
    for name, columns in BOOKKEEPING.items():
        db.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns})")
    there = set(db.table_names())
    for table in TABLES.values():
        if table.name not in there:
            db.execute(_created()[table.name])
    news, keys = added(db), _foreign_keys(db)
    for table in TABLES.values():
        if table.name in there:
            _complete(db, table, news[table.name], keys[table.name], now)
        _index(db, table)
    known = db.execute("SELECT lower(name), sql FROM sqlite_master").fetchall()
    for name in FULL_TEXT:
        _create_full_text(db, name, dict(known))
    if "attachments" not in there:
        derive_all(db, now)
    _create_views(db)


def columns_of(db: Database, table: str) -> dict[str, str]:
    """The columns of a table that is there, with their SQL types."""
    found = db.execute("SELECT name, type FROM pragma_table_info(?)", [table])
    return dict(found.fetchall())


def quoted(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


@cache
def _created() -> dict[str, str]:
    """By the name of a table, what creates it. Kept, for to put it together takes SQLite-utils
    far longer than SQLite takes to run it."""
    db = Database(memory=True)
    for table in TABLES.values():
        # Foreign keys are declared now: adding one later rebuilds the table and drops its triggers.
        db.table(table.name).create(
            {column.name: SQL_TYPES[column.kind] for column in table.columns},
            pk=table.key if len(table.key) > 1 else table.key[0],
            foreign_keys=table.foreign_keys,
            not_null={"placeholder"} if table.has_placeholder else None,
            defaults={"placeholder": 0} if table.has_placeholder else None,
        )
    return dict(db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall())


def _foreign_keys(db: Database) -> Mapping[str, set[str]]:
    """By table, its columns that are foreign keys."""
    sql = (
        'SELECT m.name, k."from" FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS k'
        " WHERE m.type = 'table'"
    )
    found: defaultdict[str, set[str]] = defaultdict(set)
    for table, column in db.execute(sql):
        found[table.lower()].add(column)
    return found


def _complete(db: Database, table: Table, news: set[str], keys: set[str], now: str) -> None:
    """Give a table the columns that it lacks. What was a new field to the version that made it
    keeps its values. `news` are the columns it has for such, `keys` those that are foreign keys."""
    there = {name.lower() for name in columns_of(db, table.name)}
    new = {name.lower(): name for name in news}
    known = {new[one.name.lower()]: one for one in table.columns if one.name.lower() in new}
    # A field that was no reference to the version that made it.
    known |= {
        one.name: one
        for one in table.columns
        if one.refers and one.name.lower() in there - new.keys() and one.name not in keys
    }
    if known:
        _adopt(db, table, known, now)
    for column in table.columns:
        if column.name.lower() not in there:
            default = " NOT NULL DEFAULT 0" if column is PLACEHOLDER else ""
            refers = f" REFERENCES {quoted(column.refers)}(id)" if column.refers else ""
            db.execute(
                f"ALTER TABLE {quoted(table.name)} ADD COLUMN {quoted(column.name)}"
                f" {SQL_TYPES[column.kind]}{default}{refers}"
            )


def _adopt(db: Database, table: Table, columns: Mapping[str, Column], now: str) -> None:
    """Make columns that were added for new fields, by their names there, what they are by now."""
    triggers = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = ?"
    before = dict(db.execute(triggers, [table.name]).fetchall())
    db.table(table.name).transform(
        types={name: SQL_TYPES[column.kind] for name, column in columns.items()},
        rename={name: column.name for name, column in columns.items() if name != column.name},
        add_foreign_keys=[
            (name, column.refers, "id") for name, column in columns.items() if column.refers
        ],
        # Else it becomes the text '0'.
        defaults={"placeholder": 0} if table.has_placeholder else None,
    )
    after = dict(db.execute(triggers, [table.name]).fetchall())
    for name in before.keys() - after.keys():
        # Whoever made it: what rebuilds a table drops its triggers.
        db.execute(before[name])
    for name, column in columns.items():
        db.execute(
            'DELETE FROM _pylon_fields WHERE "table" = ? AND "column" = ? AND change = \'new\'',
            [table.name, name],
        )
        if column.refers:
            db.execute(
                f"INSERT OR IGNORE INTO {quoted(column.refers)} (id, placeholder, synced_at)"
                f" SELECT {quoted(column.name)}, 1, ? FROM {quoted(table.name)}"
                f" WHERE {quoted(column.name)} IS NOT NULL GROUP BY 1",
                [now],
            )


def _index(db: Database, table: Table) -> None:
    indexes = {columns for name, columns in INDEXES if name == table.name}
    led = {columns[0] for columns in indexes} | {table.key[0]}
    indexes |= {(column.name,) for column in table.columns if column.refers} - {
        (name,) for name in led
    }
    for columns in sorted(indexes):
        name = "_".join(("idx", table.name, *columns))
        db.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {table.name} ({', '.join(columns)})")
    for name, (on, parts, where) in PARTIAL_INDEXES.items():
        if on == table.name:
            db.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {on} ({parts}) WHERE {where}")
    if isinstance(table.source, Stream) and table.source.by_id:
        # Whom to look up is asked often, and they are few.
        db.execute(
            f"CREATE INDEX IF NOT EXISTS idx_{table.name}_placeholder ON {table.name} (id)"
            " WHERE placeholder = 1"
        )


def _create_full_text(db: Database, table: str, there: Mapping[str, str | None]) -> None:
    """Create the index of a table, and anew where any part of it is not there or not as it
    should be: whatever rebuilds a table drops its triggers, and what was changed without them
    is in no index. An index of this name that is somebody else's stays."""
    wanted = full_text.created(table)
    index = full_text.index_of(table)
    is_ours = full_text.view_of(table) in str(there.get(index, full_text.view_of(table)))
    if not is_ours or all(there.get(name.lower()) == sql for name, sql in wanted.items()):
        return
    for sql in (*full_text.dropped(table), *wanted.values(), full_text.filled(table)):
        db.execute(sql)


def _create_views(db: Database) -> None:
    """Create the views that are not there, or not as they should be, and remove what only an
    earlier version had. Whatever else bears the name of one is somebody's own and stays."""
    there = db.execute(SCHEMA).fetchall()
    ours = {name: sql for name, sql in there if mark_of(name) in sql}
    for name, sql in ours.items():
        if name not in VIEWS or sql != VIEWS[name].sql:
            db.execute(f"DROP VIEW {quoted(name)}")
    for name in VIEWS.keys() - taken(there):
        if ours.get(name) != VIEWS[name].sql:
            db.execute(VIEWS[name].sql)
