"""What reaches the disk together: transactions, and groups of them. Knows no tables."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Changed rows that are committed together, with what the last transaction has beyond them.
GROUP = 200

# Another program may hold the file for a moment; its writes are waited for, in short waits, for
# no signal ends a wait inside SQLite.
BUSY_SECONDS = 60.0
NOTICE = 0.5
# So many steps of SQLite's virtual machine may a signal wait.
STEPS = 10_000


def await_others(connection: sqlite3.Connection, patience: float) -> None:
    """Wait for up to so many seconds while another program has the file for itself. What is wrong
    then, or besides, is told by the next statement."""
    connection.execute(f"PRAGMA busy_timeout = {int(NOTICE * 1000)}")
    for _ in range(int(patience / NOTICE) + 1):
        try:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
            connection.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
            return
        except sqlite3.Error as error:
            if "locked" not in str(error):
                return


@contextmanager
def stoppable(connection: sqlite3.Connection) -> Iterator[None]:
    """In here a signal ends a statement that takes SQLite long, as it ends anything else."""
    # Python sees to signals in a callback, though what comes of it is SQLite's own error.
    connection.set_progress_handler(lambda: None, STEPS)
    try:
        yield
    except sqlite3.Error as error:
        if was_stopped(error):
            raise KeyboardInterrupt from None
        raise
    finally:
        connection.set_progress_handler(None, STEPS)


def was_stopped(error: Exception) -> bool:
    """Whether a signal ended a statement."""
    return "interrupted" in str(error)


class Transactions:
    """The transactions of one connection; `forget` is called where one is taken back. `patience`
    is for how many seconds the writes of other programs are waited for."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        forget: Callable[[], None],
        patience: float = BUSY_SECONDS,
    ) -> None:
        self._connection = connection
        self._forget = forget
        self._tries = int(patience / NOTICE)
        self._is_grouping = False
        self._is_whole = True
        self._settled = 0

    @contextmanager
    def one(self, *, is_patient: bool = True) -> Iterator[None]:
        """All or nothing, on the disk at its end or with the group that it is in. Waits for other
        programs' writes, if it `is_patient`."""
        self._begin(self._tries if is_patient else 0)
        # A signal can end this between any two lines. So what is half done is not remembered, but
        # asked of SQLite: it is whatever stands behind a savepoint that is still there.
        self._is_whole = False
        try:
            self._connection.execute("SAVEPOINT one")
            yield
            self._connection.execute("RELEASE one")
        except BaseException:
            self._forget()
            self._undo()
            if not self._is_grouping:
                self.settle()
            raise
        self._is_whole = True
        if not self._is_grouping or self._connection.total_changes - self._settled >= GROUP:
            self.settle()

    @contextmanager
    def grouped(self) -> Iterator[None]:
        """Within it transactions reach the disk together: when `settle` is called, after GROUP
        rows, and at the end, however that comes. A commit costs as much as twenty rows."""
        self._is_grouping = True
        try:
            yield
        finally:
            self._is_grouping = False
            self.settle()

    def settle(self) -> None:
        """Commit what is whole."""
        self._undo()
        self._settled = self._connection.total_changes
        self._connection.commit()

    def _begin(self, tries: int) -> None:
        self._undo()
        # IMMEDIATE, for a transaction that reads first cannot wait for others.
        for patience in range(tries, -1, -1):
            if self._connection.in_transaction:
                return
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or not patience:
                    raise

    def _undo(self) -> None:
        """Take back what is half done."""
        if self._is_whole:
            return
        try:
            self._connection.execute("ROLLBACK TO one")
            self._connection.execute("RELEASE one")
        except sqlite3.OperationalError as error:
            # None was begun, or it had ended; or SQLite gave up the whole group, on a full disk
            # for one.
            if "no such savepoint" not in str(error):
                raise
        self._is_whole = True
