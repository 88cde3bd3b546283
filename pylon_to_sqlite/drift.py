"""Where Pylon's fields are not what this tool knows: each is noted once, and told once."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlite_utils import Database

from pylon_to_sqlite.meta import Connection
from pylon_to_sqlite.rows import Drift
from pylon_to_sqlite.schema import TABLES, live

# A field is gone where no record has it any more, so many had it, and a quarter of those read;
# and only where most of what is here was read, or a good many.
FEW = 5
MANY = 100

Values = Sequence[object]


@dataclass
class Presence:
    """Which columns no record filled in this run, and how many had filled them. `table` is where
    they belong: a list inside a record has a table of its own."""

    table: str
    read: int = 0
    filled: set[str] = field(default_factory=set)
    lost: dict[str, int] = field(default_factory=dict)

    def see(
        self, columns: Sequence[str], rows: Iterable[Values], old: Iterable[Values | None]
    ) -> None:
        """Take note of records that have come, each beside what was here of it."""
        at = {name: place for place, name in enumerate(columns) if name not in self.filled}
        for row, before in zip(rows, old, strict=True):
            self.read += 1
            for name, place in [*at.items()]:
                if row[place] is not None:
                    del at[name]
                    self.filled.add(name)
                    self.lost.pop(name, None)
                elif before and before[place] is not None:
                    self.lost[name] = self.lost.get(name, 0) + 1


def added(db: Connection) -> defaultdict[str, set[str]]:
    """By table, the columns that it got for fields nobody knew, as far as it still has them."""
    # Each table is looked at once, however many fields it has.
    sql = (
        'SELECT f."table", f."column" FROM (SELECT DISTINCT "table" FROM _pylon_fields) AS t'
        ' CROSS JOIN pragma_table_info(t."table") AS c CROSS JOIN _pylon_fields AS f'
        ' ON f."table" = t."table" AND f."column" = c.name WHERE f.change = \'new\''
    )
    found: defaultdict[str, set[str]] = defaultdict(set)
    for table, column in db.execute(sql):
        found[table].add(column)
    return found


@dataclass
class Drifts:
    """What is noted in `_pylon_fields`. Its methods belong inside a transaction of the caller's."""

    db: Database
    _known: set[tuple[str, str, str]] = field(default_factory=set)
    _presence: dict[str, Presence] = field(default_factory=dict)

    def note(self, drift: Drift, now: str) -> None:
        """Note it, unless it has been."""
        key = drift[:3]
        if key not in self._known:
            self._known.add(key)
            self.db.execute(
                "INSERT INTO _pylon_fields VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING",
                [*drift, now],
            )

    def forget(self) -> None:
        """After a rollback, which may have taken notes with it."""
        self._known.clear()

    def tell(self) -> list[Drift]:
        """What was noted and has not been told yet, which it is by this."""
        found = self.db.execute(
            'SELECT "table", "column", change, detail FROM _pylon_fields WHERE NOT told'
            ' ORDER BY "table", "column"'
        ).fetchall()
        self.db.execute("UPDATE _pylon_fields SET told = 1 WHERE NOT told")
        return [Drift(*row) for row in found]

    def presence(self, rows: str, table: str) -> Presence:
        """Which columns of `table` are filled, as the rows of that name or of a list show."""
        return self._presence.setdefault(rows, Presence(table))

    def note_gone(self, now: str) -> None:
        """Note the fields that no record of this run had, though many here had them; those that
        are there again are no longer gone."""
        gone = 'DELETE FROM _pylon_fields WHERE change = \'gone\' AND "table" = ? AND "column" = ?'
        for presence in self._presence.values():
            table, read = presence.table, presence.read
            self.db.conn.executemany(gone, [(table, name) for name in presence.filled])
            lost = {name: n for name, n in presence.lost.items() if n >= FEW and 4 * n >= read}
            if lost and (read >= MANY or 2 * read >= self._live(table)):
                for name, n in lost.items():
                    detail = f"in none of the {read:,} records read; {n:,} had it"
                    self.note(Drift(table, name, "gone", detail), now)

    def _live(self, table: str) -> int:
        sql = f"SELECT count(*) FROM {table} WHERE {live(TABLES[table])}"
        return int(self.db.execute(sql).fetchone()[0])
