"""What of Pylon's records is never written to a file, as its user chose. Pure.

All rows pass here on their way to SQL, whoever asked for them: what is left out here is in no
table, no index and no log.
"""

import hmac
import html
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

from pylon_to_sqlite.errors import Unexpected, Unusable
from pylon_to_sqlite.rows import Reference, Row, Rows
from pylon_to_sqlite.schema import TABLES
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.streams import BY_NAME, STREAMS
from pylon_to_sqlite.text import text_of
from pylon_to_sqlite.values import Value, as_json

# Beside messages, what may be private words or files and does not say so: an issue names the files
# of its notes with all others, and a note's thread has the name that the team gave it.
PRIVATE = frozenset(("issues.attachment_urls", "issue_threads.name"))

# What the mirror needs beside keys and times, to ask for the right things and to leave out others.
_NEEDED = frozenset(
    ("issues.type", "issues.requester_id", "issue_messages.is_private", "issue_messages.timestamp")
)

# No address can be delivered to there, by RFC 2606.
DOMAIN = "pseudonym.invalid"
_DOT = r"(?:\.|%2[Ee]|&#0*46;|&#[xX]0*2[eE];|&period;)"
# Linear, whatever is searched: a run of signs that an address may have begins in one place.
_ADDRESS = re.compile(
    r"(?<![\w.+'-])(?P<before>(?<=%)[0-9A-Fa-f]{2})?(?P<local>[\w.+'-]+)"
    r"(?P<at>@|%40|&#0*64;|&#[xX]0*40;|&commat;)"
    rf"(?P<domain>[\w-]+(?:{_DOT}[\w-]+)+)"
)
_SIGNS = ("@", "%40", "&")
_OURS = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Pseudonyms:
    """Names in place of addresses: the same for the same address, as long as the `key` is."""

    key: bytes

    @property
    def fingerprint(self) -> str:
        """What tells this key from others, and not what it is."""
        return self._hash("pylon-to-sqlite")

    def text(self, value: str) -> str:
        """`value` with each address in it replaced."""
        if not any(sign in value for sign in _SIGNS):
            return value
        return _ADDRESS.sub(self._replaced, value)

    def html(self, value: str) -> str:
        """HTML with each address in it replaced. Where markup breaks one in two, which a reader
        would not see, all of it gives way to its text."""
        replaced = self.text(value)
        if any(sign in replaced for sign in _SIGNS):
            words = text_of(replaced)
            if (plain := self.text(words)) != words:
                return "<br>".join(html.escape(plain, quote=False).split("\n"))
        return replaced

    def all(self, value: Any) -> Any:
        """A value of JSON with each address in it replaced, in names too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.all(one) for one in value]
        if isinstance(value, dict):
            return {self.text(name): self.all(one) for name, one in value.items()}
        return value

    def stored(self, kind: str, value: Value) -> Value:
        """What a column of this kind holds, with each address in it replaced."""
        if not isinstance(value, str) or not any(sign in value for sign in _SIGNS):
            return value
        if value[:1] in ("[", "{"):
            # In JSON a sign before an address may be half of another.
            try:
                return as_json(self.all(json.loads(value)))
            except (ValueError, RecursionError, Unexpected):
                pass
        return self.html(value) if kind == "html" else self.text(value)

    def _replaced(self, match: re.Match[str]) -> str:
        local, at, domain = match["local"], match["at"], match["domain"]
        address = local.lstrip("'.+-")
        if not address or (domain == DOMAIN and _OURS.fullmatch(address)):
            return match.group()
        host = re.sub(_DOT, ".", domain)
        before = (match["before"] or "") + local[: len(local) - len(address)]
        return f"{before}{self._hash(f'{address}@{host}'.lower())}{at}{DOMAIN}"

    def _hash(self, words: str) -> str:
        return hmac.new(self.key, words.encode(), sha256).hexdigest()[:16]


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

    @property
    def withheld(self) -> frozenset[str]:
        """The columns and lists that are left out, whatever they hold."""
        return self.excluded | PRIVATE if self.public_only else self.excluded

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
            Reference(one.table, self._row(one.table, one.row))
            for one in self._named(stream, row, links, rows.references)
        ]
        drift = [one for one in rows.drift if f"{one.table}.{one.column}" not in self.withheld]
        return Rows(row, links, references, drift)

    def _row(self, table: str, row: Row) -> Row:
        withheld, kinds, pseudonyms = self.withheld, kinds_of(table), self.pseudonyms
        kept = {
            name: value for name, value in row.items() if f"{table}.{name.lower()}" not in withheld
        }
        if pseudonyms is None:
            return kept
        return {
            name: pseudonyms.stored(kind, value) if (kind := kinds.get(name, "text")) else value
            for name, value in kept.items()
        }

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


def is_public(row: Row) -> bool:
    """Whether Pylon says of a message that the customer saw it."""
    return type(row.get("is_private")) is int and row["is_private"] == 0


def excludable(name: str, found: Mapping[str, Collection[str]]) -> str:
    """`name`, a table and a column or list of it, as it is kept. `found` are the columns that a
    file has. Raises Unusable for what there is not, or what the mirror cannot be without."""
    table, _, field = name.strip().lower().partition(".")
    known = TABLES.get(table)
    if known is None or known.source is None:
        raise Unusable(
            f"there is no table {table!r} whose columns can be left out: write TABLE.COLUMN,"
            " such as contacts.email"
        )
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
        for link in stream.links:
            found |= {f"{link.table}.{name}" for name in link.key}
    return frozenset(found)
