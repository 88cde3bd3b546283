"""The only writer: rows and checkpoint in one transaction; knows which parents are stale."""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import timedelta
from typing import Any

from sqlite_utils import Database

from pylon_to_sqlite import attachments, bodies, history, requesters, tombstones
from pylon_to_sqlite.attachments import Attachments
from pylon_to_sqlite.choice import Choice
from pylon_to_sqlite.erase import erase
from pylon_to_sqlite.layout import lay_out
from pylon_to_sqlite.memory import Memory
from pylon_to_sqlite.plan import Checkpoint, Window, iso, moment, read_again_at
from pylon_to_sqlite.privacy import OPEN, Privacy
from pylon_to_sqlite.purge import FILE, purge
from pylon_to_sqlite.rows import Drift, Rows
from pylon_to_sqlite.runs import Counts, Runs
from pylon_to_sqlite.schema import TABLES, VERSION, live
from pylon_to_sqlite.stale import DOUBTED, Parent, count_stale, stale
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.support_streams import ISSUE_MESSAGES, ISSUES
from pylon_to_sqlite.tables import Tables
from pylon_to_sqlite.transactions import BUSY_SECONDS, NOTICE, Transactions
from pylon_to_sqlite.withdraw import Withdrawn, read_again, returning, withdraw

BEFORE_PYLON = "2015-01-01T00:00:00Z"
# Issues can be imported from elsewhere.
BEFORE_ALL = "2000-01-01T00:00:00Z"
_IS_TIME = "created_at > ? AND created_at LIKE '____-__-__T%' AND datetime(created_at) IS NOT NULL"


def _newest(stream: Stream, batch: Sequence[Rows]) -> list[Rows]:
    """One of each record, where a page holds it twice: the later state."""
    found: dict[tuple[Any, ...], Rows] = {}
    for rows in batch:
        key = tuple(rows.row[name] for name in stream.key)
        changed_at = str(rows.row.get(stream.watermark) or "")
        if key not in found or changed_at >= str(found[key].row.get(stream.watermark) or ""):
            found[key] = rows
    return list(found.values())


class Store:
    """The mirror in one SQLite file, opened for writing."""

    def __init__(self, path: str) -> None:
        self.db = Database(sqlite3.connect(path, timeout=BUSY_SECONDS))
        self.tables = Tables(self.db)
        self.transactions = Transactions(self.db.conn, self.tables.forget_types)
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

    def prepare(self, now: str, **meta: str) -> None:
        """Create the tables that are missing, bring up to date what an earlier version made, and
        remember `meta`."""
        with self.transactions.one():
            lay_out(self.db, now)
            for key, value in {"schema_version": str(VERSION), **meta}.items():
                self.db.execute("INSERT OR REPLACE INTO _pylon_meta VALUES (?, ?)", [key, value])

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
            self._returning = returning(self.db, self.memory)
        self.privacy = privacy
        # Columns may have other names.
        self.tables.forget_types()
        return found

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

    def unlisted(self, stream: Stream, before: str) -> list[str]:
        """Keys to look up: of records only known by reference, and of those that were found so
        and have not been asked for since `before`."""
        found = self.db.execute(
            f"SELECT id FROM {stream.name} WHERE placeholder = 1 AND deleted_at IS NULL"
            " UNION SELECT key FROM _pylon_unlisted WHERE stream = :stream AND asked_at < :before",
            {"stream": stream.name, "before": before},
        )
        return [row[0] for row in found]

    def is_placeholder(self, stream: Stream, key: str) -> bool:
        """Whether the record of this key is only known by reference."""
        row = self._one(f"SELECT placeholder FROM {stream.name} WHERE id = ?", key)
        return row is None or bool(row[0])

    def commit_one(self, stream: Stream, rows: Rows, now: str) -> Counts:
        """A record that was asked for by its id."""
        with self.transactions.one():
            counts = self._write(stream, [rows], now)
            self.db.execute(
                "INSERT OR REPLACE INTO _pylon_unlisted VALUES (?, ?, ?)",
                [stream.name, rows.row["id"], now],
            )
        return counts

    def nobody(self, stream: Stream, key: str, now: str) -> int:
        """There is no record of this id: what stands for it is marked. Gives how many live ones
        are gone (0, 1). It is asked for once more another day, for one answer may be wrong."""
        with self.transactions.one():
            is_known = self._one(f"SELECT deleted_at FROM {stream.name} WHERE id = ?", key)
            self.db.execute(
                "DELETE FROM _pylon_unlisted WHERE stream = ? AND key = ?", [stream.name, key]
            )
            if not (is_known and is_known[0]):
                self.db.execute(
                    "INSERT INTO _pylon_unlisted VALUES (?, ?, ?)", [stream.name, key, now]
                )
            self.db.execute(
                f"UPDATE {stream.name} SET deleted_at = :now, synced_at = :now"
                " WHERE id = :key AND placeholder = 1 AND deleted_at IS NULL",
                {"key": key, "now": now},
            )
            return tombstones.mark_one(self.db, stream, key, now)

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
        """All children of one parent as one set: those that are not in it are gone. Where the
        parent is gone meanwhile, so are they all."""
        table = TABLES[stream.name]
        belongs = stream.belongs
        assert belongs
        with self.transactions.one():
            there = f"SELECT 1 FROM {belongs.parent.name} WHERE id = ? AND deleted_at IS NULL"
            if not self._one(there, parent.key):
                return Counts()
            again_at = read_again_at(parent.changed_at, read_at, belongs.again_after)
            if stream is ISSUE_MESSAGES and self.privacy.public_only:
                batch = bodies.judge(self.db, parent, batch, again_at, now)
            counts = self._write(stream, batch, now)
            (own,) = {*table.key} - {stream.owner}
            kept = json.dumps([rows.row[own] for rows in batch])
            listed = f"{own} IN (SELECT value FROM json_each(:kept))"
            missing = f"{stream.owner} = :parent AND NOT {listed}"
            params = {"parent": parent.key, "kept": kept}
            counts.gone = tombstones.mark(self.db, stream, missing, params, now)
            if stream is ISSUE_MESSAGES and self.privacy.public_only:
                bodies.take_out(self.db, parent.key, now)
            if stream is ISSUE_MESSAGES and (counts != Counts() or self.privacy.public_only):
                written = [rows.row for rows in batch]
                attachments.derive_children(self.db, parent.key, written, now)
            self.db.execute(
                "INSERT OR REPLACE INTO _pylon_children VALUES (?, ?, ?, ?, ?)",
                [stream.name, parent.key, parent.changed_at, read_at, again_at],
            )
        return counts

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

    def has(self, stream: Stream, part: str | None) -> bool:
        """Whether there are live rows of the stream, or of this part of it: a parent's children,
        or those that one value of its parameter asks for."""
        of_part = "1" if part is None else f"{stream.part_column} = :part"
        found = self.db.execute(
            f"SELECT 1 FROM {stream.name} WHERE {of_part} AND {live(TABLES[stream.name])} LIMIT 1",
            {"part": part},
        )
        return found.fetchone() is not None

    def had(self, stream: Stream, part: str) -> bool:
        """Whether there ever were rows of this part of the stream."""
        sql = f"SELECT 1 FROM {stream.name} WHERE {stream.part_column} = ? LIMIT 1"
        return self._one(sql, part) is not None

    def forget_children(self, stream: Stream, parent: str) -> None:
        """Children that could not be read are stale until they are, whatever was read before."""
        with self.transactions.one():
            self._forget_children(stream, parent)

    def parents(self, stream: Stream) -> list[str]:
        """Keys of the live rows of a stream, in order."""
        found = self.db.execute(
            f"SELECT id FROM {stream.name} WHERE {live(TABLES[stream.name])} ORDER BY id"
        )
        return [row[0] for row in found]

    def stale(self, stream: Stream, now: str, full: str | None) -> Iterator[Parent]:
        """Parents whose children must be read, newest first, each once. It may be written to
        while this goes on: what is read meanwhile is not given again."""
        return stale(self.db, stream, now, full)

    def count_stale(self, stream: Stream, now: str, full: str | None = None) -> int:
        """How many parents' children must be read."""
        return count_stale(self.db, stream, now, full)

    def earliest(self) -> str:
        """A time before anything in the workspace can have been written: two years (for what was
        imported) before its oldest account, or before there was Pylon."""
        sql = f"SELECT min(created_at) FROM accounts WHERE {_IS_TIME}"
        row = self._one(sql, BEFORE_PYLON)
        if row[0] is None:
            return BEFORE_PYLON
        return max(iso(moment(row[0]) - timedelta(days=730)), BEFORE_PYLON)

    def oldest_issue(self) -> str | None:
        """When the first issue was created that is or was here."""
        # Nobody had one before: an earlier time is none, such as year 1.
        sql = f"SELECT min(created_at) FROM issues WHERE {_IS_TIME} AND placeholder = 0"
        row = self._one(sql, BEFORE_ALL)
        return str(row[0]) if row[0] else None

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
                f" AND parent IN ({DOUBTED})",
                {"stream": stream.name, "since": since, "now": now},
            )

    def awaited(self) -> list[tuple[str, str | None]]:
        """Issues whose bodies may be written by now: their keys and when they were created."""
        return bodies.awaited(self.db)

    def erase(self, until: str, now: str) -> int:
        """Erase the records for good that were marked up to that time; gives how many."""
        with self.transactions.one():
            return erase(self.db, until, now)

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
        batch = [self.privacy.of(stream, rows) for rows in _newest(stream, batch)]
        if stream is ISSUES and self.privacy.public_only:
            batch = bodies.withhold(self.db, batch)
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

    def _forget_children(self, stream: Stream, parent: str) -> None:
        self.db.execute(
            "DELETE FROM _pylon_children WHERE stream = ? AND parent = ?", [stream.name, parent]
        )

    def _one(self, sql: str, *params: Any) -> Any:
        return self.db.execute(sql, list(params)).fetchone()
