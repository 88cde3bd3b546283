"""Forgetting in a file: shown, agreed to, done as a whole, with nothing left; or taken back."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pylon_to_sqlite import file, subjects
from pylon_to_sqlite.addresses import normal
from pylon_to_sqlite.errors import Unavailable, Unusable
from pylon_to_sqlite.folder import Folder
from pylon_to_sqlite.forgotten import ADDRESSES
from pylon_to_sqlite.mentions import addresses_in
from pylon_to_sqlite.reading import ignore
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.subjects import Subject

# Where a name may stand in somebody else's words.
WORDS = (
    ("issues", "title"),
    ("issues", "body_text"),
    ("issue_messages", "message_text"),
)


@dataclass(frozen=True)
class Plan:
    """What is to be forgotten: rows to erase and values to replace an address in, by table."""

    subject: Subject
    rows: Mapping[str, int]
    replaced: Mapping[str, int]
    files: int
    """Contents of files that nobody else has."""
    named: Sequence[tuple[str, str, str, int]]
    """Names that stand in words of others, which stay: the name, table, column and how often."""
    other_tables: Sequence[str]
    """Tables that are not this tool's, which are left alone."""

    @property
    def is_nothing(self) -> bool:
        """Whether it was forgotten before, and nothing has come since."""
        return self.subject.is_known and not (self.rows or self.replaced)


@dataclass(frozen=True)
class Done:
    """What was forgotten, and why something may be left of it: `unpurged` in the file, `files` in
    a directory that was not named."""

    plan: Plan
    unpurged: str
    files: int


class Kept(NamedTuple):
    """One of what is kept out: since when, and with how many more records."""

    kind: str
    key: str
    forgotten_at: str
    others: int


class _Declined(Exception):
    """Somebody does not want it after all."""


def forget(
    path: Path,
    kind: str,
    who: str,
    now: str,
    agree: Callable[[Plan], bool],
    folder: Folder | None = None,
    at: Callable[[str], object] = ignore,
) -> Done | None:
    """Erase what `who` names from the mirror at `path`, and from `folder` what it had downloaded;
    None where nobody can `agree`. All of it is committed together, so a run that dies has done
    nothing, or all but what the next run of this, a sync or the doctor does: to purge the file.

    Raises Unusable, Busy or Unavailable. `at` is told how far it is.
    """
    organization = _mirrored(path).organization_id
    if folder:
        folder.check(organization)
    with _opened(path, now) as store:
        try:
            with store.transactions.one():
                plan = _forget(store, path, kind, who, now)
                at("erased")
                if not plan.is_nothing and not agree(plan):
                    raise _Declined
                if folder:
                    # Before the rows are gone, which alone tell of them.
                    folder.sweep(store.attachments.paths())
                at("swept")
        except _Declined:
            return None
        at("committed")
        unpurged = store.purge(now)
        at("purged")
        return Done(plan, unpurged, 0 if folder else plan.files)


def undo(path: Path, kind: str, who: str, now: str) -> None:
    """Let what `who` names come again: the next sync reads everything anew."""
    _mirrored(path)
    with _opened(path, now) as store, store.transactions.one():
        for root in subjects.roots(store.forgotten, kind, who):
            store.forgotten.lift(root)
        store.memory.restart()


def kept_out(path: Path) -> list[Kept]:
    """What was named when it was forgotten, the latest first."""
    with file.reading(path) as connection:
        return [*_kept_out(connection)]


def _kept_out(connection: sqlite3.Connection) -> Iterator[Kept]:
    if not connection.execute(
        "SELECT 1 FROM sqlite_master WHERE name = '_pylon_forgotten'"
    ).fetchone():
        # An earlier version made the file.
        return
    for row in connection.execute(
        "SELECT stream, key, forgotten_at, (SELECT count(*) - 1 FROM _pylon_forgotten"
        " WHERE because = f.key) FROM _pylon_forgotten AS f WHERE key = because"
        " ORDER BY forgotten_at DESC, key"
    ):
        yield Kept(*row)


def _mirrored(path: Path) -> file.Mirror:
    mirror = file.inspect(path)
    if mirror is None and not path.exists():
        raise Unusable(f"there is no file {path}")
    if mirror is None:
        raise Unusable(f"{path} holds no mirror of a Pylon workspace")
    return mirror


@contextmanager
def _opened(path: Path, now: str) -> Iterator[Store]:
    """The mirror, held against syncs."""
    try:
        with file.held(path), closing(Store(str(path.resolve()))) as store:
            store.prepare(now)
            yield store
    except sqlite3.Error as error:
        raise Unavailable(f"cannot write to {path}: {error}. What was committed stays") from None


def _forget(store: Store, path: Path, kind: str, who: str, now: str) -> Plan:
    addresses = {*addresses_in(who)} if kind == "contact" else set()
    who = _as_stored(store, path, who) if addresses else who
    subject = subjects.found(store.db, store.forgotten, kind, who)
    before = store.attachments.paths(also_deleted=True)
    rows: Counter[str] = Counter()
    replaced: Counter[str] = Counter()
    addresses |= {subject.address} if subject.address else set()
    seeds: dict[str, dict[str, list[str]]] = {
        key: {subject.stream.name: [key]} for key in subject.names
    }
    if subject.address and not seeds:
        hashed = store.forgotten.hashed(subject.address)
        seeds = {because: {} for because in store.forgotten.why(ADDRESSES, hashed) or {hashed}}
    for because, keys in seeds.items():
        erased = store.forgotten.forget(keys, because, now, addresses)
        rows += erased.rows
        replaced += erased.replaced
    others = file.inspect(path)
    return Plan(
        subject,
        rows,
        replaced,
        len(before - store.attachments.paths(also_deleted=True)),
        [] if kind == "issue" else [*_named(store, subject.names.values())],
        sorted(others.other_tables) if others else (),
    )


def _as_stored(store: Store, path: Path, address: str) -> str:
    """An address as the file has it, where it does not leave addresses as they are."""
    choice = store.memory.choice()
    if "contacts.email" in choice.excluded:
        raise Unusable(
            "contacts.email is left out of this file, so nobody can be told by it: give the"
            " contact's id, as Pylon shows it"
        )
    if not choice.pseudonyms:
        return address
    return file.key_beside(path, choice.pseudonyms).text(normal(address))


def _named(store: Store, names: Iterable[str]) -> Iterator[tuple[str, str, str, int]]:
    for name in dict.fromkeys(filter(None, names)):
        for table, column in WORDS:
            sql = f"SELECT count(*) FROM {table} WHERE instr(lower({column}), lower(?))"
            (count,) = store.db.execute(sql, [name]).fetchone()
            if count:
                yield name, table, column, count
