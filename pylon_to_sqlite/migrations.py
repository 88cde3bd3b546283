"""What brings a file that an earlier version wrote up to date, step by step, with nothing lost.

New tables, columns and indexes need no step: tables.py creates what is not there yet. A step is
for what changed its place or its meaning, and finds a file without tables too, where it has
nothing to do.
"""

from sqlite_utils import Database, Migrations

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
