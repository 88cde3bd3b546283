"""The table of attachments: derived from what issues and messages name, in the same transaction.

A row stands for a file of a message, or of an issue where no live message of it has the file. It
goes with what it derives from: marked where that is, and erased where that names it no more.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

from sqlite_utils import Database

from pylon_to_sqlite.purge import ERASED
from pylon_to_sqlite.transactions import Transactions
from pylon_to_sqlite.unsigned import addresses, file_name

BATCH = 500

_DERIVED = ("issue_id", "message_id", "address", "file_name", "is_private", "deleted_at")
# What is known of contents, from the last time that they came.
_CONTENTS = ("content_hash", "content_type", "size", "path", "downloaded_at")

_NAMING = """
    SELECT i.id, NULL, NULL, i.attachment_urls, i.deleted_at, 0 FROM issues AS i
    WHERE i.id IN (SELECT value FROM json_each(:issues)) AND i.attachment_urls IS NOT NULL
    UNION ALL
    SELECT m.issue_id, m.id, m.is_private, m.file_urls, coalesce(m.deleted_at, i.deleted_at),
        m.deleted_at IS NULL OR i.deleted_at IS NOT NULL
    FROM issue_messages AS m JOIN issues AS i ON i.id = m.issue_id
    WHERE m.issue_id IN (SELECT value FROM json_each(:issues)) AND m.file_urls IS NOT NULL
"""


class Contents(NamedTuple):
    """What came of a download."""

    hash: str
    kind: str | None
    size: int
    path: str


class File(NamedTuple):
    """A file of an issue, which several of its messages may have: the rows that stand for it."""

    issue: str
    address: str
    rows: tuple[str, ...]
    is_of_message: bool
    contents: Contents | None = None
    """Those that one of the rows has."""
    lacking: tuple[str, ...] = ()
    """The rows that do not say so."""


def derive(db: Database, issues: Collection[str], now: str) -> None:
    """Make the rows of these issues what the issues and their messages say."""
    params = {"issues": json.dumps(list(issues))}
    wanted = _wanted(db.execute(_NAMING, params).fetchall())
    names = ", ".join(_DERIVED)
    old = {
        row[0]: row[1:]
        for row in db.execute(
            f"SELECT id, {names} FROM attachments"
            " WHERE issue_id IN (SELECT value FROM json_each(:issues))",
            params,
        )
    }
    differing = [(key, *row, now) for key, row in wanted.items() if old.get(key) != row]
    sets = ", ".join(f"{name} = excluded.{name}" for name in (*_DERIVED, "synced_at"))
    db.conn.executemany(
        f"INSERT INTO attachments (id, {names}, synced_at) VALUES ({', '.join('?' * 8)})"
        f" ON CONFLICT (id) DO UPDATE SET {sets}",
        differing,
    )
    vanished = [key for key in old if key not in wanted]
    db.conn.executemany("DELETE FROM attachments WHERE id = ?", [(key,) for key in vanished])
    address = _DERIVED.index("address")
    if {old[key][address] for key in vanished} - {row[address] for row in wanted.values()}:
        # Names of files that were taken back are customers' words too.
        db.execute("INSERT OR IGNORE INTO _pylon_unpurged VALUES (?)", [ERASED])


def derive_written(db: Database, rows: Sequence[Any], now: str) -> None:
    """Keep true what derives from these rows of issues, which have just become different. Most
    name no file and never did, which one look at an index tells."""
    naming = {row["id"] for row in rows if row.get("attachment_urls") is not None}
    found = db.execute(
        "SELECT DISTINCT issue_id FROM attachments"
        " WHERE issue_id IN (SELECT value FROM json_each(?))",
        [json.dumps([row["id"] for row in rows])],
    )
    if issues := naming | {row[0] for row in found}:
        derive(db, issues, now)


def derive_children(db: Database, issue: str, rows: Sequence[Any], now: str) -> None:
    """Keep true what derives from the messages of an issue, some of which have just become
    different, and what derived from them where they were another issue's."""
    found = db.execute(
        "SELECT issue_id FROM attachments WHERE issue_id = :issue"
        " UNION SELECT issue_id FROM attachments"
        " WHERE message_id IN (SELECT value FROM json_each(:messages))",
        {"issue": issue, "messages": json.dumps([row["id"] for row in rows])},
    )
    issues = {row[0] for row in found}
    if issues or any(row.get("file_urls") is not None for row in rows):
        derive(db, {issue, *issues}, now)


def derive_gone(db: Database, now: str) -> None:
    """Mark what derives from issues that are gone, after many of them were marked at once."""
    gone = db.execute(
        "SELECT DISTINCT a.issue_id FROM attachments AS a JOIN issues AS i ON i.id = a.issue_id"
        " WHERE a.deleted_at IS NULL AND i.deleted_at IS NOT NULL"
    ).fetchall()
    _derive_in_batches(db, gone, now)


def derive_all(db: Database, now: str) -> None:
    """Derive all of it: in a file that did not have the table, or that holds less by now."""
    naming = db.execute(
        "SELECT id FROM issues WHERE attachment_urls IS NOT NULL"
        " UNION SELECT issue_id FROM issue_messages"
        " WHERE file_urls IS NOT NULL AND issue_id IS NOT NULL"
        " UNION SELECT issue_id FROM attachments"
    ).fetchall()
    _derive_in_batches(db, naming, now)


def _derive_in_batches(db: Database, issues: Sequence[Any], now: str) -> None:
    for start in range(0, len(issues), BATCH):
        derive(db, [row[0] for row in issues[start : start + BATCH]], now)


@dataclass(frozen=True)
class Attachments:
    """What is known of the contents of files, for who downloads them."""

    db: Database
    transactions: Transactions

    def files(self) -> Iterator[list[File]]:
        """The files of each issue that is live. It may be written to while this goes on."""
        last = ""
        while True:
            issues = [
                row[0]
                for row in self.db.execute(
                    "SELECT DISTINCT issue_id FROM attachments WHERE issue_id > ?"
                    " AND deleted_at IS NULL ORDER BY issue_id LIMIT ?",
                    [last, BATCH],
                )
            ]
            for issue in issues:
                yield self._files_of(issue)
            if len(issues) < BATCH:
                return
            last = issues[-1]

    def paths(self, *, also_deleted: bool = False) -> set[str]:
        """Where contents are that are still somebody's, or were until a file was deleted."""
        wanted = "1" if also_deleted else "deleted_at IS NULL"
        sql = f"SELECT path FROM attachments WHERE path IS NOT NULL AND {wanted}"
        return {row[0] for row in self.db.execute(sql)}

    def forget_deleted(self, now: str) -> None:
        """The contents of deleted files are no longer there."""
        emptied = ", ".join(f"{name} = NULL" for name in (*_CONTENTS, "error"))
        with self.transactions.one():
            self.db.execute(
                f"UPDATE attachments SET {emptied}, synced_at = ?"
                " WHERE deleted_at IS NOT NULL AND (path IS NOT NULL OR error IS NOT NULL)",
                [now],
            )

    def have(self, rows: Collection[str], contents: Contents, now: str) -> None:
        """The contents of the file that these rows stand for are there."""
        sets = ", ".join(f"{name} = ?" for name in _CONTENTS)
        with self.transactions.one():
            self.db.conn.executemany(
                f"UPDATE attachments SET {sets}, error = NULL, synced_at = ? WHERE id = ?",
                [(*contents[:3], contents.path, now, now, key) for key in rows],
            )

    def lack(self, file: File, error: str, now: str) -> None:
        """The contents of a file could not be had, and are not there."""
        emptied = ", ".join(f"{name} = NULL" for name in _CONTENTS)
        with self.transactions.one():
            self.db.conn.executemany(
                f"UPDATE attachments SET {emptied}, error = ?, synced_at = ?"
                " WHERE id = ? AND (error IS NOT ? OR path IS NOT NULL)",
                [(error, now, key, error) for key in file.rows],
            )

    def _files_of(self, issue: str) -> list[File]:
        by_address: dict[str, list[Any]] = {}
        for row in self.db.execute(
            "SELECT id, address, message_id, content_hash, content_type, size, path"
            " FROM attachments WHERE issue_id = ? AND deleted_at IS NULL ORDER BY id",
            [issue],
        ).fetchall():
            by_address.setdefault(row[1], []).append(row)
        return [_file(issue, address, rows) for address, rows in by_address.items()]


def _file(issue: str, address: str, rows: Sequence[Any]) -> File:
    known = [Contents(*row[3:]) for row in rows if row[6] is not None]
    contents = known[0] if known else None
    lacking = tuple(row[0] for row in rows if contents is None or row[6] != contents.path)
    is_of_message = any(row[2] is not None for row in rows)
    return File(issue, address, tuple(row[0] for row in rows), is_of_message, contents, lacking)


def _wanted(naming: Sequence[Any]) -> dict[str, tuple[Any, ...]]:
    """By id, the rows that these issues and messages make. What a message still has, or had until
    its issue was gone, is not repeated for the issue."""
    has = {(issue, one) for issue, _, _, urls, _, has in naming if has for one in addresses(urls)}
    return {
        _key(issue, message, one): (issue, message, one, file_name(one), is_private, deleted_at)
        for issue, message, is_private, urls, deleted_at, _ in naming
        for one in addresses(urls)
        if message is not None or (issue, one) not in has
    }


def _key(issue: str, message: str | None, address: str) -> str:
    return sha256(json.dumps([issue, message, address]).encode()).hexdigest()[:32]
