"""A record as Pylon gave it, to the rows that SQLite holds. Pure; loses no value it is given."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from typing import Any, NamedTuple

from pylon_to_sqlite.errors import Unexpected
from pylon_to_sqlite.stream import Column, Link, Stream
from pylon_to_sqlite.streams import BY_NAME
from pylon_to_sqlite.text import clean, text_of

Record = Mapping[str, Any]
Value = str | int | float | None
Row = dict[str, Value]

# Columns that the mirror writes itself; a field of such a name is stored beside them.
OURS = ("synced_at", "deleted_at", "placeholder")
_TAKEN = frozenset((*OURS, "rowid", "oid", "_rowid_"))

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:?\d\d)", re.ASCII)
_TIME_NAME = re.compile(r"(_at|_time|timestamp)$")


class Reference(NamedTuple):
    """What a record says of another: a row for `table` in case the other is not known."""

    table: str
    row: Row


@dataclass(frozen=True)
class Rows:
    """All rows that come of one record; every link table of its stream is named, empty or not."""

    row: Row
    links: Mapping[str, Sequence[Row]]
    references: Sequence[Reference]


class _Shape(NamedTuple):
    """The fields that columns take, as a tree, and the names that other fields must not take."""

    fields: Mapping[str, Any]
    names: frozenset[str]


def rows_of(stream: Stream, record: object, given: Mapping[str, str] | None = None) -> Rows:
    """The rows of one record of `stream`.

    `given` holds what the question tells: the parent's key, which is true whatever the record
    says, and the parameter it was asked with. Raises Unexpected for a record without its key.
    """
    if not isinstance(record, Mapping):
        raise Unexpected(f"a record that is no object but {_shown(record)}")
    references: list[Reference] = []
    links = [link for link in stream.links if _has_shape(link, record.get(link.path))]
    row = _flat(stream.columns, _shape(stream), record, references, {link.path for link in links})
    for name, value in (given or {}).items():
        if name == stream.owner or row.get(name) is None:
            row[name] = clean(value)
    for name in stream.key:
        if row.get(name) is None or isinstance(record.get(name), dict | list):
            raise Unexpected(f"a record without its {name}: {_shown(record)}")
        row[name] = str(row[name])
    rows: dict[str, list[Row]] = {link.table: [] for link in stream.links}
    for link in links:
        rows[link.table] = list(_link_rows(link, row, record.get(link.path), references))
    references.extend(_bare_references(stream, row, references))
    return Rows(row, rows, references)


def utc(value: str) -> str:
    """An RFC 3339 time as UTC, its fraction as given; anything else unchanged."""
    match = _TIME.fullmatch(value)
    if not match:
        return value
    day, clock, fraction, offset = match.groups()
    if offset in "Zz":
        return f"{day}T{clock}{fraction or ''}Z"
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{offset[:3]}:{offset[-2:]}")
        moment = moment.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return value
    return f"{moment.replace(tzinfo=None).isoformat()}{fraction or ''}Z"


def is_unset(value: object) -> bool:
    """Whether Pylon says nothing: null, "", an absent key and an empty list mean the same."""
    return value is None or value == "" or value == [] or value == {}


def _flat(
    columns: Sequence[Column],
    shape: _Shape,
    record: Record,
    references: list[Reference],
    linked: set[str] | frozenset[str] = frozenset(),
) -> Row:
    row: Row = {}
    for column in columns:
        if column.path:
            value, holder = _dig(record, column.path)
            row[column.name] = _converted(column.kind, value)
            if column.refers and holder is not record and not is_unset(value):
                references.append(_reference(column, holder))
    for name, value in _unknown(record, shape.fields, linked):
        _keep(row, shape.names, name, value)
    return row


def _dig(record: Record, path: str) -> tuple[object, Record]:
    """The value at a dotted path, and the object that holds it."""
    *outer, last = path.split(".")
    for name in outer:
        inner = record.get(name)
        if not isinstance(inner, Mapping):
            return None, {}
        record = inner
    return record.get(last), record


def _unknown(
    record: Record, fields: Mapping[str, Any], linked: set[str] | frozenset[str] = frozenset()
) -> Iterator[tuple[str, object]]:
    """The set fields that no column takes; those inside a known object under both names."""
    for name, value in sorted(record.items()):
        if is_unset(value) or name in linked:
            continue
        known = fields.get(name, False)
        if known is False or (known is not None and not isinstance(value, Mapping)):
            yield name, value
        elif known is not None:
            # What the referred record tells itself is not repeated, unless nothing names it.
            inner = known if not is_unset(value.get("id")) else known.get("", known)
            for sub, what in _unknown(value, inner):
                yield f"{name}_{sub}", what


def _keep(row: Row, names: frozenset[str], name: str, value: object) -> None:
    """Store a field nobody knew under its own name, or the nearest that is free."""
    if isinstance(value, Mapping) and set(value) == {"id"}:
        name, value = f"{name}_id", value["id"]
    name = clean(name) or "_"
    kind = "time" if _TIME_NAME.search(name) else "text"
    stored = _converted(kind, value) if isinstance(value, str) else _scalar(value)
    if name in row and row[name] is None and name not in _TAKEN:
        row[name] = stored
        return
    if name in row and row[name] == stored:
        return
    taken = names | {other.lower() for other in row}
    while name.lower() in taken:
        name += "_"
    row[name] = stored


def _converted(kind: str, value: object) -> Value:
    if is_unset(value):
        return None
    if kind == "json":
        return _json(value)
    if isinstance(value, str):
        if kind == "plain":
            return text_of(clean(value)) or None
        return utc(clean(value)) if kind == "time" else clean(value)
    if isinstance(value, bool) and kind not in ("boolean", "integer"):
        return "true" if value else "false"
    return _scalar(value)


def _scalar(value: object) -> Value:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        # SQLite's integers end at 64 bits.
        return value if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, float):
        return value
    return clean(value) if isinstance(value, str) else _json(value)


def _json(value: object) -> str:
    # Sorted, so that a map which comes in another order is not a change.
    try:
        return clean(json.dumps(value, ensure_ascii=False, sort_keys=True))
    except RecursionError:
        raise Unexpected("a record that is nested too deep") from None


def _reference(column: Column, holder: Record) -> Reference:
    target = BY_NAME[column.refers]
    row = {
        known.name: _converted(known.kind, holder.get(known.path))
        for known in target.columns
        if known.path in holder and known.path != "id"
    }
    row[target.key[0]] = _text(holder["id"])
    return Reference(column.refers, row)


def _bare_references(stream: Stream, row: Row, told: Sequence[Reference]) -> Iterator[Reference]:
    """References that give nothing but a key. A thread is the issue's whose note names it."""
    known = {(table, one[BY_NAME[table].key[0]]) for table, one in told}
    for column in stream.columns:
        value = row.get(column.name)
        if not column.refers or value is None or column.name == stream.owner:
            continue
        target = BY_NAME[column.refers]
        if (target.name, value) not in known:
            owner = {target.owner: row[target.owner]} if target.owner in row else {}
            yield Reference(target.name, {target.key[0]: value, **owner})


def _text(value: object) -> str:
    return clean(value) if isinstance(value, str) else str(_scalar(value))


def _has_shape(link: Link, value: object) -> bool:
    if is_unset(value):
        return True
    return isinstance(value, Mapping if link.shape == "custom_fields" else list)


def _link_rows(link: Link, row: Row, value: Any, references: list[Reference]) -> Iterator[Row]:
    key = row[BY_NAME[link.owner.refers].key[0]]
    seen: set[tuple[Value, ...]] = set()
    for one in _link_items(link, value or [], references):
        one[link.owner.name] = key
        identity = tuple(one[name] for name in link.key)
        if identity not in seen and None not in identity:
            seen.add(identity)
            yield one


def _link_items(link: Link, value: Any, references: list[Reference]) -> Iterator[Row]:
    if link.shape == "custom_fields":
        for slug in sorted(value):
            yield from _custom_field(link, slug, value[slug])
    elif link.shape == "values":
        column = link.columns[0]
        for item in value:
            if column.path and isinstance(item, Mapping) and not is_unset(item.get("id")):
                references.append(_reference(column, item))
                yield {column.name: _text(item["id"])}
            elif not is_unset(item):
                if column.refers:
                    references.append(Reference(column.refers, {"id": _text(item)}))
                yield {column.name: _text(item)}
    else:
        for position, item in enumerate(value):
            record = item if isinstance(item, Mapping) else {"value": item}
            yield {**_flat(link.columns, _shape(link), record, references), "position": position}


def _custom_field(link: Link, slug: str, field: Any) -> Iterator[Row]:
    """One row a value: of `values` where a field has several, else of `value`."""
    if not isinstance(field, Mapping):
        field = {"values": field} if isinstance(field, list) else {"value": field}
    several = field.get("values")
    values = list(several) if isinstance(several, list) else [several]
    if field.get("value") not in values:
        values.append(field.get("value"))
    told = {name: what for name, what in field.items() if name not in ("slug", "value", "values")}
    position = 0
    for value in values:
        if not is_unset(value):
            flat = _flat(link.columns, _shape(link), {**told, "value": value}, [])
            yield {**flat, "slug": clean(slug), "position": position}
            position += 1


@cache
def _shape(source: Stream | Link) -> _Shape:
    fields: dict[str, Any] = {}
    for column in source.columns:
        *outer, last = column.path.split(".")
        inner = fields
        for name in outer:
            inner = inner.setdefault(name, {})
        if column.refers and outer:
            inner.update(_told_by(BY_NAME[column.refers]))
            inner[""] = {"id": None}
        elif column.path and not isinstance(inner.get(last), dict):
            inner[last] = None
    names = {column.name.lower() for column in source.columns} | _TAKEN
    if isinstance(source, Link):
        names.add(source.owner.name.lower())
    return _Shape(fields, frozenset(names))


def _told_by(stream: Stream) -> dict[str, None]:
    """The fields that a record of `stream` tells itself: where it is referred to, no news."""
    told = {
        column.path: None for column in stream.columns if column.path and "." not in column.path
    }
    return told | {link.path: None for link in stream.links}


def _shown(value: object) -> str:
    """A record for an error message: its shape, never its words."""
    if isinstance(value, Mapping):
        return "an object with " + (", ".join(sorted(map(repr, value))[:8]) or "nothing in it")
    return f"a {type(value).__name__}"
