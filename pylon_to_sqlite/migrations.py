"""What brings a file that an earlier version wrote up to date, step by step, with nothing lost.

New tables, columns and indexes need no step: tables.py creates what is not there yet. A step is
for what changed its place or its meaning, and finds a file without tables too, where it has
nothing to do.
"""

import json

from sqlite_utils import Database, Migrations

from pylon_to_sqlite.unsigned import all_unsigned

MIGRATIONS = Migrations("pylon_to_sqlite")


@MIGRATIONS(name="2")
def _fields(db: Database) -> None:
    """New fields had a list of their own; it is one of all that Pylon changed by now."""
    if not db.table("_pylon_columns").exists():
        return
    db.execute(
        """CREATE TABLE IF NOT EXISTS _pylon_fields ("table" TEXT NOT NULL, "column" TEXT NOT NULL,
           change TEXT NOT NULL, detail TEXT, seen_at TEXT,
           told INTEGER NOT NULL DEFAULT 0,
           PRIMARY KEY ("table", "column", change))"""
    )
    db.execute(
        """INSERT OR IGNORE INTO _pylon_fields ("table", "column", change, told)
           SELECT "table", name, 'new', 1 FROM _pylon_columns"""
    )
    db.execute("DROP TABLE _pylon_columns")


@MIGRATIONS(name="3")
def _signatures(db: Database) -> None:
    """Addresses of files were kept with their signatures, with which anybody can read them."""
    found = 0
    for table, column in (("issues", "attachment_urls"), ("issue_messages", "file_urls")):
        if column not in {one.name for one in db.table(table).columns}:
            continue
        secret = f"SELECT rowid, {column} FROM {table} WHERE {column} GLOB '*[?#@]*'"
        for rowid, text in db.execute(secret).fetchall():
            try:
                kept = json.dumps(
                    all_unsigned(json.loads(text)), ensure_ascii=False, sort_keys=True
                )
            except ValueError:
                continue
            if kept != text:
                db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", [kept, rowid])
                found += 1
    if found:
        # What was overwritten is to be nowhere in the file.
        db.execute("CREATE TABLE IF NOT EXISTS _pylon_unpurged (name TEXT PRIMARY KEY)")
        db.execute("INSERT OR IGNORE INTO _pylon_unpurged VALUES ('erased')")


@MIGRATIONS(name="4")
def _endings(db: Database) -> None:
    """The record of a run did not hold its exit status, nor what ended it."""
    if not db.table("_pylon_runs").exists():
        return
    there = {one.name for one in db.table("_pylon_runs").columns}
    for column, kind in (("exit_status", "INTEGER"), ("error", "TEXT")):
        if column not in there:
            db.execute(f"ALTER TABLE _pylon_runs ADD COLUMN {column} {kind}")


@MIGRATIONS(name="5")
def _left_out(db: Database) -> None:
    """New tables need no step. But a version that does not know what is to be left out of a file,
    or who is to be forgotten, would mirror it all again, so it is to leave the file alone."""
