"""Rows into tables: what differs is written, what is the same is left alone. Knows no streams."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlite_utils import Database

from pylon_to_sqlite.errors import Unexpected
from pylon_to_sqlite.rows import OURS, Row, Value
from pylon_to_sqlite.schema import BOOKKEEPING, INDEXES, SQL_TYPES, TABLES, Table

# SQLite's own limit.
MAX_COLUMNS = 2000

Key = tuple[Value, ...]

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
    _added: dict[str, set[str]] = field(default_factory=dict)
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

    def _create(self, table: Table) -> None:
        self.db.table(table.name).create(
            {column.name: SQL_TYPES[column.kind] for column in table.columns},
            pk=table.key if len(table.key) > 1 else table.key[0],
            foreign_keys=table.foreign_keys,
            not_null={"placeholder"} if table.has_placeholder else None,
            defaults={"placeholder": 0} if table.has_placeholder else None,
        )
        indexes = {columns for name, columns in INDEXES if name == table.name}
        led = {columns[0] for columns in indexes} | {table.key[0]}
        indexes |= {(column.name,) for column in table.columns if column.refers} - {
            (name,) for name in led
        }
        for columns in sorted(indexes):
            self.db.table(table.name).create_index(columns)

    def types(self, table: str) -> dict[str, str]:
        """The columns that `table` has in this file, with their SQL types."""
        if table not in self._types:
            self._types[table] = {one.name: one.type for one in self.db.table(table).columns}
        return self._types[table]

    def forget_types(self) -> None:
        """After a rollback, which may have taken columns with it."""
        self._types.clear()
        self._added.clear()

    def upsert(self, table: Table, rows: Iterable[Row], now: str) -> Changes:
        """Write rows of a stream's table that are new or differ; the record itself has come, so
        neither `deleted_at` nor `placeholder` stays."""
        batch = {tuple(row[name] for name in table.key): row for row in rows}
        columns = self._columns(table, batch.values())
        marks = ["deleted_at", *(["placeholder"] if table.has_placeholder else [])]
        old = self._stored(table, columns, marks, batch)
        changes = Changes(set(), set())
        writes = []
        for key, row in batch.items():
            values = self._values(table, columns, row)
            before, deleted_at, *placeholder = old.get(key, (None, None))
            if before is None or any(placeholder):
                changes.new.add(key)
            elif before != values or deleted_at:
                changes.changed.add(key)
            else:
                continue
            writes.append((*values, now))
        reset = ["deleted_at = NULL"] + ["placeholder = 0"] * table.has_placeholder
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
        new = {key: self._values(table, columns, row) for key, row in batch.items()}
        missing = [key for key in old if key not in new]
        differing = [values for key, values in new.items() if old.get(key) != values]
        where = " AND ".join(f"{_quoted(name)} IS ?" for name in table.key)
        self.db.conn.executemany(f"DELETE FROM {_quoted(table.name)} WHERE {where}", missing)
        self.db.conn.executemany(_upsert(table, columns, []), differing)
        owner_at = columns.index(owner)
        return {key[at] for key in missing} | {values[owner_at] for values in differing}

    def insert_placeholders(self, table: Table, rows: Iterable[Row], now: str) -> None:
        """Give a row to each record only known by reference, with all that references say of it;
        those that have come themselves stay as they are."""
        merged: dict[Value, Row] = {}
        for row in rows:
            known = merged.setdefault(row[table.key[0]], {})
            known.update({name: value for name, value in row.items() if value is not None})
        types = self.types(table.name)
        for row in merged.values():
            told = {name: _as_stored(row[name], types[name]) for name in row if name in types}
            values: dict[str, Value] = {**told, "synced_at": now, "placeholder": 1}
            names = ", ".join(map(_quoted, values))
            marks = ", ".join("?" * len(values))
            quoted = [_quoted(name) for name in told]
            sets = ", ".join(f"{name} = coalesce({name}, excluded.{name})" for name in quoted)
            is_news = " OR ".join(f"{name} IS NULL" for name in quoted)
            self.db.execute(
                f"INSERT INTO {_quoted(table.name)} ({names}) VALUES ({marks})"
                f" ON CONFLICT ({_quoted(table.key[0])}) DO UPDATE SET {sets},"
                f" synced_at = excluded.synced_at WHERE placeholder = 1 AND ({is_news})",
                list(values.values()),
            )

    def _columns(self, table: Table, rows: Iterable[Row]) -> list[str]:
        """The columns that records fill; those nobody knew are added to the table, and to rows
        that write one in another case it is the same column."""
        types = self.types(table.name)
        by_lower = {name.lower(): name for name in types}
        for row in rows:
            for name in [name for name in row if name not in types]:
                value = row.pop(name)
                if value is None:
                    continue
                if name.lower() not in by_lower:
                    self._add_column(table, name, value)
                    by_lower[name.lower()] = name
                row[by_lower[name.lower()]] = value
        mine = self._mine(table)
        return [name for name in types if name in mine]

    def _mine(self, table: Table) -> set[str]:
        """The columns that records fill: not what the user added, nor what the mirror decides."""
        if table.name not in self._added:
            found = self.db.execute(
                'SELECT name FROM _pylon_columns WHERE "table" = ?', [table.name]
            )
            self._added[table.name] = {row[0] for row in found}
        declared = {one.name for one in table.columns if not one.decided and one.name not in OURS}
        return declared | self._added[table.name]

    def _add_column(self, table: Table, name: str, value: Value) -> None:
        kind = {int: "INTEGER", float: "FLOAT"}.get(type(value), "TEXT")
        if len(self.types(table.name)) >= MAX_COLUMNS:
            raise Unexpected(f"more fields than {table.name} can have columns: {MAX_COLUMNS:,}")
        self.db.execute(f"ALTER TABLE {_quoted(table.name)} ADD COLUMN {_quoted(name)} {kind}")
        self.db.execute("INSERT INTO _pylon_columns VALUES (?, ?)", [table.name, name])
        self.types(table.name)[name] = kind
        self._mine(table)
        self._added[table.name].add(name)
        self.new_columns.append(f"{table.name}.{name}")

    def _stored(
        self, table: Table, columns: Sequence[str], marks: Sequence[str], keys: Iterable[Key]
    ) -> dict[Key, tuple[Any, ...]]:
        """By key: the values of `columns` as one tuple, then those of `marks`."""
        names = [*table.key, *columns, *marks]
        chosen = ", ".join(f"t.{_quoted(name)}" for name in names)
        joined = " AND ".join(
            f"t.{_quoted(name)} = json_extract(k.value, '$[{position}]')"
            for position, name in enumerate(table.key)
        )
        # CROSS JOIN keeps the order: each key looks its row up, the table is not scanned.
        found = self.db.execute(
            f"SELECT {chosen} FROM json_each(?) AS k CROSS JOIN {_quoted(table.name)} AS t"
            f" WHERE {joined}",
            [json.dumps(list(keys))],
        )
        start, end = len(table.key), len(table.key) + len(columns)
        return {row[:start]: (row[start:end], *row[end:]) for row in found}

    def _values(self, table: Table, columns: Sequence[str], row: Row) -> tuple[Value, ...]:
        types = self.types(table.name)
        return tuple(_as_stored(row.get(name), types[name]) for name in columns)


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


def _upsert(table: Table, columns: Sequence[str], reset: Sequence[str]) -> str:
    names = ", ".join(map(_quoted, columns))
    marks = ", ".join("?" * len(columns))
    key = ", ".join(map(_quoted, table.key))
    sets = [f"{_quoted(name)} = excluded.{_quoted(name)}" for name in columns]
    return (
        f"INSERT INTO {_quoted(table.name)} ({names}) VALUES ({marks})"
        f" ON CONFLICT ({key}) DO UPDATE SET {', '.join((*sets, *reset))}"
    )


def rows_as_dicts(db: Database, sql: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a query, by column name."""
    cursor = db.execute(sql, dict(params))
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
