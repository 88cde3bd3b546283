"""Where Pylon's fields are not what this tool knows: each is noted once, and told once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlite_utils import Database

from pylon_to_sqlite.rows import Drift

# A field is gone where so many records, and half of those read, had it and none has it any more.
FEW = 5

Values = Sequence[object]


@dataclass
class Presence:
    """Which columns of a table no record filled in this run, and how many had filled them."""

    read: int = 0
    lost: dict[str, int] | None = None

    def see(
        self, columns: Sequence[str], rows: Iterable[Values], old: Iterable[Values | None]
    ) -> None:
        """Take note of records that have come, each beside what was here of it."""
        if self.lost is None:
            self.lost = dict.fromkeys(columns, 0)
        at = {name: place for place, name in enumerate(columns) if name in self.lost}
        for row, before in zip(rows, old, strict=True):
            self.read += 1
            for name, place in [*at.items()]:
                if row[place] is not None:
                    del self.lost[name], at[name]
                elif before and before[place] is not None:
                    self.lost[name] += 1

    def gone(self) -> Iterable[tuple[str, int]]:
        """The columns whose fields seem to be gone, with how many records had them."""
        for name, lost in (self.lost or {}).items():
            if lost >= FEW and 2 * lost >= self.read:
                yield name, lost


@dataclass
class Drifts:
    """What is noted in `_pylon_fields`. Its methods belong inside a transaction of the caller's."""

    db: Database
    noted: dict[tuple[str, str, str], Drift] = field(default_factory=dict)
    """What was noted for the first time since this was opened."""
    _known: set[tuple[str, str, str]] = field(default_factory=set)
    _presence: dict[str, Presence] = field(default_factory=dict)

    def note(self, drift: Drift, now: str) -> None:
        key = drift[:3]
        if key in self._known:
            return
        self._known.add(key)
        done = self.db.execute(
            "INSERT INTO _pylon_fields VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [*drift, now],
        )
        if done.rowcount:
            self.noted[key] = drift

    def forget(self) -> None:
        """After a rollback, which may have taken notes with it."""
        self._known.clear()

    def added(self, table: str) -> set[str]:
        """The columns that a table got for fields nobody knew."""
        found = self.db.execute(
            'SELECT "column" FROM _pylon_fields WHERE "table" = ? AND change = \'new\'', [table]
        )
        return {row[0] for row in found}

    def presence(self, table: str) -> Presence:
        return self._presence.setdefault(table, Presence())

    def note_gone(self, now: str) -> None:
        """Note the fields that no record of this run had, though many here had them."""
        for table, presence in self._presence.items():
            for name, lost in presence.gone():
                detail = f"in none of the {presence.read:,} records read; {lost:,} had it"
                self.note(Drift(table, name, "gone", detail), now)
