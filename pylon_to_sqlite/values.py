"""A JSON value as SQLite holds it, by the kind of its column. Pure; loses nothing it is given."""

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone

from pylon_to_sqlite.errors import Unexpected
from pylon_to_sqlite.stream import Kind
from pylon_to_sqlite.text import clean, text_of
from pylon_to_sqlite.unsigned import all_unsigned, unsigned

Value = str | int | float | None

# A column of such a type gives back all as it was.
_AS_IS = ("", "BLOB")
# No two parts of it can take the same digits: a million of them took hours.
_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.ASCII)
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:?\d\d)", re.ASCII)
# Sorted, so that a map which comes in another order is not a change.
_JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True, check_circular=False)

_WORDS: Mapping[type, str] = {
    str: "text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
# What Pylon gives for each kind of column.
USUAL: Mapping[Kind, frozenset[type]] = {
    **dict.fromkeys(("text", "html", "plain", "time", "address"), frozenset((str,))),
    **dict.fromkeys(("integer", "real"), frozenset((int, float))),
    "boolean": frozenset((bool,)),
    **dict.fromkeys(("array", "addresses"), frozenset((list,))),
    "object": frozenset((dict,)),
}


def utc(value: str) -> str:
    """An RFC 3339 time as UTC, its fraction as given; anything else unchanged."""
    if _UTC.fullmatch(value):
        return value
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


def surprise(usual: frozenset[type], value: object) -> str:
    """How a value differs from what used to be given, in words; "" where it does not."""
    if type(value) in usual or is_unset(value):
        return ""
    known = " or ".join(sorted({_WORDS[one] for one in usual}))
    return f"{_WORDS[type(value)]} where {known} was"


def converted(kind: Kind, value: object) -> Value:
    """A value for a column of this kind; one of another type is kept as it is."""
    if isinstance(value, str):
        return _FROM_TEXT.get(kind, clean)(value) if value else None
    if is_unset(value):
        return None
    if kind in ("address", "addresses"):
        return _unsigned_json(value)
    if kind in ("array", "object"):
        return as_json(value)
    if isinstance(value, bool) and kind not in ("boolean", "integer"):
        return "true" if value else "false"
    return scalar(value)


def scalar(value: object) -> Value:
    """A value for a column of no kind."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        # SQLite's integers end at 64 bits.
        return value if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, float):
        return value
    return clean(value) if isinstance(value, str) else as_json(value)


def as_json(value: object) -> str:
    """A value of JSON as a column holds it. Raises Unexpected where it is nested too deep."""
    try:
        return clean(_JSON.encode(value))
    except RecursionError:
        raise Unexpected("a record that is nested too deep") from None


def _unsigned_json(value: object) -> str:
    try:
        return as_json(all_unsigned(value))
    except RecursionError:
        raise Unexpected("a record that is nested too deep") from None


_FROM_TEXT: Mapping[Kind, Callable[[str], Value]] = {
    "plain": lambda value: text_of(value) or None,
    "time": lambda value: utc(clean(value)),
    "array": as_json,
    "object": as_json,
    "address": lambda value: clean(unsigned(value)),
    "addresses": _unsigned_json,
}


def as_text(value: object) -> str:
    """A key, whatever it is given as."""
    return str(converted("text", value))


def as_stored(value: Value, sql_type: str) -> Value:
    """`value` as a column of this type gives it back, so that the same is seen to be the same."""
    if value is None or sql_type in _AS_IS:
        return value
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


def changes(value: Value, sql_type: str) -> bool:
    """Whether a column of this type changes a value, as it does 007, or a number that is too
    large."""
    stored = as_stored(value, sql_type)
    if isinstance(value, int) and isinstance(stored, float):
        return not math.isfinite(stored) or int(stored) != value
    return isinstance(value, str) and str(stored) != value
