"""Rows into tables: what differs is written, what is the same is left alone. Knows no streams."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from sqlite_utils import Database

from pylon_to_sqlite import full_text
from pylon_to_sqlite.errors import Unexpected
from pylon_to_sqlite.rows import OURS, Row, Value
from pylon_to_sqlite.schema import BOOKKEEPING, FULL_TEXT, INDEXES, SQL_TYPES, TABLES, Table

# SQLite's own limit.
MAX_COLUMNS = 2000

Key = tuple[Value, ...]

# What a column of this type gives back as it was.
_NATIVE: Mapping[str, type] = {"TEXT": str, "INTEGER": int, "FLOAT": float}

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


class Changes(NamedTuple):
    """Keys of the rows that came to be and of those that became different."""

    new: set[Key]
    changed: set[Key]


@dataclass
class Tables:
    """The mirror's tables in `db`. Every method belongs inside a transaction of the caller's."""

    db: Database
    _types: dict[str, dict[str, str]] = field(default_factory=dict)
    _filled: dict[str, set[str]] = field(default_factory=dict)
    new_columns: list[str] = field(default_factory=list)
    """Fields that nobody knew, as table.column, stored since this was opened."""

    def create(self) -> None:
        """Create what is not there yet. Foreign keys are declared now: adding one later rebuilds
        the table and drops its triggers."""
        for name, columns in BOOKKEEPING.items():
            self.db.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns})")
        there = set(self.db.table_names())
        for table in TABLES.values():
            if table.name not in there:
                self._create(table)
            # Also in a file that an earlier version made.
            self._index(table)
        known = self.db.execute("SELECT lower(name), sql FROM sqlite_master").fetchall()
        for name in FULL_TEXT:
            self._create_full_text(name, dict(known))

    def _create(self, table: Table) -> None:
        self.db.table(table.name).create(
            {column.name: SQL_TYPES[column.kind] for column in table.columns},
            pk=table.key if len(table.key) > 1 else table.key[0],
            foreign_keys=table.foreign_keys,
            not_null={"placeholder"} if table.has_placeholder else None,
            defaults={"placeholder": 0} if table.has_placeholder else None,
        )

    def _create_full_text(self, table: str, there: Mapping[str, str | None]) -> None:
        """Create the index of a table, and anew where any part of it is not there or not as it
        should be: whatever rebuilds a table drops its triggers, and what was changed without them
        is in no index. An index of this name that is somebody else's stays."""
        wanted = full_text.created(table)
        index = full_text.index_of(table)
        is_ours = full_text.view_of(table) in str(there.get(index, full_text.view_of(table)))
        if not is_ours or all(there.get(name.lower()) == sql for name, sql in wanted.items()):
            return
        for sql in (*full_text.dropped(table), *wanted.values(), full_text.filled(table)):
            self.db.execute(sql)

    def _index(self, table: Table) -> None:
        indexes = {columns for name, columns in INDEXES if name == table.name}
        led = {columns[0] for columns in indexes} | {table.key[0]}
        indexes |= {(column.name,) for column in table.columns if column.refers} - {
            (name,) for name in led
        }
        for columns in sorted(indexes):
            name = "_".join(("idx", table.name, *columns))
            self.db.execute(
                f"CREATE INDEX IF NOT EXISTS {name} ON {table.name} ({', '.join(columns)})"
            )

    def types(self, table: str) -> dict[str, str]:
        """The columns that `table` has in this file, with their SQL types."""
        if table not in self._types:
            self._types[table] = {one.name: one.type for one in self.db.table(table).columns}
        return self._types[table]

    def forget_types(self) -> None:
        """After a rollback, which may have taken columns with it."""
        self._types.clear()
        self._filled.clear()

    def upsert(self, table: Table, rows: Iterable[Row], now: str) -> Changes:
        """Write rows of a stream's table that are new or differ; the record itself has come, so
        neither `deleted_at` nor `placeholder` stays."""
        batch = {tuple(row[name] for name in table.key): row for row in rows}
        if not batch:
            return Changes(set(), set())
        columns = self._columns(table, batch.values())
        marks = ("deleted_at", *(["placeholder"] if table.has_placeholder else []))
        old = self._stored(table, columns, marks, batch)
        changes = Changes(set(), set())
        writes = []
        for key, values in zip(batch, self._values(table, columns, batch.values()), strict=True):
            before, deleted_at, *placeholder = old.get(key, (None, None))
            if before is None or any(placeholder):
                changes.new.add(key)
            elif before != values or deleted_at:
                changes.changed.add(key)
            else:
                continue
            writes.append((*values, now))
        if writes:
            reset = ("deleted_at = NULL", *["placeholder = 0"] * table.has_placeholder)
            self.db.conn.executemany(_upsert(table, (*columns, "synced_at"), reset), writes)
        return changes

    def replace(
        self, table: Table, owner: str, owners: Sequence[Value], rows: Iterable[Row]
    ) -> set[Value]:
        """Make `rows` the rows of a link table for these owners; gives the owners that changed."""
        batch = {tuple(row[name] for name in table.key): row for row in rows}
        columns = self._columns(table, batch.values())
        at = table.key.index(owner)
        names = ", ".join(_quoted(name) for name in (*table.key, *columns))
        old = {
            stored[: len(table.key)]: stored[len(table.key) :]
            for stored in self.db.execute(
                f"SELECT {names} FROM {_quoted(table.name)} WHERE {_quoted(owner)} IN"
                " (SELECT value FROM json_each(?))",
                [json.dumps(owners)],
            )
        }
        new = dict(zip(batch, self._values(table, columns, batch.values()), strict=True))
        missing = [key for key in old if key not in new]
        differing = [values for key, values in new.items() if old.get(key) != values]
        where = " AND ".join(f"{_quoted(name)} IS ?" for name in table.key)
        self.db.conn.executemany(f"DELETE FROM {_quoted(table.name)} WHERE {where}", missing)
        self.db.conn.executemany(_upsert(table, columns, ()), differing)
        owner_at = columns.index(owner)
        return {key[at] for key in missing} | {values[owner_at] for values in differing}

    def insert_placeholders(self, table: Table, rows: Iterable[Row], now: str) -> None:
        """Give a row to each record only known by reference, with all that references say of it;
        those that have come themselves stay as they are."""
        types = self.types(table.name)
        told: dict[Key, Row] = {}
        for row in rows:
            known = told.setdefault((row[table.key[0]],), {})
            for name, value in row.items():
                if value is not None and name in types:
                    known[name] = value
        names = tuple(dict.fromkeys(name for row in told.values() for name in row))
        there = self._stored(table, names, ("placeholder",), told)
        writes: dict[tuple[str, ...], list[list[Value]]] = {}
        for key, row in told.items():
            values, is_placeholder = there.get(key, ([None] * len(names), 1))
            unknown = {name for name, value in zip(names, values, strict=True) if value is None}
            if is_placeholder and unknown & row.keys():
                written = [_as_stored(row[name], types[name]) for name in row]
                writes.setdefault(tuple(row), []).append([*written, now])
        for columns, batch in writes.items():
            self.db.conn.executemany(_placeholder(table, columns), batch)

    def _columns(self, table: Table, rows: Iterable[Row]) -> tuple[str, ...]:
        """The columns that records fill; for fields nobody knew some are added to the table, and
        to rows that write one in another case it is the same column."""
        mine = self._mine(table)
        for row in rows:
            for name in sorted(row.keys() - mine):
                value = row.pop(name)
                if value is not None:
                    row[self._column_for(table, name, value, row)] = value
        return tuple(name for name in self.types(table.name) if name in mine)

    def _column_for(self, table: Table, name: str, value: Value, row: Row) -> str:
        """The column of a field nobody knew, which is added unless it is there; beside a column
        that the user has added under this name, and beside the row's other fields."""
        mine = {one.lower(): one for one in self._mine(table)}
        # Generated columns too, which table_info does not tell of.
        there = self.db.execute(f"PRAGMA table_xinfo({_quoted(table.name)})")
        taken = {one[1].lower() for one in there} - mine.keys()
        taken |= {one.lower() for one in row}
        while name.lower() in taken:
            name += "_"
        if name.lower() not in mine:
            self._add_column(table, name, value)
            return name
        return mine[name.lower()]

    def _mine(self, table: Table) -> set[str]:
        """The columns that records fill: not what the user added, nor what the mirror decides."""
        if table.name not in self._filled:
            added = self.db.execute(
                'SELECT name FROM _pylon_columns WHERE "table" = ?', [table.name]
            )
            ours = {one.name for one in table.columns if one.decided} | {*OURS}
            self._filled[table.name] = {one.name for one in table.columns} - ours
            self._filled[table.name] |= {row[0] for row in added}
        return self._filled[table.name]

    def _add_column(self, table: Table, name: str, value: Value) -> None:
        kind = {int: "INTEGER", float: "FLOAT"}.get(type(value), "TEXT")
        if len(self.types(table.name)) >= MAX_COLUMNS:
            raise Unexpected(f"more fields than {table.name} can have columns: {MAX_COLUMNS:,}")
        self.db.execute(f"ALTER TABLE {_quoted(table.name)} ADD COLUMN {_quoted(name)} {kind}")
        self.db.execute("INSERT INTO _pylon_columns VALUES (?, ?)", [table.name, name])
        self.types(table.name)[name] = kind
        self._mine(table).add(name)
        self.new_columns.append(f"{table.name}.{name}")

    def _stored(
        self, table: Table, columns: tuple[str, ...], marks: tuple[str, ...], keys: Iterable[Key]
    ) -> dict[Key, tuple[Any, ...]]:
        """By key: the values of `columns` as one tuple, then those of `marks`."""
        sql = by_key(table, (*table.key, *columns, *marks))
        found = self.db.execute(sql, [json.dumps(list(keys))])
        start, end = len(table.key), len(table.key) + len(columns)
        return {row[:start]: (row[start:end], *row[end:]) for row in found}

    def _values(
        self, table: Table, columns: Sequence[str], rows: Iterable[Row]
    ) -> Iterator[tuple[Value, ...]]:
        """The rows as these columns give them back."""
        types = [self.types(table.name)[name] for name in columns]
        natives = [_NATIVE.get(one) for one in types]
        for row in rows:
            yield tuple(
                [
                    value if value is None or type(value) is native else _as_stored(value, one)
                    for value, native, one in zip(
                        map(row.get, columns), natives, types, strict=True
                    )
                ]
            )


def _as_stored(value: Value, sql_type: str) -> Value:
    """`value` as a column of this type gives it back, so that the same is seen to be the same."""
    if value is None:
        return None
    if isinstance(value, str):
        if sql_type == "TEXT" or not _NUMBER.fullmatch(value):
            return value
        number = float(value)
        if sql_type == "INTEGER" and re.fullmatch(r"\s*[+-]?\d{1,18}\s*", value):
            return int(value)
        return int(number) if sql_type == "INTEGER" and _is_whole(number) else number
    if sql_type == "TEXT":
        return str(value)
    if sql_type == "FLOAT":
        return float(value)
    return int(value) if isinstance(value, float) and _is_whole(value) else value


def _is_whole(number: float) -> bool:
    return abs(number) < 2**53 and number.is_integer()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@cache
def by_key(table: Table, columns: tuple[str, ...]) -> str:
    """Looks up the rows of the keys in a JSON array of arrays."""
    chosen = ", ".join(f"t.{_quoted(name)}" for name in columns)
    joined = " AND ".join(
        f"t.{_quoted(name)} = json_extract(k.value, '$[{position}]')"
        for position, name in enumerate(table.key)
    )
    # CROSS JOIN keeps the order: each key looks its row up, the table is not scanned.
    return (
        f"SELECT {chosen} FROM json_each(?) AS k CROSS JOIN {_quoted(table.name)} AS t"
        f" WHERE {joined}"
    )


@cache
def _upsert(table: Table, columns: tuple[str, ...], reset: tuple[str, ...]) -> str:
    names = ", ".join(map(_quoted, columns))
    marks = ", ".join("?" * len(columns))
    key = ", ".join(map(_quoted, table.key))
    sets = [f"{_quoted(name)} = excluded.{_quoted(name)}" for name in columns]
    return (
        f"INSERT INTO {_quoted(table.name)} ({names}) VALUES ({marks})"
        f" ON CONFLICT ({key}) DO UPDATE SET {', '.join((*sets, *reset))}"
    )


@cache
def _placeholder(table: Table, columns: tuple[str, ...]) -> str:
    """Inserts a placeholder, or fills in what one did not say yet."""
    names = ", ".join(map(_quoted, (*columns, "synced_at")))
    marks = ", ".join("?" * (len(columns) + 1))
    sets = (f"{name} = coalesce({name}, excluded.{name})" for name in map(_quoted, columns))
    return (
        f"INSERT INTO {_quoted(table.name)} ({names}, placeholder) VALUES ({marks}, 1)"
        f" ON CONFLICT ({_quoted(table.key[0])}) DO UPDATE SET {', '.join(sets)},"
        " synced_at = excluded.synced_at WHERE placeholder = 1"
    )
