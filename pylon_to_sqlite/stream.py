"""The words that streams.py is written in: streams, columns and link tables. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Pylon documents "above 0 and below 1000"; 999 works.
PAGE = 999

Kind = Literal[
    "text", "html", "plain", "time", "integer", "real", "boolean", "array", "addresses", "object"
]


@dataclass(frozen=True)
class Column:
    """A column: `path` is where its value stands in the record ("" where Pylon does not give it).

    Kind "plain" is the text of the HTML at `path`, "addresses" a list of them without what is
    secret in it. `refers` names the table it is a key of.
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
    parent: Stream | None = None
    owner: str = ""
    """The column that holds the parent's key; Pylon's messages do not name their issue."""
    watermark: str = ""
    """The field whose changes Pylon can be asked for; the others are walked whole."""
    always_some: bool = False
    """Whether each parent has children: none at all is believed only when it comes twice."""
    limit: int = 0
    """Records a page to ask for; 0 where the endpoint has no such parameter."""
    is_cut_off: bool = False
    """Whether Pylon gives no more than `limit`, without a word: a full list may lack some."""
    by_id: bool = False
    """Whether a record that only a reference tells of is asked for by its id, at path/id."""
    params: tuple[tuple[str, str], ...] = ()
    """Query parameters that are always given."""
    each: tuple[str, tuple[str, ...]] = ("", ())
    """A query parameter that must be given, and the values to ask for one after the other."""

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
        """Whether every run reads all of it: what is in no list any more is gone."""
        return not self.watermark and not self.is_by_staleness

    @property
    def is_by_staleness(self) -> bool:
        """Whether its records are read only for the parents that changed."""
        return self.parent is not None and bool(self.parent.watermark)

    @property
    def kept(self) -> str:
        """How it is kept up to date, in words."""
        if self.watermark:
            return f"what changed since the last run, by {self.watermark}"
        if self.parent and self.parent.watermark:
            return f"again for each of the {self.parent.name} that changed"
        return "read whole in every run"


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
