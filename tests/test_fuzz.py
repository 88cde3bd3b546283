"""Any JSON as records of any stream: nothing raises but the project's own error, and no value is
lost on its way into the file.

A long run: FUZZ_EXAMPLES=20000 pytest -n 2 tests/test_fuzz.py
"""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pylon_to_sqlite.decoding import bounds_of, parsed
from pylon_to_sqlite.errors import PylonError
from pylon_to_sqlite.rows import Rows, rows_of
from pylon_to_sqlite.runs import Counts
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.stream import Column, Link, Stream
from pylon_to_sqlite.streams import BY_NAME, STREAMS
from pylon_to_sqlite.text import clean
from pylon_to_sqlite.unsigned import unsigned
from pylon_to_sqlite.values import is_unset, utc

NOW, LATER = "2026-07-01T00:00:00Z", "2026-07-02T00:00:00Z"
FUZZ = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

Path_ = tuple[str | int, ...]
Asked = tuple[Stream, dict[str, Any], dict[str, str] | None]

ODD = (
    *(
        "007",
        "1e5",
        " 42 ",
        "9" * 25,
        "0.10",
        "-0",
        "1.0",
        "NaN",
        "null",
        "true",
        "[1]",
        '{"a": 1}',
    ),
    *("a\x00b", "\x00", "\ud83d", "\udc00x", "\x1b[31m", "\u202e", "\u2028", "é", "e\u0301"),
    *("2026-07-01T02:00:00+02:00", "2026-07-01T00:00:00.5Z", "0001-01-01T00:00:00+23:59"),
    *("https://u:p@h.example/x.png?Signature=s#f", "//h?x", "<p>One</p>", "<b", "&#x41;"),
)
NUMBERS = (2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**40, -0.0, 1e300, 5e-324, 0.1, 1.0)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from((*ODD, *NUMBERS))
)
ODD_NAMES = st.sampled_from(
    [
        *("", "_", "id", "ID", "Id_", "rowid", "OID", "_rowid_", "synced_at", "deleted_at", "oid"),
        *("placeholder", "position", "other_fields", "value", "slug", "name", "Title", "title_"),
        *('a"b', "a'b", "a.b", "a]b", "a`b", "a\nb", "a;--", "a\x00b", "a\ufffdb", "\ud800", "%s"),
        *(
            "é",
            "e\u0301",
            "k",
            "\u212a",
            "İ",
            "ß",
            "x" * 5_000,
            "sqlite_x",
            "created_at",
            "{}",
            "?",
        ),
    ]
)


def fields_of(sources: tuple[Stream | Link, ...]) -> list[str]:
    """The names that records and the objects in them are known to have."""
    paths = [column.path for one in sources for column in one.columns]
    paths += [one.path for one in sources if isinstance(one, Link)]
    return sorted({name for path in paths for name in path.split(".") if name})


STREAM_FIELDS = {one.name: fields_of((one, *one.links)) for one in STREAMS}
ALL_FIELDS = sorted({name for names in STREAM_FIELDS.values() for name in names})
NAMES = st.sampled_from(ALL_FIELDS) | ODD_NAMES | st.text(max_size=5)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)


def objects_of(*fields: str) -> st.SearchStrategy[Any]:
    """Objects with an id or none, and with some of these fields."""
    names = st.sampled_from(fields) | ODD_NAMES
    return st.builds(
        lambda key, rest: {**rest, **key},
        st.just({}) | st.fixed_dictionaries({"id": st.sampled_from("ab") | JSON}),
        st.dictionaries(names, JSON, max_size=3),
    )


FIELD = objects_of("slug", "value", "values", "interpreted_value", "position")


def usual(source: Stream, name: str) -> st.SearchStrategy[Any]:
    """What stands in a field of a stream, more or less."""
    for link in source.links:
        if link.path == name:
            if link.shape == "custom_fields":
                return st.dictionaries(st.sampled_from(("a", "a.b", "priority")) | NAMES, FIELD)
            item = objects_of(*fields_of((link,)), *ALL_FIELDS)
            return st.lists(item, min_size=2, max_size=3) | st.lists(item | JSON, max_size=3)
    refers = [one.refers for one in source.columns if one.refers and f"{name}." in one.path]
    if refers:
        known = sorted({name for one in refers for name in STREAM_FIELDS[one]})
        inner = objects_of(*known)
        return inner | st.dictionaries(st.sampled_from(("user", "contact", "name")), inner)
    return JSON


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    """A stream, a record of it, and what the question tells."""
    stream = draw(st.sampled_from(STREAMS))
    record = draw(st.dictionaries(NAMES, JSON, max_size=3))
    names = st.sampled_from(STREAM_FIELDS[stream.name])
    if inner := [link.path for link in stream.links]:
        inner += [one.path.split(".")[0] for one in stream.columns if "." in one.path]
        names |= st.sampled_from(inner)
    for name in draw(st.lists(names, max_size=6)):
        record[name] = draw(usual(stream, name) | JSON)
    for name in stream.key:
        # Else nearly all would be refused.
        record[name] = draw(st.sampled_from(("k", "K", "1", "é", 7, 2.5)))
    return stream, record, {stream.part_column: "part"} if stream.part_column else None


@given(record=st.dictionaries(NAMES, JSON, max_size=3), key=JSON)
@FUZZ
def test_a_record_of_any_key_is_taken_or_refused(record: dict[str, Any], key: Any) -> None:
    try:
        rows = rows_of(BY_NAME["tags"], through_json({**record, "id": key}))
    except PylonError:
        return
    assert {str(rows.row["id"])} & forms(key)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(str(tmp_path_factory.mktemp("fuzz") / "pylon.db"))
    store.prepare(NOW)
    yield store
    store.close()


class Undo(Exception):
    """Takes back what a transaction wrote."""


def written(store: Store, stream: Stream, *batches: Rows) -> tuple[list[Counts], list[Any]]:
    """What writing these rows one after the other counts, and all values in the file after the
    last; the file is as before."""
    counts: list[Counts] = []
    cells: list[Any] = []
    try:
        with store.transactions.one():
            for at, rows in enumerate(batches):
                counts.append(store._write(stream, [rows], LATER if at else NOW))
            for table in (stream.name, *(link.table for link in stream.links)):
                for row in store.db.execute(f'SELECT * FROM "{table}"').fetchall():
                    cells += [value for value in row if value is not None]
            raise Undo
    except Undo:
        return counts, cells


def through_json(record: Any) -> Any:
    """As it comes out of an answer."""
    return parsed(json.dumps(record).encode(), bounds_of(1))


def leaves(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Every value that is set and holds no other, and where it stands."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from leaves(inner, (*path, at))
    elif not is_unset(value):
        yield path, value


def forms(value: Any) -> set[str]:
    """How a value may be written: true is 1 to SQLite, 1.0 is 1, times are in UTC."""
    if isinstance(value, bool):
        return {"true", "1"} if value else {"false", "0"}
    if isinstance(value, float):
        return {repr(value), *([str(int(value))] if value.is_integer() else [])}
    if isinstance(value, int):
        return {str(value)}
    return {clean(value), utc(clean(value))}


def said(cells: list[Any]) -> set[str]:
    """All that the cells of a file say, and the JSON in them."""
    found: set[str] = set()
    for cell in cells:
        found |= forms(cell)
        if isinstance(cell, str) and cell[:1] in ("[", "{", '"'):
            try:
                inner = json.loads(cell)
            except ValueError:
                continue
            for _, value in leaves(inner):
                found |= forms(value)
                if isinstance(value, str) and value[:1] in ("[", "{", '"'):
                    found |= said([value])
    return found


def columns_at(source: Stream | Link, path: Path_) -> list[Column]:
    """The columns that the field at a path of a record, or of an item, fills."""
    names = ".".join(str(one) for one in path)
    return [one for one in source.columns if one.path and f"{names}.".startswith(f"{one.path}.")]


def is_dropped(stream: Stream, record: dict[str, Any], path: Path_) -> bool:
    """Whether a value is left out on purpose: there is no other way to lose one. It is a list of
    another record, which that tells itself where it is read."""
    for link in stream.links:
        if path[0] == link.path and isinstance(record.get(link.path), list) and len(path) > 2:
            item = record[link.path][path[1]]  # type: ignore[index]
            return isinstance(item, dict) and _is_of_other(link, item, path[2:])
    return _is_of_other(stream, record, path)


def _is_of_other(source: Stream | Link, record: dict[str, Any], path: Path_) -> bool:
    for column in source.columns:
        *outer, last = column.path.split(".")
        if not column.refers or not (outer or last == "id") or list(path[: len(outer)]) != outer:
            continue
        holder: Any = record
        for name in outer:
            holder = holder.get(name) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and not is_unset(holder.get(last)) and len(path) > len(outer):
            lists = {link.path for link in BY_NAME[column.refers].links}
            if path[len(outer)] in lists:
                return True
    return False


def is_address(stream: Stream, path: Path_) -> bool:
    """Whether it stands where addresses are kept without what opens them."""
    sources: list[tuple[Stream | Link, Path_]] = [(stream, path)]
    sources += [(link, path[2:]) for link in stream.links if path[0] == link.path]
    kinds = {column.kind for source, at in sources for column in columns_at(source, at)}
    return bool(kinds & {"address", "addresses"})


def all_said(rows: Rows, cells: list[Any]) -> set[str]:
    """What the file says, and what is told of other records, which stands in their rows."""
    return said(
        [
            *cells,
            *(value for one in rows.references for value in one.row.values() if value is not None),
        ]
    )


@FUZZ
@given(asked=asked())
def test_nothing_is_raised_but_our_own_error_and_no_value_is_lost(
    store: Store, asked: Asked
) -> None:
    stream, record, told = asked
    record = through_json(record)
    try:
        rows = rows_of(stream, record, told)
    except PylonError:
        return
    counts, cells = written(store, stream, rows, rows_of(stream, through_json(record), told))
    assert (counts[0].new, counts[1]) == (1, Counts()), "what is read twice has not changed"
    found = all_said(rows, cells)
    for path, value in leaves(record):
        wanted = forms(value)
        if isinstance(value, str) and is_address(stream, path):
            wanted |= {clean(unsigned(value))}
        if not is_dropped(stream, record, path):
            assert wanted & found, f"{path}: {value!r} is nowhere"


def replaced(value: Any, path: Path_, new: Any) -> Any:
    if not path:
        return new
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@FUZZ
@given(asked=asked(), data=st.data())
def test_whatever_changes_is_a_change_and_in_the_file(
    store: Store, asked: Asked, data: st.DataObject
) -> None:
    stream, record, told = asked
    record = through_json(record)
    try:
        before = rows_of(stream, record, told)
    except PylonError:
        return
    may_change = [path for path, _ in leaves(record) if path[0] not in (*stream.key, *(told or ()))]
    may_change = [one for one in may_change if not is_dropped(stream, record, one)]
    if not may_change:
        return
    path = data.draw(st.sampled_from(may_change))
    new = data.draw(st.sampled_from(("changed to this", 987654321987, 2**70 + 1, 0.123456789)))
    changed = replaced(record, path, new)
    if is_dropped(stream, changed, path):
        return
    after = rows_of(stream, through_json(changed), told)
    counts, cells = written(store, stream, before, after)
    assert forms(new) & all_said(after, cells), f"{path}: {new!r} is nowhere"
    if (before.row, before.links) != (after.row, after.links):
        assert counts[1] == Counts(changed=1)
