"""What of Pylon's records is never written to a file, as its user chose. Pure.

All rows pass here on their way to SQL, whoever asked for them: what is left out here is in no
table, no index and no log.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

from pylon_to_sqlite.errors import Unusable
from pylon_to_sqlite.pseudonyms import Pseudonyms
from pylon_to_sqlite.rows import REPEATED, Reference, Row, Rows
from pylon_to_sqlite.schema import TABLES
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.streams import BY_NAME, STREAMS
from pylon_to_sqlite.support_streams import ISSUES

# Beside messages, what may be private words or files and does not say so: an issue names the files
# of its notes with all others, and a note's thread has the name that the team gave it.
PRIVATE = frozenset(("issues.attachment_urls", "issue_threads.name"))

# Fields that nobody knows yet, of issues and of what they hold, that may repeat a note's words; and
# a thread's, whatever they are called.
_MAYBE_NOTES: Mapping[str, re.Pattern[str]] = {
    **dict.fromkeys(
        ("issues", *(link.table for link in ISSUES.links)),
        re.compile("body|message|note|attachment"),
    ),
    "issue_threads": re.compile(""),
}
# What records that are only referred to tell of their own notes.
_OF_REFERRED: Mapping[str, frozenset[str]] = {"issues": frozenset(("body_html", "body_text"))}

# What the mirror needs beside keys and times, to ask for the right things and to leave out others.
_NEEDED = frozenset(
    ("issues.type", "issues.requester_id", "issue_messages.is_private", "issue_messages.timestamp")
)


@dataclass(frozen=True)
class Privacy:
    """What is left out: all that is not public, the columns and lists in `excluded` (as
    table.name), and addresses, for which `pseudonyms` stand."""

    public_only: bool = False
    excluded: frozenset[str] = frozenset()
    pseudonyms: Pseudonyms | None = None

    @property
    def is_open(self) -> bool:
        """Whether all is written as it comes."""
        return self == Privacy()

    @cached_property
    def withheld(self) -> frozenset[str]:
        """The columns and lists that are left out, whatever they hold."""
        return self.excluded | PRIVATE if self.public_only else self.excluded

    def hides(self, table: str, column: str) -> bool:
        """Whether a column is left out, whatever it holds: one that is named so, and fields that
        nobody knew which are called nearly so (contacts.Email, contacts.email_)."""
        return _is_hidden(self.withheld, self.public_only, table, column)

    def words(self, said: str) -> str:
        """What may be written of a sentence that is in no record."""
        return self.pseudonyms.text(said) if self.pseudonyms else said

    def of(self, stream: Stream, rows: Rows) -> Rows:
        """What may be written of a record's rows. Of messages, all are taken for public."""
        if self.is_open:
            return rows
        row = self._row(stream.name, rows.row)
        links = {
            link.table: (
                []
                if f"{stream.name}.{link.path}" in self.withheld
                else [self._row(link.table, one) for one in rows.links[link.table]]
            )
            for link in stream.links
        }
        references = [
            Reference(one.table, self._referred(one))
            for one in self._named(stream, row, links, rows.references)
        ]
        drift = [one for one in rows.drift if f"{one.table}.{one.column}" not in self.withheld]
        return Rows(row, links, references, drift)

    def _row(self, table: str, row: Row) -> Row:
        kinds, pseudonyms = kinds_of(table), self.pseudonyms
        kept = {name: value for name, value in row.items() if not self.hides(table, name)}
        if pseudonyms is None:
            return kept
        return {
            (name if name in kinds else pseudonyms.text(name)): (
                pseudonyms.stored(kind, value) if (kind := kinds.get(name, "html")) else value
            )
            for name, value in kept.items()
        }

    def _referred(self, reference: Reference) -> Row:
        row = self._row(*reference)
        notes = _OF_REFERRED.get(reference.table, frozenset()) if self.public_only else ()
        return {name: value for name, value in row.items() if name not in notes}

    def _named(
        self,
        stream: Stream,
        row: Row,
        links: Mapping[str, Sequence[Row]],
        references: Sequence[Reference],
    ) -> Iterator[Reference]:
        """The references that what is left of a record still makes."""
        there = [(TABLES[stream.name], row)]
        there += [(TABLES[table], one) for table, found in links.items() for one in found]
        named = {
            (column.refers, str(one[column.name]))
            for table, one in there
            for column in table.columns
            if column.refers and one.get(column.name) is not None
        }
        for reference in references:
            if (reference.table, str(reference.row[BY_NAME[reference.table].key[0]])) in named:
                yield reference


OPEN = Privacy()


@cache
def kinds_of(table: str) -> Mapping[str, str]:
    """The known columns of a table with their kinds; "" for those that hold no words but keys of
    records, and times."""
    known = TABLES[table]
    keys = {*known.key} if isinstance(known.source, Stream) else set()
    return {
        one.name: "" if one.name in keys or one.refers or one.kind == "time" else one.kind
        for one in known.columns
    }


@lru_cache(maxsize=10_000)
def _is_hidden(withheld: frozenset[str], public_only: bool, table: str, column: str) -> bool:
    if column in kinds_of(table):
        return f"{table}.{column}" in withheld
    called = _called(column)
    may_have_notes = public_only and table in _MAYBE_NOTES
    if called == REPEATED:
        # What a list tells of one the second time has all of its fields, whatever they are called.
        return may_have_notes or any(name.startswith(f"{table}.") for name in withheld)
    if may_have_notes and _MAYBE_NOTES[table].search(called):
        return True
    return f"{table}.{called}" in {_called(name) for name in withheld}


def _called(column: str) -> str:
    """The name of a field, however it is written, and whatever was added where that was taken."""
    return column.lower().rstrip("_")


def is_public(row: Row) -> bool:
    """Whether Pylon says of a message that the customer saw it."""
    return type(row.get("is_private")) is int and row["is_private"] == 0


def excludable(name: str, found: Mapping[str, Collection[str]]) -> str:
    """`name`, a table and a column or list of it, as it is kept. `found` are the columns that a
    file has for fields nobody knew. Raises Unusable for what there is not, or what the mirror
    cannot be without."""
    table, _, field = name.strip().lower().partition(".")
    known = TABLES.get(table)
    if known is None or known.source is None:
        raise Unusable(
            f"there is no table {table!r} whose columns can be left out: write TABLE.COLUMN,"
            " such as contacts.email"
        )
    if not field:
        raise Unusable(f"{table} is a table: write TABLE.COLUMN, such as contacts.email")
    lists = {one.path for one in known.source.links} if isinstance(known.source, Stream) else set()
    ours = {one.name for one in known.columns}
    given = {one.name for one in known.columns if one.path} | lists
    needed = {one.removeprefix(f"{table}.") for one in _needed() if one.startswith(f"{table}.")}
    more = {one.lower() for one in found.get(table, ())} - ours
    if field in needed or field in ours - given:
        raise Unusable(f"{table}.{field} cannot be left out: the mirror itself needs it")
    if field not in given | more:
        able = ", ".join(sorted(given - needed))
        raise Unusable(f"{table} has no {field!r} that could be left out. It has: {able}")
    return f"{table}.{field}"


@cache
def _needed() -> frozenset[str]:
    found = {*_NEEDED}
    for stream in STREAMS:
        of_its_own = (*stream.key, stream.part_column, stream.watermark, "created_at")
        found |= {f"{stream.name}.{name}" for name in of_its_own if name}
        if stream.recent:
            found.add(f"{stream.name}.{stream.recent.field}")
        if stream.belongs:
            of_parent = (stream.belongs.stale_by, stream.belongs.only[0])
            found |= {f"{stream.belongs.parent.name}.{name}" for name in of_parent if name}
            if other := stream.belongs.only_by:
                found.add(f"{other.name}.{stream.belongs.only[0]}")
        for link in stream.links:
            found |= {f"{link.table}.{name}" for name in link.key}
    return frozenset(found)
