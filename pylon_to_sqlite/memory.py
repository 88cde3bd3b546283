"""What the file remembers between runs: where each stream is, and what is mirrored at all."""

from typing import Any

from sqlite_utils import Database

from pylon_to_sqlite import meta
from pylon_to_sqlite.choice import Choice
from pylon_to_sqlite.errors import Unusable
from pylon_to_sqlite.plan import Checkpoint, Comparison, SavedType, fingerprint, restarted
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.streams import BY_NAME
from pylon_to_sqlite.transactions import Transactions

# The name that the comparison of all issues has among the checkpoints.
COMPARISON = "reconcile"


def recalled(kind: type[SavedType], text: Any, name: str) -> SavedType:
    """What was saved. Raises Unusable where something has damaged it."""
    try:
        return kind.from_json(text)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise Unusable(
            f"what the file remembers of {name} is garbled: pylon-to-sqlite doctor tells more"
        ) from None


class Memory:
    """The checkpoints and the choice in `db`."""

    def __init__(self, db: Database, transactions: Transactions) -> None:
        self.db = db
        self.transactions = transactions

    def checkpoint(self, stream: Stream) -> Checkpoint:
        """Where the stream is. One of another definition of it starts over, in the same scope."""
        row = self._one(
            "SELECT fingerprint, state FROM _pylon_checkpoints WHERE stream = ?", stream.name
        )
        if row is None:
            return Checkpoint()
        checkpoint = recalled(Checkpoint, row[1], stream.name)
        return checkpoint if row[0] == fingerprint(stream) else restarted(checkpoint)

    def save(self, stream: Stream, checkpoint: Checkpoint, completed_at: str | None = None) -> None:
        """Remember the checkpoint alone; `completed_at` where all of the stream has been read."""
        with self.transactions.one():
            self.note(stream, checkpoint, completed_at)

    def restart(self) -> None:
        """Have the next run read everything again, in its scope, whatever has been read."""
        for (name,) in self.db.execute("SELECT stream FROM _pylon_checkpoints").fetchall():
            if name in BY_NAME:
                stream = BY_NAME[name]
                self.note(stream, restarted(self.checkpoint(stream)))
        self.db.execute("DELETE FROM _pylon_children")

    def has_been_read(self, stream: Stream) -> bool:
        """Whether all of the stream was read once."""
        return (
            self._one(
                "SELECT 1 FROM _pylon_checkpoints WHERE stream = ? AND completed_at IS NOT NULL",
                stream.name,
            )
            is not None
        )

    def comparison(self) -> Comparison:
        """Where the comparison of all issues is."""
        row = self._one("SELECT state FROM _pylon_checkpoints WHERE stream = ?", COMPARISON)
        return recalled(Comparison, row[0], COMPARISON) if row else Comparison()

    def save_comparison(self, comparison: Comparison) -> None:
        with self.transactions.one():
            self.db.execute(
                "INSERT OR REPLACE INTO _pylon_checkpoints VALUES (?, '', ?, NULL)",
                [COMPARISON, comparison.to_json()],
            )

    def choice(self) -> Choice:
        """What is mirrored, as far as somebody has said so."""
        text = meta.value(self.db, meta.CHOICE)
        return Choice() if text is None else recalled(Choice, text, meta.CHOICE)

    def save_choice(self, choice: Choice) -> None:
        with self.transactions.one():
            self.note_choice(choice)

    def note_choice(self, choice: Choice) -> None:
        """Remember it as a part of the caller's transaction."""
        meta.keep(self.db, {meta.CHOICE: choice.to_json()})

    def note(self, stream: Stream, checkpoint: Checkpoint, completed_at: str | None = None) -> None:
        """Remember it as a part of the caller's transaction."""
        self.db.execute(
            "INSERT INTO _pylon_checkpoints VALUES (:stream, :fingerprint, :state, :completed_at)"
            " ON CONFLICT (stream) DO UPDATE SET fingerprint = :fingerprint, state = :state,"
            " completed_at = coalesce(:completed_at, completed_at)",
            {
                "stream": stream.name,
                "fingerprint": fingerprint(stream),
                "state": checkpoint.to_json(),
                "completed_at": completed_at,
            },
        )

    def _one(self, sql: str, *params: Any) -> Any:
        return self.db.execute(sql, list(params)).fetchone()
