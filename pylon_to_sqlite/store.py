"""The one connection that writes: rows and checkpoint in one transaction."""

import json
import sqlite3
from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlite_utils import Database

from pylon_to_sqlite import (
    attachments,
    history,
    issue_bodies,
    meta,
    requesters,
    tombstones,
    unlisted,
)
from pylon_to_sqlite.attachments import Attachments
from pylon_to_sqlite.choice import Choice
from pylon_to_sqlite.erase import erase
from pylon_to_sqlite.forgotten import Forgotten
from pylon_to_sqlite.holding import TOLD_EMPTY, Holding
from pylon_to_sqlite.layout import lay_out
from pylon_to_sqlite.memory import Memory
from pylon_to_sqlite.plan import Checkpoint, Window, read_again_at
from pylon_to_sqlite.privacy import OPEN, Privacy
from pylon_to_sqlite.purge import FILE, purge
from pylon_to_sqlite.rows import Drift, Rows
from pylon_to_sqlite.runs import Counts, Runs
from pylon_to_sqlite.schema import TABLES, VERSION
from pylon_to_sqlite.stale import DOUBTED, Parent
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.support_streams import ISSUE_MESSAGES, ISSUES
from pylon_to_sqlite.tables import Tables
from pylon_to_sqlite.transactions import BUSY_SECONDS, NOTICE, Transactions, await_others
from pylon_to_sqlite.withdraw import Withdrawn, read_again, returning, withdraw


def _newest(stream: Stream, batch: Sequence[Rows]) -> list[Rows]:
    """One of each record, where a page holds it twice: the later state."""
    found: dict[tuple[Any, ...], Rows] = {}
    for rows in batch:
        key = tuple(rows.row[name] for name in stream.key)
        changed_at = str(rows.row.get(stream.watermark) or "")
        if key not in found or changed_at >= str(found[key].row.get(stream.watermark) or ""):
            found[key] = rows
    return list(found.values())


class Store(Holding):
    """The mirror in one SQLite file, opened for writing."""

    def __init__(self, path: str, patience: float = BUSY_SECONDS) -> None:
        self.db = Database(sqlite3.connect(path))
        await_others(self.db.conn, patience)
        self.tables = Tables(self.db)
        self.forgotten = Forgotten(self.db)
        self.transactions = Transactions(self.db.conn, self._rolled_back, patience)
        self.runs = Runs(self.db, self.transactions)
        self.attachments = Attachments(self.db, self.transactions)
        self.memory = Memory(self.db, self.transactions)
        self.privacy = OPEN
        self._returning: Collection[str] = ()
        tombstones.prepare(self.db)
        # With WAL a Datasette reads while a sync writes.
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = NORMAL")
        # What is overwritten or deleted is gone: customers' words are in this file.
        self.db.execute("PRAGMA secure_delete = ON")
        self.db.execute(f"PRAGMA busy_timeout = {int(NOTICE * 1000)}")

    def close(self) -> None:
        """What is whole is committed, however the run ended."""
        try:
            self.transactions.settle()
        finally:
            self.db.close()

    def prepare(self, now: str, **known: str) -> None:
        """Create the tables that are missing, bring up to date what an earlier version made, and
        remember what is `known`."""
        with self.transactions.one():
            lay_out(self.db, now)
            meta.keep(self.db, {meta.SCHEMA_VERSION: str(VERSION), **known})

    def remember(self, **known: str) -> None:
        """Keep these in `_pylon_meta`."""
        with self.transactions.one():
            meta.keep(self.db, known)

    def hold_to(
        self,
        choice: Choice,
        before: Privacy,
        privacy: Privacy,
        now: str,
        remove: Callable[[Collection[str]], None],
    ) -> Withdrawn:
        """Remember the choice, and write no more than it allows from here on: what the file holds
        beyond that is taken out, and what it lacks is read again. `before` was allowed so far, and
        `remove` is as in `withdraw`."""
        with self.transactions.one():
            found = withdraw(self.db, before, privacy, now, remove)
            read_again(self.db, self.memory, before, privacy)
            self.memory.note_choice(choice)
            self._returning = returning(self.db)
        self.privacy = privacy
        # Columns may have other names.
        self.tables.forget_types()
        return found

    def have_returned(self) -> None:
        """All issues have been read since columns were taken in again."""
        if self._returning:
            with self.transactions.one():
                meta.drop(self.db, meta.RETURNING)
            self._returning = ()

    def commit(
        self, stream: Stream, batch: Sequence[Rows], checkpoint: Checkpoint, now: str
    ) -> Counts:
        """The rows of a page, their link rows and the checkpoint after it, together."""
        with self.transactions.one():
            counts = self._write(stream, batch, now)
            if stream.is_walked:
                keys = [tuple(rows.row[name] for name in stream.key) for rows in batch]
                tombstones.found(self.db, stream, keys)
            self.memory.note(stream, checkpoint)
        return counts

    def commit_one(self, stream: Stream, rows: Rows, now: str) -> Counts:
        """A record that was asked for by its id."""
        with self.transactions.one():
            counts = self._write(stream, [rows], now)
            # What was forgotten is not there, and not to be asked for again.
            self.db.execute(
                f"INSERT OR REPLACE INTO _pylon_unlisted SELECT ?1, id, ?3 FROM {stream.name}"
                " WHERE id = ?2",
                [stream.name, rows.row["id"], now],
            )
        return counts

    def nobody(self, stream: Stream, key: str, now: str) -> int:
        """There is no record of this id; gives how many live ones are gone (0, 1)."""
        with self.transactions.one():
            return unlisted.nobody(self.db, stream, key, now)

    def begin_walk(self, stream: Stream) -> None:
        """From here on what is committed is what the stream's list holds."""
        with self.transactions.one():
            tombstones.begin_walk(self.db, stream)

    def end_walk(
        self, stream: Stream, parts: Sequence[str] | None, now: str, *, is_allowed: bool
    ) -> int:
        """Mark what a finished walk of these parts (None: of all) did not come by; gives how many
        records are gone. Raises Unexpected where most are, unless that `is_allowed`."""
        with self.transactions.one():
            return tombstones.mark_unseen(self.db, stream, parts, now, is_allowed=is_allowed)

    def commit_children(
        self, stream: Stream, parent: Parent, batch: Sequence[Rows], read_at: str, now: str
    ) -> Counts:
        """All children of one parent as one set: those that are not in it are gone; that all are
        is believed the second time. Where the parent is gone meanwhile, so are they all."""
        table = TABLES[stream.name]
        belongs = stream.belongs
        assert belongs
        with self.transactions.one():
            there = f"SELECT 1 FROM {belongs.parent.name} WHERE id = ? AND deleted_at IS NULL"
            if not self._one(there, parent.key):
                return Counts()
            if not batch and self._is_news(stream, parent.key):
                # It may be a fault. Read for no state of its parent, they are to be read again.
                self._note_children(stream, parent.key, None, read_at, read_at)
                return Counts()
            again_at = read_again_at(parent.changed_at, read_at, belongs.again_after)
            if stream is ISSUE_MESSAGES and self.privacy.public_only:
                batch = issue_bodies.judge(self.db, parent, batch, again_at, now)
            counts = self._write(stream, batch, now)
            (own,) = {*table.key} - {stream.owner}
            kept = json.dumps([rows.row[own] for rows in batch])
            listed = f"{own} IN (SELECT value FROM json_each(:kept))"
            missing = f"{stream.owner} = :parent AND NOT {listed}"
            params = {"parent": parent.key, "kept": kept}
            counts.gone = tombstones.mark(self.db, stream, missing, params, now)
            if stream is ISSUE_MESSAGES and self.privacy.public_only:
                issue_bodies.take_out(self.db, parent.key, now)
            if stream is ISSUE_MESSAGES and (counts != Counts() or self.privacy.public_only):
                written = [rows.row for rows in batch]
                attachments.derive_children(self.db, parent.key, written, now)
            self._note_children(stream, parent.key, parent.changed_at, read_at, again_at)
        return counts

    def hiding(self) -> Callable[[str], str]:
        """What leaves nothing in a sentence of what is left out or forgotten by now. It asks the
        file nothing more."""
        known, words = self.forgotten.addresses(), self.privacy.words
        return lambda said: known.text(words(known.text(said)))

    def _note_children(self, stream: Stream, parent: str, *state: str | None) -> None:
        sql = "INSERT OR REPLACE INTO _pylon_children VALUES (?, ?, ?, ?, ?)"
        self.db.execute(sql, [stream.name, parent, *state])

    def _is_news(self, stream: Stream, parent: str) -> bool:
        """Whether it is told for the first time that a parent has no children, though it has some
        here or should have."""
        assert stream.belongs
        if self.empty_since(stream, parent):
            return False
        known = "SELECT 1 FROM _pylon_children WHERE stream = ? AND parent = ?"
        should = stream.belongs.always_some and not self._one(known, stream.name, parent)
        return should or self.has(stream, parent)

    def parent_gone(self, parent: Stream, key: str, now: str) -> int:
        """Mark a record gone, and the children that it had; gives how many it was (0, 1)."""
        with self.transactions.one():
            gone = tombstones.mark_one(self.db, parent, key, now)
            if parent is ISSUES:
                attachments.derive(self.db, [key], now)
        return gone

    def leave_issues(self, kind: str, now: str) -> int:
        """Mark the issues that are not of this type, and their children; gives how many it was."""
        with self.transactions.one():
            others = "lower(type) IS NOT :kind"
            gone = tombstones.mark_all(self.db, ISSUES, others, {"kind": kind}, now)
            attachments.derive_gone(self.db, now)
        return gone

    def forget_children(self, stream: Stream, parent: str) -> None:
        """Children that could not be read are stale until they are, whatever was read before."""
        with self.transactions.one():
            self._forget_children(stream, parent)

    def commit_compared(self, batch: Sequence[Rows], now: str) -> Counts:
        """Issues as a list gave them, where they differ from what is here; but not what is newer
        here than there, nor what is outside the scope of the mirror."""
        keys = json.dumps([rows.row["id"] for rows in batch])
        since = self.memory.checkpoint(ISSUES).since or ""
        with self.transactions.one():
            here = dict(
                self.db.execute(
                    "SELECT id, coalesce(updated_at, '') FROM issues WHERE placeholder = 0"
                    " AND id IN (SELECT value FROM json_each(?))",
                    [keys],
                ).fetchall()
            )
            wanted = [
                rows
                for rows in batch
                if str(rows.row["updated_at"] or "") >= here.get(rows.row["id"], since)
            ]
            counts = self._write(ISSUES, wanted, now)
            tombstones.found(self.db, ISSUES, [(rows.row["id"],) for rows in batch])
        return counts

    def unseen_issues(self, window: Window) -> tuple[int, list[str]]:
        """How many live issues were created in a window, and the keys of those that its list did
        not have."""
        return tombstones.unseen(
            self.db, ISSUES, "created_at >= :after AND created_at < :before", window._asdict()
        )

    def decide_requesters(self, now: str, keys: Sequence[str] | None = None) -> None:
        """Say of the issues (all, or those of `keys`) whether a contact or a user asked.

        Only possible once contacts and users have been read whole; who is in neither list counts
        as a contact, for that is what Pylon's description calls a requester.
        """
        with self.transactions.one():
            self._decide_requesters(now, keys)

    def doubt_children(self, stream: Stream, since: str, now: str) -> None:
        """Have children read again whose parents had messages since then."""
        with self.transactions.one():
            self.db.execute(
                "UPDATE _pylon_children SET again_at = :now WHERE stream = :stream"
                # These are doubted already, and it is remembered since when.
                f" AND NOT {TOLD_EMPTY} AND parent IN ({DOUBTED})",
                {"stream": stream.name, "since": since, "now": now},
            )

    def erase(self, until: str, now: str) -> int:
        """Erase the records for good that were marked up to that time; gives how many."""
        with self.transactions.one():
            erased = erase(self.db, until, now)
            if erased and self.privacy.public_only:
                # A message that is gone for good may have been all that told a body public.
                issue_bodies.take_out_all(self.db, now)
        return erased

    def tell_drift(self) -> list[Drift]:
        """What was noted of Pylon's fields and has not been told yet, which it is by this."""
        with self.transactions.one():
            return self.tables.drifts.tell()

    def note_gone(self, now: str) -> None:
        """Note the fields that no record of this run had, though many here had them."""
        with self.transactions.one():
            self.tables.drifts.note_gone(now)

    def is_unpurged(self) -> bool:
        """Whether an index may hold words that are gone, or records were erased."""
        return self._one("SELECT 1 FROM _pylon_unpurged WHERE name <> ? LIMIT 1", FILE) is not None

    def purge(self, now: str) -> str:
        """Leave nothing of words that were changed or deleted; gives why it must wait, if so."""
        return purge(self.db, self.transactions, now)

    def _write(self, stream: Stream, batch: Sequence[Rows], now: str) -> Counts:
        table = TABLES[stream.name]
        batch = self.forgotten.kept(stream, _newest(stream, batch), now)
        batch = [self.privacy.of(stream, rows) for rows in batch]
        if self.privacy.pseudonyms:
            # A file that holds pseudonyms alone knows who is forgotten by these.
            batch = self.forgotten.kept(stream, batch, now)
        if stream is ISSUES and self.privacy.public_only:
            batch = issue_bodies.withhold(self.db, batch)
        keys = [str(rows.row[table.key[0]]) for rows in batch]
        before = history.watched(self.db, keys) if stream is ISSUES else {}
        new, changed = self.tables.upsert(table, [rows.row for rows in batch], now)
        if stream.links:
            linked: set[Any] = set()
            for link in stream.links:
                rows = [row for one in batch for row in one.links[link.table]]
                owner = link.owner.name
                linked |= self.tables.replace(TABLES[link.table], owner, keys, rows, now)
            # A record whose lists alone differ has changed too.
            only_linked = {(key,) for key in linked} - new - changed
            self.db.conn.executemany(
                f"UPDATE {stream.name} SET synced_at = ? WHERE {table.key[0]} = ?",
                [(now, *key) for key in only_linked],
            )
            changed |= only_linked
        for drift in (drift for rows in batch for drift in rows.drift):
            self.tables.drifts.note(drift, now)
        for name in dict.fromkeys(one.table for rows in batch for one in rows.references):
            said = (one.row for rows in batch for one in rows.references if one.table == name)
            self.tables.insert_placeholders(TABLES[name], said, now)
        if stream is ISSUES:
            after = history.watched(self.db, list(before))
            history.note(self.db, before, after, now, self._returning)
            self._decide_requesters(now, keys)
            fresh = [rows.row for rows in batch if (rows.row["id"],) in new | changed]
            attachments.derive_written(self.db, fresh, now)
        return Counts(len(new), len(changed))

    def _decide_requesters(self, now: str, keys: Sequence[str] | None) -> None:
        with_email = "contacts.email" not in self.privacy.withheld
        requesters.decide(self.db, now, keys, with_email=with_email)

    def _rolled_back(self) -> None:
        self.tables.forget_types()
        self.forgotten.doubt()

    def _forget_children(self, stream: Stream, parent: str) -> None:
        self.db.execute(
            "DELETE FROM _pylon_children WHERE stream = ? AND parent = ?", [stream.name, parent]
        )
