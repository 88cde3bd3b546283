"""What was forgotten stays out: the memory of it, and what of a page it leaves to be written.

It remembers ids, and of addresses nothing but hashes, keyed by a salt that is in the same file:
whoever has the file and guesses an address can see whether it is one of these.
"""

import hmac
import json
import secrets
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

from sqlite_utils import Database

from pylon_to_sqlite import forget, meta
from pylon_to_sqlite.addresses import Found, Replacing, normal
from pylon_to_sqlite.belonging import GOING, STAYING, has_id
from pylon_to_sqlite.forget import MARK, Keys, Trace, held_out, sender, without
from pylon_to_sqlite.further_streams import CALL_RECORDINGS
from pylon_to_sqlite.mentions import Marking, addresses_in
from pylon_to_sqlite.privacy import kinds_of
from pylon_to_sqlite.rows import Reference, Row, Rows
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.support_streams import CONTACTS, ISSUE_MESSAGES, ISSUES
from pylon_to_sqlite.unsigned import addresses as file_addresses

# Beside streams, what the memory names: addresses, addresses of files, and issues whose bodies are
# somebody's words.
ADDRESSES, FILES, BODIES = "addresses", "files", "bodies"

Because = frozenset[str]
"""The keys of what was named when something was forgotten."""
Known = dict[tuple[str, str], Because]
"""By what it is and its key, what of a page is forgotten, and why."""

_NOBODY: Because = frozenset()


@dataclass
class Erased:
    """What was forgotten: rows that were erased and values in which an address was replaced, by
    table."""

    rows: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Addresses(Replacing):
    """The addresses that are forgotten, by their hashes; it puts a mark in place of each."""

    salt: str
    known: Mapping[str, Because]
    tries_each: ClassVar[bool] = True

    def why(self, address: object) -> Because:
        """Because of what an address is forgotten; of nothing, if it is not."""
        if not self.known or not isinstance(address, str):
            return _NOBODY
        return self.known.get(hashed(self.salt, normal(address)), _NOBODY)

    def why_in(self, text: object) -> Because:
        """The same of all addresses in a text."""
        if not self.known or not isinstance(text, str):
            return _NOBODY
        found: set[str] = set()

        def is_one(address: str) -> bool:
            why = self.why(address)
            found.update(why)
            return bool(why)

        Marking(is_one, MARK).text(text)
        return frozenset(found)

    def instead(self, found: Found) -> str | None:
        return MARK if self.why(found.address) else None


@dataclass
class _Leaving:
    """What of a page stays out, by reason: records that were not known to be so, and traces of
    messages."""

    new: dict[str, list[Rows]] = field(default_factory=dict)
    traces: dict[str, list[Trace]] = field(default_factory=dict)

    def add(self, stream: Stream, rows: Rows, why: Because, *, is_new: bool) -> None:
        row = rows.row
        for because in why:
            if is_new and has_id(stream):
                self.new.setdefault(because, []).append(rows)
            if stream is ISSUE_MESSAGES:
                said = (_text(row.get("message_html")), _text(row.get("file_urls")))
                trace = Trace(str(row["issue_id"]), *said)
                self.traces.setdefault(because, []).append(trace)


@dataclass
class Forgotten:
    """The memory in `db`. Its methods belong inside a transaction of the caller's."""

    db: Database
    _addresses: Addresses | None = None

    def doubt(self) -> None:
        """After a rollback, which may have taken addresses with it."""
        self._addresses = None

    def forget(
        self,
        seeds: Mapping[str, Collection[str]],
        because: str,
        now: str,
        addresses: Collection[str] = (),
        others: Collection[str] = (),
    ) -> Erased:
        """Erase these records with all that goes with them, and remember them; they need not be
        here. Who has one of `addresses` as the main one is the same person; `others` are forgotten
        too, unless they are somebody else's."""
        keys, found = self._reach(seeds, {*addresses}, {*others})
        left = forget.traces(self.db, keys)
        erased = Erased(forget.erase(self.db, keys, now))
        for stream, ids in keys.items():
            self._remember(stream, ids, because, now)
        self._remove_traces(left, because, now)
        salt = self._salt()
        if self._remember(ADDRESSES, {hashed(salt, one) for one in found}, because, now):
            erased.replaced = forget.scrub(self.db, found, now)
        return erased

    def kept(self, stream: Stream, batch: Sequence[Rows], now: str) -> Sequence[Rows]:
        """What of a page is to be written, and how. What turns out to belong to something that was
        forgotten is forgotten too, with all of its own that is here."""
        if not batch or not self.is_any():
            return batch
        self._meet(stream, batch, now)
        while True:
            addresses, known = self.addresses(), self._known(stream, batch)
            left, leaving = [], _Leaving()
            for rows in batch:
                why = _why(stream, rows, known, addresses)
                if why:
                    is_new = (stream.name, str(rows.row.get("id"))) not in known
                    leaving.add(stream, rows, why, is_new=is_new)
                else:
                    left.append(_cleaned(stream, rows, known, addresses))
            if not leaving.new:
                break
            for because, new in leaving.new.items():
                self._forget_new(stream, new, because, now)
        for because, traces in leaving.traces.items():
            self._remove_traces(traces, because, now)
        return left

    def is_any(self) -> bool:
        """Whether anything is forgotten."""
        return self.db.execute("SELECT 1 FROM _pylon_forgotten LIMIT 1").fetchone() is not None

    def addresses(self) -> Addresses:
        """The addresses that are forgotten. They are asked for with each page, and may be many."""
        if self._addresses is None:
            known: dict[str, Because] = {}
            for key, because in self.db.execute(
                "SELECT key, because FROM _pylon_forgotten WHERE stream = ?", [ADDRESSES]
            ):
                known[key] = known.get(key, _NOBODY) | {because}
            self._addresses = Addresses(self._salt() if known else "", known)
        return self._addresses

    def why(self, stream: str, key: str) -> Because:
        """Because of what a record, or an address by its hash, is forgotten."""
        sql = "SELECT because FROM _pylon_forgotten WHERE stream = ? AND key = ?"
        return frozenset(row[0] for row in self.db.execute(sql, [stream, key]))

    def hashed(self, address: str) -> str:
        """What stands for an address in the memory."""
        return hashed(self._salt(), normal(address))

    def lift(self, because: str) -> None:
        """Let come again what was forgotten because of this, and of nothing else."""
        self.db.execute("DELETE FROM _pylon_forgotten WHERE because = ?", [because])
        self.doubt()

    def _reach(
        self, seeds: Mapping[str, Collection[str]], addresses: set[str], others: set[str]
    ) -> tuple[Keys, set[str]]:
        """All that goes with these, by references and by addresses, and the addresses."""
        keys = forget.scope(self.db, seeds)
        if not (addresses or others or CONTACTS.name in keys):
            return keys, set()
        team = forget.of_users(self.db)
        while True:
            theirs = keys.get(CONTACTS.name, set())
            addresses = (addresses | {*forget.main_addresses(self.db, theirs).values()}) - team
            others = others | forget.listed_addresses(self.db, theirs)
            mains = forget.main_addresses(self.db)
            same = {key for key, main in mains.items() if main in addresses}
            somebody_elses = {main for key, main in mains.items() if key not in theirs | same}
            found = addresses | (others - somebody_elses - team)
            more = forget.named_by_address(self.db, found) if found else {}
            more[CONTACTS.name] = same
            more["issue_voice_calls"] = forget.called(self.db, theirs)
            if all(ids <= keys.get(stream, set()) for stream, ids in more.items()):
                return keys, found
            merged = {
                stream: keys.get(stream, set()) | more.get(stream, set())
                for stream in {*keys, *more}
            }
            keys = forget.scope(self.db, merged)

    def _meet(self, stream: Stream, batch: Sequence[Rows], now: str) -> None:
        """Forget the contacts whose addresses alone are known so far."""
        addresses = self.addresses()
        if stream is CONTACTS:
            for rows in batch:
                # Somebody has another address by now.
                if _main(rows) and not addresses.why(_main(rows)):
                    for because in self.why(CONTACTS.name, str(rows.row["id"])):
                        self._forget_new(stream, [rows], because, now)
        if not addresses.known:
            return
        named = [
            (str(one.row["id"]), one.row.get("email"))
            for rows in batch
            for one in rows.references
            if one.table == CONTACTS.name
        ]
        if stream is ISSUES:
            asked = ("requester_id", "requester_email")
            named += [(str(rows.row.get(asked[0])), rows.row.get(asked[1])) for rows in batch]
        met = {key: why for key, address in named if (why := addresses.why(address))}
        for key, why in met.items():
            is_user = self.db.execute("SELECT 1 FROM users WHERE id = ?", [key]).fetchone()
            if not is_user and not self.why(CONTACTS.name, key):
                for because in why:
                    self.forget({CONTACTS.name: [key]}, because, now)

    def _forget_new(self, stream: Stream, new: Sequence[Rows], because: str, now: str) -> None:
        mains, others = set(), set()
        if stream is CONTACTS:
            mains = {main for rows in new if (main := _main(rows))}
            lists = [one for rows in new if (one := _text(rows.row.get("emails")))]
            others = {one for text in lists for one in addresses_in(text)}
        keys = {str(rows.row["id"]) for rows in new}
        self.forget({stream.name: keys}, because, now, mains, others)

    def _known(self, stream: Stream, batch: Sequence[Rows]) -> Known:
        """What of all that a page names is forgotten."""
        named: set[str] = set()
        for rows in batch:
            named |= {str(rows.row.get(name)) for name, _ in _naming(stream.name)}
            named.add(str(rows.row.get("id")))
            named |= {str(one.row.get("id")) for one in rows.references}
            for table, linked in rows.links.items():
                named |= {str(row.get(name)) for row in linked for name, _ in _naming(table)}
        known = self._among(named)
        if stream is ISSUES:
            files = [
                one
                for rows in batch
                for one in file_addresses(_text(rows.row.get("attachment_urls")))
            ]
            salt = self._salt()
            by_hash = {hashed(salt, one): one for one in files}
            found = self._among(by_hash)
            known |= {(FILES, by_hash[key]): why for (_, key), why in found.items()}
        return known

    def _among(self, keys: Collection[str]) -> Known:
        found: Known = {}
        for stream, key, because in self.db.execute(
            "SELECT stream, key, because FROM _pylon_forgotten"
            " WHERE key IN (SELECT value FROM json_each(?))",
            [json.dumps(sorted(keys))],
        ):
            found[stream, key] = found.get((stream, key), _NOBODY) | {because}
        return found

    def _remember(self, stream: str, keys: Collection[str], because: str, now: str) -> bool:
        """Whether any of them was not known."""
        before = self.db.conn.total_changes
        self.db.conn.executemany(
            "INSERT OR IGNORE INTO _pylon_forgotten VALUES (?, ?, ?, ?)",
            [(stream, key, because, now) for key in sorted(keys)],
        )
        if stream == ADDRESSES:
            self.doubt()
        return self.db.conn.total_changes > before

    def _remove_traces(self, traces: Iterable[Trace], because: str, now: str) -> None:
        traces, salt = [*traces], self._salt()
        self._remember(BODIES, forget.remove_traces(self.db, traces, now), because, now)
        files = {one for trace in traces for one in file_addresses(trace.urls)}
        self._remember(FILES, {hashed(salt, one) for one in files}, because, now)

    def _salt(self) -> str:
        salt = meta.value(self.db, meta.FORGOTTEN_SALT)
        if salt is None:
            salt = secrets.token_hex(16)
            meta.keep(self.db, {meta.FORGOTTEN_SALT: salt})
        return salt


@lru_cache(maxsize=50_000)
def hashed(salt: str, word: str) -> str:
    """What stands for a word that is not to be in the file."""
    return hmac.digest(salt.encode(), word.encode(errors="replace"), "sha256").hex()[:32]


def _naming(table: str) -> tuple[tuple[str, str], ...]:
    return (*GOING[table], *STAYING[table])


def _why(stream: Stream, rows: Rows, known: Known, addresses: Addresses) -> Because:
    """Because of what a record stays out; of nothing, if it does not."""
    row = rows.row
    why = known.get((stream.name, str(row.get("id"))), _NOBODY) if has_id(stream) else _NOBODY
    for name, target in GOING[stream.name]:
        why |= known.get((target, str(row.get(name))), _NOBODY)
    if stream is CONTACTS:
        why |= addresses.why(row.get("email"))
    elif stream is ISSUE_MESSAGES and row.get("author_user_id") is None:
        why |= addresses.why_in(sender(row.get("email_info")))
    elif stream is CALL_RECORDINGS:
        for one in rows.links["call_recording_participants"]:
            why |= addresses.why_in(one["email"])
    return why


def _cleaned(stream: Stream, rows: Rows, known: Known, addresses: Addresses) -> Rows:
    """A record without what of it is forgotten."""
    row = _clean_row(stream.name, rows.row, known, addresses)
    if stream is ISSUES:
        if (BODIES, str(row["id"])) in known:
            row |= {name: None for name in ("body_html", "body_text") if name in row}
        urls = _text(row.get("attachment_urls"))
        if gone := [one for one in file_addresses(urls) if (FILES, one) in known]:
            row["attachment_urls"] = without(urls, gone)
    links = {
        table: [
            _clean_row(table, one, known, addresses)
            for one in linked
            if not any((target, str(one.get(name))) in known for name, target in GOING[table])
        ]
        for table, linked in rows.links.items()
    }
    references = [
        Reference(one.table, _clean_row(one.table, one.row, known, addresses))
        for one in rows.references
        if (one.table, str(one.row.get("id"))) not in known
    ]
    return Rows(row, links, references, rows.drift)


def _clean_row(table: str, row: Row, known: Known, addresses: Addresses) -> Row:
    clean = {**row}
    if addresses.known:
        kinds = kinds_of(table)
        for name in row.keys() - held_out(table):
            clean[name] = addresses.stored(kinds.get(name, "html"), row[name])
    for name, target in STAYING[table]:
        if (target, str(clean.get(name))) in known:
            clean[name] = None
    return clean


def _main(rows: Rows) -> str:
    """A contact's main address, "" where there is none."""
    email = _text(rows.row.get("email")) or ""
    return normal(email) if "@" in email else ""


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
