"""Whether a file may become or is our mirror, told without writing to it; and who holds it."""

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from pylon_to_sqlite import meta
from pylon_to_sqlite.choice import Choice
from pylon_to_sqlite.drift import added
from pylon_to_sqlite.errors import Busy, Removed, Unavailable, Unusable
from pylon_to_sqlite.full_text import shadows
from pylon_to_sqlite.memory import recalled
from pylon_to_sqlite.pseudonyms import Pseudonyms
from pylon_to_sqlite.schema import BOOKKEEPING, EARLIER, FULL_TEXT, MIGRATED, TABLES, VERSION
from pylon_to_sqlite.transactions import BUSY_SECONDS, await_others, stoppable

_MAGIC = b"SQLite format 3\x00"
# What can be done about what SQLite says, by words of it.
_REMEDIES = {
    "malformed": "pylon-to-sqlite doctor {} tells what is damaged, and what to do",
    "not a database": "pylon-to-sqlite doctor {} tells what is damaged, and what to do",
    "is full": "make room on its disk, then run it again",
    "I/O error": "see whether its disk is full or failing, then run it again",
    "locked": "another program has it for itself; run it again when that is done",
    "no such collation": "an index of your own needs it; remove that, then run it again",
    "no such function": "an index of your own needs it; remove that, then run it again",
    "readonly": "make it writable, then run it again",
}
# Who only looks whether a sync is at work holds the file for a moment too, so that is waited for.
MOMENT = 0.5
KEY_BYTES = 32
# To SQLite, a file that nobody changes.
_STILL = "immutable=1"


class Mirror(NamedTuple):
    """Whose workspace a file mirrors, and the tables in it that are not this tool's."""

    organization_id: str
    organization_name: str
    other_tables: frozenset[str] = frozenset()


def told(what: str, path: Path, error: object) -> str:
    """A sentence on why the file at `path` failed, with what to do where anybody knows."""
    said = str(error)
    remedy = next((todo for words, todo in _REMEDIES.items() if words in said), "")
    return f"{what} {path}: {said}{': ' if remedy else ''}{remedy.format(path)}"


def inspect(
    path: Path, *, must_exist: bool = False, patience: float = BUSY_SECONDS
) -> Mirror | None:
    """Whose mirror `path` is, None where it is no mirror yet but can become one.

    Raises Unusable for what cannot be written to, is no SQLite database, comes from a newer
    version, or holds tables of our names that are not ours; Unavailable for what another program
    has for itself for longer than `patience` seconds. Nothing is written.
    """
    try:
        whole = path.resolve()
        if whole.is_dir():
            raise Unusable(f"{path} is a directory: give the name of a file in it")
        parent = whole.parent if path.is_symlink() else path.parent
        if not parent.is_dir():
            raise Unusable(f"there is no directory {parent}: create it first")
        if not whole.exists():
            if must_exist:
                raise Unusable(f"there is no file {path}: pylon-to-sqlite sync {path} creates it")
            if not os.access(whole.parent, os.W_OK):
                raise Unusable(f"cannot write to the directory {whole.parent}")
            return None
        if not whole.is_file():
            raise Unusable(f"{path} is no regular file")
        return _inspect_existing(whole, must_exist, patience)
    except (OSError, RuntimeError) as error:
        # RuntimeError: a symbolic link that leads to itself.
        what = getattr(error, "strerror", None) or error
        raise Unusable(f"cannot read {path}: {what}") from None


def create(path: Path) -> None:
    """Make a new file readable by its owner only: customers' words will stand in it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise Unusable(f"cannot write to {path}: {error.strerror}") from None


def key_beside(path: Path, fingerprint: str) -> Pseudonyms:
    """The key beside `path` by which addresses are replaced, of that `fingerprint`; a new one where
    there is none yet, and none is known. It is not in the file itself, so that who is given that
    cannot find out whether an address that they know is in it. Raises Unusable where it is not
    there, or is another one."""
    beside = Path(f"{path.resolve()}.key")
    try:
        if not fingerprint and not beside.exists():
            _make_key(beside)
        key = bytes.fromhex(beside.read_text(encoding="ascii").strip())
        if len(key) < KEY_BYTES:
            raise ValueError(len(key))
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or "it holds no key"
        if not fingerprint:
            raise Unusable(f"cannot keep a key for pseudonyms in {beside}: {what}") from None
        raise Unusable(
            f"cannot read {beside}: {what}. E-mail addresses are replaced by means of it: put it"
            " back, or say --no-pseudonymize-emails"
        ) from None
    pseudonyms = Pseudonyms(key)
    if fingerprint not in ("", pseudonyms.fingerprint):
        raise Unusable(
            f"{beside} is not the key by which addresses in {path} were replaced: put that back, or"
            " say --no-pseudonymize-emails"
        )
    return pseudonyms


def _make_key(beside: Path) -> None:
    """A new key, whole and on the disk, before any pseudonym is."""
    part = beside.with_name(f"{beside.name}.part")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with open(handle, "w", encoding="ascii") as new:
        new.write(secrets.token_hex(KEY_BYTES) + "\n")
        new.flush()
        os.fsync(new.fileno())
    os.replace(part, beside)
    with suppress(OSError):
        # Its name too is to outlive a power cut, where that can be asked for.
        settle(beside.parent)


def settle(path: Path) -> None:
    """Have what was written to a file, or the names in a directory, outlive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def held(path: Path, patience: float = MOMENT) -> Iterator[None]:
    """Hold `path` against syncs. Raises Busy when one is running.

    The lock is SQLite's own, on an empty file beside: it ends with its process, however that dies,
    and works wherever SQLite does. The file stays, for removing it would let two hold it.
    """
    beside = f"{path.resolve()}.lock"
    # SQLite would lock a file that it cannot write to against nobody.
    create(Path(beside))
    with closing(sqlite3.connect(beside, timeout=patience, isolation_level=None)) as lock:
        try:
            # Else SQLite writes a journal for it, for which a full disk has no room.
            lock.execute("PRAGMA journal_mode = OFF")
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if "locked" not in str(error):
                raise Unusable(f"cannot write to {beside}: {error}") from None
            raise Busy(f"another sync, or doctor, holds {path}: nothing was done") from None
        yield


def watched(path: Path) -> Callable[[], None]:
    """What raises Removed once the file at `path` is another one than now: whoever writes to it
    would go on writing to a file without a name, and lose it all at the end."""
    before = _inode(path)

    def check() -> None:
        if _inode(path) != before:
            raise Removed(
                f"{path} was removed or replaced while a run wrote to it: what that run read is"
                " lost with it, and the next one reads it again"
            )

    return check


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_held(path: Path) -> bool:
    """Whether a sync is at work on `path`, as far as this user can tell; makes no lock."""
    if not Path(f"{path.resolve()}.lock").exists():
        return False
    try:
        with held(path, patience=0):
            return False
    except (Busy, Unusable):
        return True


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write, and sees the file as it is at its first question, whatever
    others write meanwhile. Raises Unusable for what is no mirror."""
    if inspect(path, must_exist=True) is None:
        raise Unusable(f"{path} holds no mirror of a Pylon workspace")
    with looked_at(path) as connection:
        connection.execute("BEGIN")
        yield connection


def is_empty(path: Path) -> bool:
    """Whether a SQLite file has no tables, as one that was killed when it had just been made."""
    with looked_at(path) as connection:
        return connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None


def new_fields_in(path: Path) -> Mapping[str, set[str]]:
    """By table, the columns that a mirror has for fields nobody knew, and what it leaves out of
    them; none where there is no mirror yet."""
    if inspect(path) is None:
        return {}
    with looked_at(path) as connection:
        choice = meta.value(connection, meta.CHOICE)
        found = added(connection)
    for name in recalled(Choice, choice or "{}", meta.CHOICE).excluded:
        table, column = name.split(".", 1)
        found[table].add(column)
    return found


def opened(path: Path) -> sqlite3.Connection:
    """A connection that may write to a file that is there."""
    return _connected(path.resolve(), "mode=rw", BUSY_SECONDS)


@contextmanager
def looked_at(path: Path, patience: float = BUSY_SECONDS) -> Iterator[sqlite3.Connection]:
    """A connection that does not write, for as long as it takes, while others may begin to; it
    leaves nothing beside the file that was not there."""
    with closing(_for_looking(path, patience)) as connection, stoppable(connection):
        yield connection


def _for_looking(path: Path, patience: float) -> sqlite3.Connection:
    whole = path.resolve()
    wal = Path(f"{whole}-wal")
    has_wal = wal.exists() and wal.stat().st_size > 0
    if not has_wal and is_writable(path):
        # Only who could write takes away again what SQLite makes beside the file.
        mode = "mode=rw"
    elif wal.exists() or os.access(whole.parent, os.W_OK):
        mode = "mode=ro"
    else:
        # Where nobody can write, nobody can make that either, and it needs none.
        mode = _STILL
    connection = _connected(whole, mode, patience)
    if not has_wal and _lacks_room(connection):
        # On a full disk neither.
        connection.close()
        connection = _connected(whole, _STILL, patience)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _connected(whole: Path, mode: str, patience: float) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{whole.as_uri()}?{mode}", uri=True, isolation_level=None)
    await_others(connection, patience)
    return connection


def _lacks_room(connection: sqlite3.Connection) -> bool:
    """Whether SQLite cannot make what it needs beside the file. Other errors are told when the file
    is asked for something."""
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        return "I/O error" in str(error) or "is full" in str(error)
    return False


def is_writable(path: Path) -> bool:
    """Whether this user can, and SQLite can make what it needs beside."""
    return os.access(path, os.W_OK) and os.access(path.resolve().parent, os.W_OK)


def damage(
    connection: sqlite3.Connection, pragma: str = "quick_check", of: str = "20"
) -> list[str]:
    """What SQLite finds damaged, in its words: so many things, or those of one table. Of full text
    only newer versions tell anything here, and what is wrong with that is no damage: it can be
    built anew."""
    told = connection.execute(f"PRAGMA {pragma}({of})").fetchall()
    lines = [line for (text,) in told for line in text.split("\n")]
    noise = ("ok", "*** in database main ***")
    return [one for one in lines if one not in noise and "inverted index for FTS" not in one]


def _inspect_existing(path: Path, read_only: bool, patience: float) -> Mirror | None:
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except OSError as error:
        raise Unusable(f"cannot read {path}: {error.strerror}") from None
    if head not in (b"", _MAGIC):
        raise Unusable(f"{path} is no SQLite database")
    if not read_only and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise Unusable(f"cannot write to {path}, or to its directory: it is read-only")
    if not head:
        return None
    try:
        with looked_at(path, patience) as connection:
            return _mirror(path, connection)
    except sqlite3.Error as error:
        passing = ("locked", "is full", "I/O error")
        kind = Unavailable if any(one in str(error) for one in passing) else Unusable
        raise kind(told("cannot read", path, error)) from None
    except UnicodeDecodeError:
        # What SQLite says of a schema that is damaged quotes it.
        torn = told("cannot read", path, "malformed database schema")
        raise Unusable(torn) from None


def _mirror(path: Path, connection: sqlite3.Connection) -> Mirror | None:
    kinds = {
        str(name).lower(): kind
        for name, kind in connection.execute("SELECT name, type FROM sqlite_master")
        if not str(name).lower().startswith("sqlite_")
    }
    names = frozenset(kinds)
    ours = names & {*TABLES, *BOOKKEEPING, *EARLIER}
    if not ours:
        return None
    known: dict[str, str] = {}
    if kinds.get("_pylon_meta") == "table":
        known = meta.all_of(connection)
    foreign = [name for name in sorted(ours) if kinds[name] != "table"]
    written_by = str(known.get(meta.SCHEMA_VERSION))
    if foreign or not written_by.isdecimal():
        name = (foreign or sorted(ours))[0]
        raise Unusable(
            f"{path} has a {kinds[name]} named {name} that is not this tool's: use another file"
        )
    if int(written_by) > VERSION:
        raise Unusable(
            f"{path} was written by a newer version of pylon-to-sqlite: upgrade this one"
        )
    for name in sorted(ours & {*TABLES}):
        columns = {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
        if not {*TABLES[name].key} <= columns:
            raise Unusable(f"{path} has a table named {name} that is not this tool's")
    # A full-text index keeps what it holds in tables of its own.
    indexes = set().union(*map(shadows, FULL_TEXT))
    others = frozenset(
        name for name in names - ours - indexes - {MIGRATED} if kinds[name] == "table"
    )
    organization = (known.get(meta.ORGANIZATION_ID) or "", known.get(meta.ORGANIZATION_NAME) or "")
    return Mirror(*organization, others)
