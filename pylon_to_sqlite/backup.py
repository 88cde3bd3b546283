"""A copy of the mirror as it stood at one moment, made while a sync may be writing.

VACUUM INTO, and not SQLite's backup API: it writes the live rows alone, so that no free page or
slack of a page brings words along that were deleted; and the API begins anew whenever another
connection writes, which beside a sync may be for ever.
"""

import os
import re
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from pylon_to_sqlite import file
from pylon_to_sqlite.errors import Unavailable, Unusable
from pylon_to_sqlite.full_text import filled, index_of, is_here, is_true
from pylon_to_sqlite.schema import FULL_TEXT
from pylon_to_sqlite.transactions import stoppable

# What a copy is called until it is whole. One that nobody has written to for so many seconds was
# left by a process that was killed, and may be as large as the mirror.
SUFFIX = ".pylon-copy"
PARTS = re.compile(rf"\..+\.[0-9a-f]{{8}}{re.escape(SUFFIX)}(-journal)?")
ABANDONED = 12 * 3600.0
# What SQLite or a sync keeps beside a file, under its name.
BESIDE = ("-wal", "-journal", "-shm", ".lock")


def back_up(path: Path, to: Path, *, force: bool = False) -> int:
    """Copy the mirror at `path` to a new file `to`, or over an earlier copy with `force`; whole or
    not at all. Gives its bytes. Raises Unusable or Unavailable, or Busy where a sync writes to
    what is to be written over."""
    if file.inspect(path, must_exist=True) is None:
        raise Unusable(f"{path} holds no mirror of a Pylon workspace")
    _check(path, to, force)
    whole = to.resolve()
    try:
        with ExitStack() as stack:
            if Path(f"{whole}.lock").exists():
                # It is a mirror itself, that a copy is to take the place of.
                stack.enter_context(file.held(whole))
            _check_closed(to, whole)
            _remove_abandoned(whole.parent)
            part = stack.enter_context(_beside(whole))
            _copy(path.resolve(), part)
            file.settle(part)
            if force:
                part.replace(whole)
            else:
                _put(part, whole)
            file.settle(whole.parent)
            return whole.stat().st_size
    except sqlite3.Error as error:
        is_torn = "malformed" in str(error) or "not a database" in str(error)
        more = f": pylon-to-sqlite doctor {path} tells what is wrong" if is_torn else ""
        raise Unavailable(f"cannot copy {path} to {to}: {error}{more}") from None
    except OSError as error:
        raise Unavailable(f"cannot copy {path} to {to}: {error.strerror or error}") from None


def _check(path: Path, to: Path, force: bool) -> None:
    """Raise Unusable where `to` cannot be written, or must not be."""
    there = file.inspect(to)
    whole, mirror = to.resolve(), path.resolve()
    if whole == mirror or (to.exists() and to.samefile(path)):
        raise Unusable(f"{to} is the mirror itself: name another file")
    if whole in {Path(f"{mirror}{suffix}") for suffix in BESIDE}:
        raise Unusable(f"{to} belongs to the mirror: name another file")
    if os.path.lexists(to):
        if not force:
            raise Unusable(f"{to} is there already: name another file, or give --force")
        if there is None and to.exists() and to.stat().st_size:
            raise Unusable(f"{to} is no copy of a mirror, so it is not written over")


def _check_closed(to: Path, whole: Path) -> None:
    for beside in (Path(f"{whole}-wal"), Path(f"{whole}-journal")):
        if beside.exists() and beside.stat().st_size:
            # What is in it belongs to another file, and SQLite would read it into the new one.
            raise Unusable(
                f"{to} is open in another program, or was not closed well: see {beside}, and move"
                " it away where nothing has the file open"
            )


def _remove_abandoned(directory: Path) -> None:
    """Remove what is left of copies that never became whole."""
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if PARTS.fullmatch(entry.name):
                with suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    is_old = time.time() - found.st_mtime > ABANDONED
                    if is_old and stat.S_ISREG(found.st_mode):
                        os.unlink(entry.path)


@contextmanager
def _beside(whole: Path) -> Iterator[Path]:
    """A new file in the same directory, for its owner only, gone at the end if it still is one."""
    part = whole.with_name(f".{whole.name}.{token_hex(4)}{SUFFIX}")
    try:
        # In here, for a signal can come between any two lines.
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield part
    finally:
        for suffix in ("", "-journal"):
            Path(f"{part}{suffix}").unlink(missing_ok=True)


def _copy(path: Path, part: Path) -> None:
    with file.looked_at(path) as source:
        _check_whole(source, "it")
        # SQLite takes the copy for a change of this file.
        source.execute("PRAGMA query_only = OFF")
        source.execute("VACUUM INTO ?", [str(part)])
    with closing(file.opened(part)) as copy, stoppable(copy):
        # What is thrown away when anything goes wrong needs no journal.
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA synchronous = OFF")
        copy.execute("PRAGMA secure_delete = ON")
        while wrong := _wrong_indexes(copy):
            for table in wrong:
                copy.execute(filled(table))
            _tell_purged(copy)
            copy.execute("VACUUM")
        _tell_purged(copy)
        _check_whole(copy, "the copy")


def _check_whole(connection: sqlite3.Connection, what: str) -> None:
    """A copy of what is damaged would take the place of one that is whole."""
    if file.damage(connection):
        raise sqlite3.DatabaseError(f"{what} is malformed")


def _wrong_indexes(copy: sqlite3.Connection) -> list[str]:
    """The tables whose index is not as it should be in the copy: VACUUM may number rows anew, of
    which an index knows nothing, and one keeps words that are deleted until it is optimized."""
    left = _unpurged(copy)
    return [
        table
        for table in FULL_TEXT
        if is_here(copy, table) and (index_of(table) in left or not is_true(copy, table))
    ]


def _unpurged(copy: sqlite3.Connection) -> set[str]:
    """Where words may be left that are deleted; earlier versions did not know."""
    there = "SELECT 1 FROM sqlite_master WHERE name = '_pylon_unpurged'"
    if not copy.execute(there).fetchone():
        return set()
    return {row[0] for row in copy.execute("SELECT name FROM _pylon_unpurged")}


def _tell_purged(copy: sqlite3.Connection) -> None:
    if _unpurged(copy):
        copy.execute("DELETE FROM _pylon_unpurged")


def _put(part: Path, whole: Path) -> None:
    """Give it its name, unless somebody else has taken that meanwhile."""
    try:
        os.link(part, whole)
    except FileExistsError:
        raise Unusable(f"{whole} is there already: name another file, or give --force") from None
    except OSError:
        # Not every file system has links.
        if os.path.lexists(whole):
            raise
        part.replace(whole)
