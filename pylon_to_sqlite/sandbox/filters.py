"""The filters of a search, compiled to a function of one issue or other record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .answers import Refusal
from .filterable import CUSTOM, FIELDS, TIME, Filterable
from .times import read

Matches = Callable[[Any], bool]
Span = tuple["int | None", "int | None"]

_DEEPEST = 3
_COMPOUND = ("and", "or")

_TESTS: dict[str, Callable[[list[str], list[str]], bool]] = {
    "equals": lambda held, asked: asked[0] in held,
    "contains": lambda held, asked: asked[0] in held,
    "does_not_contain": lambda held, asked: asked[0] not in held,
    "in": lambda held, asked: any(value in held for value in asked),
    "not_in": lambda held, asked: not any(value in held for value in asked),
    "is_set": lambda held, asked: bool(held),
    "is_unset": lambda held, asked: not held,
    "string_contains": lambda held, asked: asked[0].lower() in "".join(held).lower(),
    "string_does_not_contain": lambda held, asked: asked[0].lower() not in "".join(held).lower(),
}


@dataclass(frozen=True)
class FilterRules:
    """What a filter cannot know: of what it is, custom fields, whether bounds count, and how far
    search lags."""

    stream: str = "issues"
    custom_fields: frozenset[str] = frozenset()
    inclusive: bool = False
    horizon_ms: int | None = None


def matcher(given: Any, rules: FilterRules, depth: int = 1) -> Matches:
    """Compile a filter. Raises Refusal for one that Pylon would not take."""
    if not isinstance(given, Mapping):
        raise Refusal(400, "a filter must be an object")
    if depth > _DEEPEST:
        raise Refusal(400, f"filters may be nested at most {_DEEPEST} deep")
    operator = given.get("operator")
    if operator not in _COMPOUND:
        return _leaf(given, str(operator), rules)
    parts = [matcher(part, rules, depth + 1) for part in given.get("subfilters") or ()]
    if not parts:
        raise Refusal(400, f"{operator!r} needs subfilters")
    join: Callable[[Iterable[bool]], bool] = all if operator == "and" else any
    return lambda item: join(part(item) for part in parts)


def updated_span(given: Any) -> Span:
    """The span of updated_at outside which nothing can match, as far as the filter says so."""
    operator = given["operator"]
    if operator == "and":
        starts, ends = zip(*map(updated_span, given["subfilters"]), strict=True)
        return (
            max((ms for ms in starts if ms is not None), default=None),
            min((ms for ms in ends if ms is not None), default=None),
        )
    return _bounds(given, operator) if given.get("field") == "updated_at" else (None, None)


def _leaf(given: Mapping[str, Any], operator: str, rules: FilterRules) -> Matches:
    name = str(given.get("field"))
    operators, look = _field(name, rules)
    if operator not in operators:
        raise Refusal(400, f"{name} does not take {operator!r}, only {', '.join(operators)}")
    if operator in TIME:
        return _within(_bounds(given, operator), look, rules.inclusive)
    test, asked = _TESTS[operator], _asked(given, operator)
    return lambda item: test(_held(look(item)), asked)


def _field(name: str, rules: FilterRules) -> Filterable:
    fields = FIELDS[rules.stream]
    if name == "updated_at" and name in fields and rules.horizon_ms is not None:
        return TIME, lambda item: item.updated_as_of(rules.horizon_ms)
    if name in fields:
        return fields[name]
    if name in rules.custom_fields:
        return CUSTOM, lambda item: item.custom_fields.get(name)
    raise Refusal(400, f"unknown field {name!r}")


def _within(span: Span, look: Callable[[Any], int | None], inclusive: bool) -> Matches:
    edge = 0 if inclusive else 1
    start = None if span[0] is None else span[0] + edge
    end = None if span[1] is None else span[1] - edge

    def matches(item: Any) -> bool:
        ms = look(item)
        return ms is not None and (start is None or ms >= start) and (end is None or ms <= end)

    return matches


def _bounds(given: Mapping[str, Any], operator: str) -> Span:
    if operator == "time_is_after":
        return _time(given.get("value")), None
    if operator == "time_is_before":
        return None, _time(given.get("value"))
    values = given.get("values")
    if not isinstance(values, list) or len(values) != 2:
        raise Refusal(400, "time_range takes two values")
    return _time(values[0]), _time(values[1])


def _time(value: Any) -> int:
    try:
        return read(str(value))
    except ValueError:
        raise Refusal(400, f"{value!r} is not an RFC 3339 time") from None


def _held(value: Any) -> list[str]:
    if isinstance(value, list):
        return value
    return [value] if value else []


def _asked(given: Mapping[str, Any], operator: str) -> list[str]:
    if operator in ("is_set", "is_unset"):
        return []
    if operator in ("in", "not_in"):
        values = given.get("values")
        if isinstance(values, list):
            return [str(value) for value in values]
        raise Refusal(400, f"{operator!r} takes values")
    if given.get("value") is None:
        raise Refusal(400, f"{operator!r} takes a value")
    return [str(given["value"])]
