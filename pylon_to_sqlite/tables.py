"""Rows into tables: what differs is written, what is the same is left alone. Knows no streams."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from sqlite_utils import Database

from pylon_to_sqlite.drift import Drifts, added
from pylon_to_sqlite.layout import columns_of, quoted
from pylon_to_sqlite.rows import OTHERS, OURS, Drift, Row, free
from pylon_to_sqlite.schema import Table
from pylon_to_sqlite.stream import Link
from pylon_to_sqlite.values import Value, as_stored

# What is beyond that has a column together: SQLite has room for 2,000, people for fewer, and names
# of columns stand in every statement.
MOST_COLUMNS = 1000
LONGEST_NAME = 200

Key = tuple[Value, ...]

# What a column of this type gives back as it was.
_NATIVE: Mapping[str, type] = {"TEXT": str, "INTEGER": int, "FLOAT": float}


class Changes(NamedTuple):
    """Keys of the rows that came to be and of those that became different."""

    new: set[Key]
    changed: set[Key]


class _Names(NamedTuple):
    """The columns of a table in small letters: those that records fill, with their names as they
    are written, and those of others, such as the user's own."""

    mine: dict[str, str]
    theirs: set[str]


@dataclass
class Tables:
    """The mirror's tables in `db`. Every method belongs inside a transaction of the caller's."""

    db: Database
    _types: dict[str, dict[str, str]] = field(default_factory=dict)
    _filled: dict[str, set[str]] = field(default_factory=dict)
    _news: Mapping[str, set[str]] | None = None

    def __post_init__(self) -> None:
        self.drifts = Drifts(self.db)

    def types(self, table: str) -> dict[str, str]:
        """The columns that `table` has in this file, with their SQL types."""
        if table not in self._types:
            self._types[table] = columns_of(self.db, table)
        return self._types[table]

    def forget_types(self) -> None:
        """After a rollback, which may have taken columns with it."""
        self._types.clear()
        self._filled.clear()
        self._news = None
        self.drifts.forget()

    def upsert(self, table: Table, rows: Iterable[Row], now: str) -> Changes:
        """Write rows of a stream's table that are new or differ; the record itself has come, so
        neither `deleted_at` nor `placeholder` stays."""
        batch = {tuple(row[name] for name in table.key): row for row in rows}
        if not batch:
            return Changes(set(), set())
        columns = self._columns(table, batch.values(), now)
        marks = ("deleted_at", *(["placeholder"] if table.has_placeholder else []))
        old = self._stored(table, columns, marks, batch)
        changes = Changes(set(), set())
        writes = []
        came = [*self._values(table, columns, batch.values())]
        was = [old[key][0] if key in old else None for key in batch]
        self.drifts.presence(table.name, table.name).see(columns, came, was)
        for key, values in zip(batch, came, strict=True):
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
        self, table: Table, owner: str, owners: Sequence[Value], rows: Iterable[Row], now: str
    ) -> set[Value]:
        """Make `rows` the rows of a link table for these owners; gives the owners that changed."""
        batch = {tuple(row[name] for name in table.key): row for row in rows}
        columns = self._columns(table, batch.values(), now)
        at = table.key.index(owner)
        names = ", ".join(quoted(name) for name in (*table.key, *columns))
        old = {
            stored[: len(table.key)]: stored[len(table.key) :]
            for stored in self.db.execute(
                f"SELECT {names} FROM {quoted(table.name)} WHERE {quoted(owner)} IN"
                " (SELECT value FROM json_each(?))",
                [json.dumps(owners)],
            )
        }
        new = dict(zip(batch, self._values(table, columns, batch.values()), strict=True))
        self._see_lists(table, owners, {key[at] for key in old}, {key[at] for key in new})
        missing = [key for key in old if key not in new]
        differing = [values for key, values in new.items() if old.get(key) != values]
        where = " AND ".join(f"{quoted(name)} IS ?" for name in table.key)
        self.db.conn.executemany(f"DELETE FROM {quoted(table.name)} WHERE {where}", missing)
        self.db.conn.executemany(_upsert(table, columns, ()), differing)
        owner_at = columns.index(owner)
        return {key[at] for key in missing} | {values[owner_at] for values in differing}

    def _see_lists(
        self, table: Table, owners: Sequence[Value], had: set[Value], have: set[Value]
    ) -> None:
        """Take note of which records had and have anything in a list of theirs."""
        assert isinstance(table.source, Link)
        presence = self.drifts.presence(table.name, table.source.owner.refers)
        now, before = (
            [(1 if owner in some else None,) for owner in owners] for some in (have, had)
        )
        presence.see((table.source.path,), now, before)

    def insert_placeholders(self, table: Table, rows: Iterable[Row], now: str) -> None:
        """Give a row to each record only known by reference, with all that references say of it;
        those that have come themselves, or are gone, stay as they are."""
        types = self.types(table.name)
        told: dict[Key, Row] = {}
        for row in rows:
            known = told.setdefault((row[table.key[0]],), {})
            for name, value in row.items():
                if value is not None and name in types:
                    known[name] = value
        names = tuple(dict.fromkeys(name for row in told.values() for name in row))
        marks = ("placeholder", "deleted_at")
        there = self._stored(table, names, marks, told)
        writes: dict[tuple[str, ...], list[list[Value]]] = {}
        for key, row in told.items():
            values, is_placeholder, deleted_at = there.get(key, ([None] * len(names), 1, None))
            unknown = {name for name, value in zip(names, values, strict=True) if value is None}
            if is_placeholder and not deleted_at and unknown & row.keys():
                written = [as_stored(row[name], types[name]) for name in row]
                writes.setdefault(tuple(row), []).append([*written, now])
        for columns, batch in writes.items():
            self.db.conn.executemany(_placeholder(table, columns), batch)

    def _columns(self, table: Table, rows: Collection[Row], now: str) -> tuple[str, ...]:
        """The columns that records fill; for fields nobody knew some are added to the table, and
        to rows that write one in another case it is the same column."""
        mine, names = self._mine(table), None
        for row in rows:
            if unknown := row.keys() - mine:
                names = names or self._names(table)
                fields = {name: row.pop(name) for name in sorted(unknown)}
                self._place(table, names, row, fields, now)
        if news := self._added(table):
            for row in rows:
                for name in news & row.keys():
                    self._note_type(table, name, row[name], now)
        return tuple(name for name in self.types(table.name) if name in mine)

    def _names(self, table: Table) -> _Names:
        # Generated columns too, which table_info does not tell of.
        found = self.db.execute(f"PRAGMA table_xinfo({quoted(table.name)})").fetchall()
        mine = {one.lower(): one for one in self._mine(table)}
        return _Names(mine, {one[1].lower() for one in found} - mine.keys())

    def _place(self, table: Table, names: _Names, row: Row, fields: Row, now: str) -> None:
        """Give the fields of a row that nobody knew their columns, or one together where there is
        no room for one each."""
        taken = names.theirs | {one.lower() for one in row}
        others: Row = {}
        for name, value in fields.items():
            if value is None:
                continue
            column = free(name, taken)
            if column.lower() not in names.mine:
                is_full = len(self.types(table.name)) >= MOST_COLUMNS and name != OTHERS
                if is_full or len(name) > LONGEST_NAME:
                    others[name] = value
                    continue
                self._add_column(table, column, value, now)
                names.mine[column.lower()] = column
            row[names.mine[column.lower()]] = value
            taken.add(column.lower())
        if others:
            # In ASCII, and sorted, so that the same is seen to be the same.
            kept: Row = {OTHERS: json.dumps(others, sort_keys=True)}
            self._place(table, names, row, kept, now)

    def _mine(self, table: Table) -> set[str]:
        """The columns that records fill: not what the user added, nor what the mirror decides."""
        if table.name not in self._filled:
            ours = {one.name for one in table.columns if one.decided} | {*OURS}
            filled = {one.name for one in table.columns} - ours
            self._filled[table.name] = filled | self._added(table)
        return self._filled[table.name]

    def _added(self, table: Table) -> set[str]:
        """The columns that the table got for fields nobody knew."""
        if self._news is None:
            self._news = added(self.db)
        return self._news[table.name]

    def _note_type(self, table: Table, name: str, value: Value, now: str) -> None:
        """Note where a field that was new is of another type than it was then."""
        is_text, was_text = isinstance(value, str), self.types(table.name)[name] == "TEXT"
        if value is not None and is_text is not was_text:
            detail = "text where a number was" if is_text else "a number where text was"
            self.drifts.note(Drift(table.name, name, "type", detail), now)

    def _add_column(self, table: Table, name: str, value: Value, now: str) -> None:
        # A number now may be text one day, such as "007".
        kind = "TEXT" if isinstance(value, str) else ""
        self.db.execute(f"ALTER TABLE {quoted(table.name)} ADD COLUMN {quoted(name)} {kind}")
        self.drifts.note(Drift(table.name, name, "new"), now)
        self.types(table.name)[name] = kind
        self._mine(table).add(name)
        self._added(table).add(name)

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
                    value if value is None or type(value) is native else as_stored(value, one)
                    for value, native, one in zip(
                        map(row.get, columns), natives, types, strict=True
                    )
                ]
            )


@cache
def by_key(table: Table, columns: tuple[str, ...]) -> str:
    """Looks up the rows of the keys in a JSON array of arrays."""
    chosen = ", ".join(f"t.{quoted(name)}" for name in columns)
    joined = " AND ".join(
        f"t.{quoted(name)} = json_extract(k.value, '$[{position}]')"
        for position, name in enumerate(table.key)
    )
    # CROSS JOIN keeps the order: each key looks its row up, the table is not scanned.
    return (
        f"SELECT {chosen} FROM json_each(?) AS k CROSS JOIN {quoted(table.name)} AS t"
        f" WHERE {joined}"
    )


@cache
def _upsert(table: Table, columns: tuple[str, ...], reset: tuple[str, ...]) -> str:
    names = ", ".join(map(quoted, columns))
    marks = ", ".join("?" * len(columns))
    key = ", ".join(map(quoted, table.key))
    sets = [f"{quoted(name)} = excluded.{quoted(name)}" for name in columns]
    return (
        f"INSERT INTO {quoted(table.name)} ({names}) VALUES ({marks})"
        f" ON CONFLICT ({key}) DO UPDATE SET {', '.join((*sets, *reset))}"
    )


@cache
def _placeholder(table: Table, columns: tuple[str, ...]) -> str:
    """Inserts a placeholder, or fills in what one did not say yet."""
    names = ", ".join(map(quoted, (*columns, "synced_at")))
    marks = ", ".join("?" * (len(columns) + 1))
    sets = (f"{name} = coalesce({name}, excluded.{name})" for name in map(quoted, columns))
    return (
        f"INSERT INTO {quoted(table.name)} ({names}, placeholder) VALUES ({marks}, 1)"
        f" ON CONFLICT ({quoted(table.key[0])}) DO UPDATE SET {', '.join(sets)},"
        " synced_at = excluded.synced_at WHERE placeholder = 1"
    )
