"""The words that streams.py is written in: streams, columns and link tables. Data only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

# Pylon documents "above 0 and below 1000"; 999 works.
PAGE = 999

Kind = Literal[
    "text", "html", "plain", "time", "integer", "real", "boolean", "array", "object",
    "address", "addresses",
]  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column: `path` is where its value stands in the record ("" where Pylon does not give it).

    Kind "plain" is the text of the HTML at `path`, "address" and "addresses" are kept
    without what is secret in them. `refers` names the table it is a key of.
    What the mirror `decided` itself, no record overwrites.
    """

    name: str
    description: str
    kind: Kind = "text"
    path: str = ""
    refers: str = ""
    decided: bool = False


@dataclass(frozen=True, eq=False)
class Link:
    """A list inside a record, as rows of a table of its own beside the key of their `owner`.

    `shape` says what the list holds: bare values, objects, or Pylon's map of custom fields.
    """

    table: str
    path: str
    owner: Column
    columns: tuple[Column, ...]
    shape: Literal["values", "objects", "custom_fields"] = "objects"
    description: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that tell one row from another."""
        if self.shape == "values":
            return (self.owner.name, self.columns[0].name)
        if self.shape == "custom_fields":
            return (self.owner.name, "slug", "position")
        return (self.owner.name, "position")


@dataclass(frozen=True)
class Recent:
    """How a list is asked for what is new alone, between the times at which it is read whole.

    `field` bounds it by time: a field of a search's filter, or a parameter of a list. It goes back
    `back` behind the last reading, for answers lag and summaries come late. It is read whole again
    after `whole_after`, for what was deleted leaves no other sign; None: never.
    """

    field: str
    back: timedelta = timedelta(minutes=10)
    whole_after: timedelta | None = timedelta(days=1)


@dataclass(frozen=True, eq=False)
class Belonging:
    """What makes a stream the child of another: it is asked for once for each record of `parent`,
    whose key goes into the column `owner`, for Pylon does not always name it.

    With `stale_by`, a column of the parent, it is asked for where that has changed alone; without,
    in every run.
    """

    parent: Stream
    owner: str
    stale_by: str = ""
    only: tuple[str, str] = ("", "")
    """A column of the parent, and the value without which it has no children."""
    only_by: Stream | None = None
    """Other children of the parent that have such a column: one of them with the value will do."""
    always_some: bool = False
    """Whether each parent has children: none at all is believed only when it comes twice."""
    again_after: timedelta | None = None
    """When they are read again though the parent has not changed, where it may not tell."""


def _as_it_is(record: Mapping[str, Any]) -> Mapping[str, Any]:
    return record


@dataclass(frozen=True, eq=False)
class Stream:
    """One kind of record: where it is asked for, its table, and how it is kept up to date."""

    name: str
    path: str
    description: str
    columns: tuple[Column, ...]
    label: str
    key: tuple[str, ...] = ("id",)
    links: tuple[Link, ...] = ()
    belongs: Belonging | None = None
    watermark: str = ""
    """The field whose changes Pylon can be asked for; the others are walked whole."""
    recent: Recent | None = None
    """How what is new in it is asked for between two whole walks."""
    limit: int = 0
    """Records a page to ask for; 0 where the endpoint has no such parameter."""
    is_cut_off: bool = False
    """Whether Pylon gives no more than `limit`, without a word: a full list may lack some."""
    is_one: bool = False
    """Whether it has one record, which the endpoint answers with."""
    by_id: bool = False
    """Whether a record that only a reference tells of is asked for by its id, at path/id."""
    params: tuple[tuple[str, str], ...] = ()
    """Query parameters that are always given."""
    each: tuple[str, tuple[str, ...]] = ("", ())
    """A parameter, of the query or in the path, that must be given, and the values to ask for one
    after the other; none where the user names them."""
    is_optional: bool = False
    """Whether it is mirrored only where that is asked for: it may cost a request a record."""
    shaped: Callable[[Mapping[str, Any]], Mapping[str, Any]] = _as_it_is
    """What a record is before its columns are filled, where a value's place depends on another."""

    @property
    def parent(self) -> Stream | None:
        return self.belongs.parent if self.belongs else None

    @property
    def owner(self) -> str:
        """The column that holds the parent's key, "" where there is none."""
        return self.belongs.owner if self.belongs else ""

    @property
    def method(self) -> Literal["GET", "POST"]:
        return "POST" if self.path.endswith("/search") else "GET"

    @property
    def part_column(self) -> str:
        """The column that tells its parts from one another, "" where it is asked for as a whole:
        the parent's key, or the parameter that must be given."""
        return self.owner or self.each[0]

    @property
    def is_walked(self) -> bool:
        """Whether all of it is read: what is in no list any more is gone."""
        return not self.watermark and not self.is_by_staleness

    @property
    def is_by_staleness(self) -> bool:
        """Whether its records are read only for the parents that changed."""
        return self.belongs is not None and bool(self.belongs.stale_by)

    @property
    def kept(self) -> str:
        """How it is kept up to date, in words."""
        if self.watermark:
            return f"what changed since the last run, by {self.watermark}"
        if self.is_by_staleness:
            assert self.belongs
            again = self.belongs.again_after
            after = f", and all after {again.days} days" if again else ""
            return f"again for each of the {_parents(self)} that changed{after}"
        if self.recent:
            days = self.recent.back.days
            start = f"{days} days before the last run" if days > 1 else "the last run"
            every = "; all of it once a day" if self.recent.whole_after else ""
            return f"what is new since {start}, by {self.recent.field}{every}"
        return "read whole in every run"

    @property
    def cost(self) -> str:
        """How many requests a run takes, in words."""
        per = f"1 for each {self.limit:,}" if self.limit and not self.is_cut_off else "1"
        if self.is_by_staleness:
            return f"1 for each of the {_parents(self)} that changed"
        if self.parent:
            return (
                f"{per} that are new, for each of the {self.parent.name}"
                if self.recent
                else (f"{per}, for each of the {self.parent.name}")
            )
        if self.each[0]:
            number = len(self.each[1])
            return str(number) if number else f"{per}, for each {self.each[0]} that you name"
        is_partly = self.watermark or (self.recent and self.limit)
        return f"{per} that changed" if is_partly else per


def _parents(child: Stream) -> str:
    assert child.belongs
    (column, value), other = child.belongs.only, child.belongs.only_by
    told = f" with {column} {value}" if column else ""
    return f"{child.belongs.parent.name}{told}{f' (or {other.name} of theirs)' if other else ''}"


def on_its_side(record: Mapping[str, Any], kind: str, key: str) -> Mapping[str, Any]:
    """A record that names another by a kind and a key, with that key where a reference has it."""
    side = str(record.get(kind) or "").lower()
    is_known = side in ("account", "contact", "issue", "user") and side not in record
    return {**record, side: {"id": record.get(key)}} if is_known else record


def fields(kind: Kind, **descriptions: str) -> tuple[Column, ...]:
    """Columns named and placed as the record's own fields."""
    return tuple(Column(name, text, kind, path=name) for name, text in descriptions.items())


def reference(name: str, table: str, description: str, path: str = "") -> Column:
    """A column for `x: {"id": …}`, or for a field that holds the bare key where `path` says so."""
    return Column(name, description, path=path or f"{name.removesuffix('_id')}.id", refers=table)


def decided(name: str, table: str, description: str) -> Column:
    """A reference that Pylon does not give: store.py decides it once the lists are there."""
    return Column(name, description, refers=table, decided=True)


def plain(name: str, path: str, description: str) -> Column:
    return Column(name, description, "plain", path)


def values(owner: str, table: str, path: str, value: Column) -> Link:
    """A link table of the bare values of a list, named after the owner's stream and the list."""
    one = Column(f"{owner}_id", f"The {owner}.", refers=f"{owner}s")
    return Link(table, path, one, (value,), "values", f"One row for each of the {owner}'s {path}.")


def objects(owner: str, path: str, description: str, *columns: Column) -> Link:
    one = Column(f"{owner}_id", f"The {owner}.", refers=f"{owner}s")
    position = Column("position", "Place in Pylon's list, from 0.", "integer")
    return Link(f"{owner}_{path}", path, one, (position, *columns), "objects", description)


def custom_fields(owner: str) -> Link:
    return Link(
        f"{owner}_custom_fields",
        "custom_fields",
        Column(f"{owner}_id", f"The {owner}.", refers=f"{owner}s"),
        (
            Column("slug", "The field, as in custom_fields.slug."),
            Column("position", "Place among several values of one field, from 0.", "integer"),
            Column("value", "The value; of a select field, the option's slug.", path="value"),
            Column("interpreted_value", "The value as Pylon reads it.", path="interpreted_value"),
        ),
        "custom_fields",
        f"Custom field values of {owner}s, one row a value.",
    )


def external_ids(owner: str) -> Link:
    return objects(
        owner,
        "external_ids",
        f"The {owner}'s ids in other systems.",
        *fields("text", external_id="The id there.", label="Which system."),
    )
