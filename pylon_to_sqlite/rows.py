"""A record as Pylon gave it, to the rows that SQLite holds. Pure; loses no value it is given."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from pylon_to_sqlite.errors import Unexpected
from pylon_to_sqlite.schema import SQL_TYPES
from pylon_to_sqlite.stream import Column, Kind, Link, Stream
from pylon_to_sqlite.streams import BY_NAME
from pylon_to_sqlite.text import clean
from pylon_to_sqlite.values import (
    USUAL,
    Value,
    as_text,
    changes,
    converted,
    is_unset,
    scalar,
    surprise,
)

Record = Mapping[str, Any]
Row = dict[str, Value]

# Columns that the mirror writes itself; a field of such a name is stored beside them.
OURS = ("synced_at", "deleted_at", "placeholder")
# The column, a JSON object, of fields that have no room for one each.
OTHERS = "other_fields"
# The column, a JSON array, of what a list tells when it names a record again.
REPEATED = "repeated"
_TAKEN = frozenset((*OURS, OTHERS, "rowid", "oid", "_rowid_"))

# So many fields of one name, but for the case of its letters, are told apart by what people read.
FEW_NAMES = 4
# Signs of a field's name in an error.
LONGEST_SHOWN = 60

_NUMERIC = frozenset(("integer", "boolean", "real"))
_TIME_NAME = re.compile(r"(_at|_time|timestamp)$")
_NOTHING: Record = {}
# What a list inside a record is given as.
_LINKED: Mapping[str, frozenset[type]] = {
    "values": USUAL["array"],
    "objects": USUAL["array"],
    "custom_fields": USUAL["object"],
}


class Reference(NamedTuple):
    """What a record says of another: a row for `table` in case the other is not known."""

    table: str
    row: Row


class Drift(NamedTuple):
    """A field that is not what this tool knows: it is "new", of another "type", or "gone"."""

    table: str
    column: str
    change: Literal["new", "type", "gone"]
    detail: str = ""


class Rows(NamedTuple):
    """All rows that come of one record; every link table of its stream is named, empty or not."""

    row: Row
    links: Mapping[str, Sequence[Row]]
    references: Sequence[Reference]
    drift: Sequence[Drift] = ()


class _Told(NamedTuple):
    """What a record tells beyond its own rows."""

    references: list[Reference]
    drift: list[Drift]

    def expect(self, table: str, column: str, usual: frozenset[type], value: object) -> None:
        """Note a value that is of no type which Pylon used to give."""
        if detail := surprise(usual, value):
            self.drift.append(Drift(table, column, "type", detail))


class _Inner(NamedTuple):
    """A column whose value stands in the field `last` inside the objects `outer`."""

    column: Column
    outer: tuple[str, ...]
    last: str


class _Shape(NamedTuple):
    """How records of one source are laid out as columns."""

    table: str
    columns: tuple[str, ...]
    """All that have a place in the record."""
    direct: Mapping[str, tuple[Column, ...]]
    """The columns that a field fills alone."""
    inner: tuple[_Inner, ...]
    fields: Mapping[str, Any]
    """The fields that columns take, as a tree."""
    names: frozenset[str]
    """What a field that nobody knew must not be called."""
    references: tuple[Column, ...]


def rows_of(stream: Stream, record: object, given: Mapping[str, str] | None = None) -> Rows:
    """The rows of one record of `stream`.

    `given` holds what the question tells: the parent's key, which is true whatever the record
    says, and the parameter it was asked with. Raises Unexpected for a record without its key.
    """
    if not isinstance(record, dict):
        raise Unexpected(f"a record that is no object but {_shown(record)}")
    record = stream.shaped(record)
    told = _Told([], [])
    links = [link for link in stream.links if _has_shape(link, record.get(link.path))]
    for link in stream.links:
        told.expect(stream.name, link.path, _LINKED[link.shape], record.get(link.path))
    row = _flat(_shape(stream), record, told, {link.path for link in links})
    for name, value in (given or {}).items():
        # What a path names has no other answer; a parameter may be answered with more.
        if name == stream.owner or "{" in stream.path or row.get(name) is None:
            before, row[name] = row.get(name), clean(value)
            if before is not None and str(before) != row[name]:
                # Such as the issue that this one was merged into.
                row[free(name, {one.lower() for one in row})] = before
    for name in stream.key:
        if row.get(name) is None or isinstance(record.get(name), (dict, list)):
            raise Unexpected(f"a record without its {name}: {_shown(record)}")
        row[name] = str(row[name])
    rows: dict[str, list[Row]] = {link.table: [] for link in stream.links}
    for link in links:
        rows[link.table] = list(_link_rows(link, row, record.get(link.path), told))
    told.references.extend(_bare_references(stream, row, told.references))
    return Rows(row, rows, *told)


def rows_of_page(
    stream: Stream, records: Sequence[object], part: str | None, asked: str
) -> list[Rows]:
    """The rows of all records of a page; `part` is the parent's key or the parameter's value that
    `asked`, the method and path of the question, was about. Raises Unexpected, saying where."""
    given = None if part is None else {stream.part_column: part}
    found = []
    for position, record in enumerate(records):
        try:
            found.append(rows_of(stream, record, given))
        except Unexpected as error:
            raise Unexpected(f"{asked}: {error} (record {position} of its page)") from None
    return found


def _flat(
    shape: _Shape,
    record: Record,
    told: _Told,
    linked: set[str] | frozenset[str] = frozenset(),
) -> Row:
    row: Row = dict.fromkeys(shape.columns)
    others = []
    changed = []
    for name, value in record.items():
        if value is None:
            continue
        columns = shape.direct.get(name)
        if columns is None:
            others.append(name)
            continue
        for column in columns:
            kind = column.kind
            if type(value) not in USUAL[kind]:
                told.expect(shape.table, column.name, USUAL[kind], value)
            row[column.name] = converted(kind, value)
            if kind in _NUMERIC and changes(row[column.name], SQL_TYPES[kind]):
                changed.append(column.name)
    for column, outer, last in shape.inner:
        holder = record
        for name in outer:
            holder = holder.get(name, _NOTHING)
            if not isinstance(holder, dict):
                holder = _NOTHING
        value = holder.get(last)
        if not is_unset(value):
            told.expect(shape.table, column.name, USUAL[column.kind], value)
            row[column.name] = converted(column.kind, value)
            if column.refers:
                told.references.append(_reference(column, holder))
    unknown = [*_unknown(record, shape.fields, set(others) - linked)]
    if unknown or changed:
        taken = {*shape.names, *(name.lower() for name in row)}
        for name in changed:
            # Such as 007, of which the column keeps 7.
            _add(row, taken, name, str(row[name]))
        for name, value in unknown:
            _keep(shape, row, taken, name, value, told)
    return row


def _unknown(
    record: Record, fields: Mapping[str, Any], names: Collection[str]
) -> Iterator[tuple[str, object]]:
    """Those of the named fields that are set and that no column takes; what stands inside a known
    object goes under both names."""
    for name in sorted([name for name in names if fields.get(name, name) is not None]):
        value = record[name]
        if is_unset(value):
            continue
        known = fields.get(name)
        if known is None or not isinstance(value, dict):
            yield name, value
        else:
            # What the referred record tells itself is not repeated, unless nothing names it.
            inner = known if not is_unset(value.get("id")) else known.get("", known)
            for sub, what in _unknown(value, inner, value):
                yield f"{name}_{sub}", what


def _keep(shape: _Shape, row: Row, taken: set[str], name: str, value: object, told: _Told) -> None:
    """Store a field nobody knew under its own name, or the nearest that is free."""
    if isinstance(value, dict) and set(value) == {"id"}:
        name, value = f"{name}_id", value["id"]
        if is_unset(value):
            return
    name = clean(name) or "_"
    kind: Kind = "time" if _TIME_NAME.search(name) else "text"
    stored = converted(kind, value) if isinstance(value, str) else scalar(value)
    if name in row and row[name] is None and name not in _TAKEN:
        # Such as the key of another record, which used to stand inside an object.
        told.expect(shape.table, name, USUAL["text"], value)
        row[name] = stored
        return
    if name not in row or row[name] != stored:
        _add(row, taken, name, stored)


def _add(row: Row, taken: set[str], name: str, value: Value) -> None:
    name = free(name, taken)
    row[name] = value
    taken.add(name.lower())


def free(name: str, taken: Collection[str]) -> str:
    """The name, or the nearest that is not taken by one in any case."""
    found = name
    for _ in range(FEW_NAMES):
        if found.lower() not in taken:
            return found
        found += "_"
    # A name of 20 letters can be written in a million ways.
    return free(f"{found}{sha256(name.encode()).hexdigest()[:16]}", taken)


def _reference(column: Column, holder: Record) -> Reference:
    told = _told_by(BY_NAME[column.refers])
    row = {
        one.name: converted(one.kind, holder[field])
        for field, columns in told.items()
        if field in holder
        for one in columns
    }
    return Reference(column.refers, {**row, BY_NAME[column.refers].key[0]: as_text(holder["id"])})


def _bare_references(stream: Stream, row: Row, told: Sequence[Reference]) -> Iterator[Reference]:
    """References that give nothing but a key. A thread is the issue's whose note names it."""
    known = {(table, one[BY_NAME[table].key[0]]) for table, one in told}
    for column in _shape(stream).references:
        value = row.get(column.name)
        if value is None or column.name == stream.owner:
            continue
        target = BY_NAME[column.refers]
        if (target.name, value) not in known:
            owner = {target.owner: row[target.owner]} if target.owner in row else {}
            yield Reference(target.name, {target.key[0]: str(value), **owner})


def _has_shape(link: Link, value: object) -> bool:
    return is_unset(value) or type(value) in _LINKED[link.shape]


def _link_rows(link: Link, row: Row, value: Any, told: _Told) -> Iterator[Row]:
    key = row[BY_NAME[link.owner.refers].key[0]]
    first: dict[tuple[Value, ...], Row] = {}
    again: dict[tuple[Value, ...], list[Row]] = {}
    for one in _link_items(link, value or [], told):
        one[link.owner.name] = key
        identity = tuple(one[name] for name in link.key)
        known = first.setdefault(identity, one)
        # A list that names one twice may tell something else of it the second time.
        if more := {name: what for name, what in one.items() if known.get(name) != what}:
            again.setdefault(identity, []).append(more)
    for identity, one in first.items():
        if more_of_it := again.get(identity):
            one[free(REPEATED, {name.lower() for name in one})] = scalar(more_of_it)
        yield one


def _link_items(link: Link, value: Any, told: _Told) -> Iterator[Row]:
    if link.shape == "custom_fields":
        places: Counter[str] = Counter()
        for slug in sorted(value):
            for one in _custom_field(link, slug, value[slug], told):
                # What SQLite cannot hold of two slugs may be all that tells them apart.
                yield {**one, "slug": (name := clean(slug)), "position": places[name]}
                places[name] += 1
    elif link.shape == "values":
        column = link.columns[0]
        for item in value:
            if column.path and isinstance(item, dict) and not is_unset(item.get("id")):
                told.references.append(_reference(column, item))
                yield {**_flat(_shape(link), item, told), column.name: as_text(item["id"])}
            elif not is_unset(item):
                if column.refers:
                    told.references.append(Reference(column.refers, {"id": as_text(item)}))
                yield {column.name: as_text(item)}
    else:
        for position, item in enumerate(value):
            record = item if isinstance(item, dict) else {"value": item}
            yield {**_flat(_shape(link), record, told), "position": position}


def _custom_field(link: Link, slug: str, field: Any, told: _Told) -> Iterator[Row]:
    """One row a value, but for its slug and place: of `values` where a field has several, else of
    `value`."""
    if not isinstance(field, dict):
        told.expect(link.table, "value", _LINKED[link.shape], field)
        field = {"values": field} if isinstance(field, list) else {"value": field}
    several = field.get("values")
    values = list(several) if isinstance(several, list) else [several]
    if field.get("value") not in values:
        values.append(field.get("value"))
    rest = {name: what for name, what in field.items() if name not in ("slug", "value", "values")}
    if field.get("slug") != slug:
        rest["slug"] = field.get("slug")
    found = [value for value in values if not is_unset(value)]
    has_more = not all(map(is_unset, rest.values()))
    for value in found or [None] * has_more:
        yield _flat(_shape(link), {**rest, "value": value}, told)


@cache
def _shape(source: Stream | Link) -> _Shape:
    fields: dict[str, Any] = {}
    direct: dict[str, tuple[Column, ...]] = {}
    inside = []
    for column in source.columns:
        *outer, last = column.path.split(".")
        inner = fields
        for name in outer:
            inner = inner.setdefault(name, {})
        if column.refers and (outer or last == "id"):
            inner.update(dict.fromkeys(_told_by(BY_NAME[column.refers])))
            inner[""] = {"id": None}
        elif column.path and not isinstance(inner.get(last), dict):
            inner[last] = None
        if outer:
            inside.append(_Inner(column, tuple(outer), last))
        elif column.path:
            direct[last] = (*direct.get(last, ()), column)
    names = {column.name.lower() for column in source.columns} | _TAKEN
    if isinstance(source, Link):
        names.add(source.owner.name.lower())
    return _Shape(
        source.table if isinstance(source, Link) else source.name,
        tuple(column.name for column in source.columns if column.path),
        direct,
        tuple(inside),
        fields,
        frozenset(names),
        tuple(column for column in source.columns if column.refers),
    )


@cache
def _told_by(stream: Stream) -> Mapping[str, tuple[Column, ...]]:
    """The fields that a record of `stream` tells itself, with the columns that a reference to it
    can fill: where it is referred to, they are no news."""
    told: dict[str, tuple[Column, ...]] = {link.path: () for link in stream.links}
    for column in stream.columns:
        if column.path and "." not in column.path:
            ours = () if column.path == "id" else (column,)
            told[column.path] = (*told.get(column.path, ()), *ours)
    return told


def _shown(value: object) -> str:
    """A record for an error message: its shape, never its words."""
    if isinstance(value, dict):
        names = [repr(name[:LONGEST_SHOWN]) for name in sorted(value)[:8]]
        return f"an object with {', '.join(names) or 'nothing in it'}"
    return f"a {type(value).__name__}"
