"""The examination of a mirror and all around it: file, disk, token, clock; and what can be mended.

Without `mend` nothing is written: SQLite's own check of full text asks for a connection that could
write, so that is closed before another, which cannot, and no -wal is moved into the file by it.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from pylon_to_sqlite import file, meta
from pylon_to_sqlite.choice import Choice
from pylon_to_sqlite.client import Client
from pylon_to_sqlite.errors import Busy, PylonError, Unavailable, Unusable
from pylon_to_sqlite.examine import TORN, Examined, Finding, examine
from pylon_to_sqlite.mend import mend_in
from pylon_to_sqlite.plan import iso, moment
from pylon_to_sqlite.privacy import Privacy
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.transactions import stoppable

# A -wal that is larger is emptied by no sync: something reads the file all the time.
LARGEST_WAL = 64 * 2**20
# What is mended may bring to light what is wrong behind it.
PASSES = 3
# Seconds that two clocks may differ by, and a time be ahead where only this machine's is known.
APART = 60.0
AHEAD = timedelta(hours=1)
# Where SQLite makes temporary files, as it looks for them.
TEMPORARY = ("SQLITE_TMPDIR", "TMPDIR")
DIRECTORIES = ("/var/tmp", "/usr/tmp", "/tmp", ".")


def diagnose(
    path: Path, ask: Callable[[], Client | None], now: str, *, mend: bool = False
) -> list[Finding]:
    """Findings on the file at `path`. `ask` gives a client, None where there is no token. With
    `mend`, what can be is mended first, and found again. Raises Unusable where there is no mirror,
    Busy where a sync holds it that is to be mended."""
    broken: list[Finding] = []
    organization = None
    try:
        mirror = file.inspect(path, must_exist=True)
        if mirror is not None:
            organization = mirror.organization_id
    except Unusable as error:
        if not path.is_file() or not path.stat().st_size:
            raise
        is_torn = "cannot read" in str(error) or "no SQLite database" in str(error)
        broken = [Finding("mirror", "wrong", str(error), TORN if is_torn else "")]
    else:
        if mirror is None:
            raise Unusable(f"{path} holds no mirror of a Pylon workspace")
    with file.held(path) if mend else nullcontext():
        is_alone = mend or not file.is_held(path)
        around, latest = _pylon(ask, organization, now)

        def found() -> list[Finding]:
            inside = broken or _looked_into(path, latest, is_alone=is_alone, has_lock=mend)
            here = [_mode(path), _lock(path, is_alone), *inside, _wal(path, is_alone)]
            return [*here, _space(path), *around]

        findings, mended = found(), list[Finding]()
        for _ in range(PASSES if mend else 0):
            wrong = _to_mend(findings)
            if not wrong:
                break
            _mend(path, wrong, now, latest)
            before, findings = findings, found()
            left = {one.check for one in findings if one.state == "wrong"}
            mended += [
                replace(one, state="mended")
                for one in before
                if one.state == "wrong" and one.check not in left
            ]
    named = {one.check for one in mended}
    return mended + [one for one in findings if one.check not in named or one.state == "wrong"]


def _to_mend(findings: list[Finding]) -> set[str]:
    """The checks that found what can be mended: in a file with torn pages only who may read it."""
    wrong = {one.check for one in findings if one.state == "wrong" and one.can_mend}
    return wrong & {"mode"} if any(one.remedy == TORN for one in findings) else wrong


def _looked_into(path: Path, latest: str, *, is_alone: bool, has_lock: bool) -> list[Finding]:
    deeply = partial(_deeply, path, has_lock)
    try:
        with file.looked_at(path) as connection:
            if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
                # A snapshot, for a sync may write meanwhile; of a copy it would keep full text
                # from being looked into, and no sync has written to that yet.
                connection.execute("BEGIN")
            return [
                *examine(Examined(connection, latest, is_alone, deeply)),
                *_key(path, connection),
            ]
    except UnicodeDecodeError:
        return [Finding("mirror", "wrong", f"cannot read {path}: malformed schema", TORN)]
    except sqlite3.Error as error:
        todo = "" if isinstance(error, sqlite3.OperationalError) else TORN
        return [Finding("mirror", "wrong", f"cannot read {path}: {error}", todo)]


@contextmanager
def _deeply(path: Path, has_lock: bool) -> Iterator[sqlite3.Connection | None]:
    """A connection that could write, while no sync is at work and none can begin; None where there
    can be none. No lock is made for looking."""
    with ExitStack() as stack:
        deep = None
        if file.is_writable(path):
            with suppress(Busy, Unusable):
                if not has_lock and Path(f"{path.resolve()}.lock").exists():
                    stack.enter_context(file.held(path))
                deep = stack.enter_context(closing(file.opened(path)))
                stack.enter_context(stoppable(deep))
        yield deep


def _mode(path: Path) -> Finding:
    modes = {one: found.st_mode & 0o777 for one in _files(path) if (found := _stat(one))}
    open_to = {one: mode for one, mode in modes.items() if mode & 0o077}
    if not open_to:
        return Finding("mode", "ok", "nobody but its owner can read it")
    told = ", ".join(f"{one} has mode {mode:04o}" for one, mode in open_to.items())
    message = f"others can read customers' words: {told}"
    remedy = f"chmod 600 {' '.join(map(str, open_to))}, or --mend"
    return Finding("mode", "wrong", message, remedy, can_mend=True)


def _files(path: Path) -> list[Path]:
    whole = path.resolve()
    return [Path(f"{whole}{suffix}") for suffix in ("", "-wal", "-shm", ".key")]


def _stat(path: Path) -> os.stat_result | None:
    """None where it is not there, or no longer: a sync that ends takes its -wal along."""
    try:
        return path.stat()
    except OSError:
        return None


def _key(path: Path, connection: sqlite3.Connection) -> list[Finding]:
    """Of the key by which addresses are replaced, where they are."""
    try:
        fingerprint = Choice.from_json(meta.value(connection, meta.CHOICE) or "{}").pseudonyms
        if not fingerprint:
            return []
        file.key_beside(path, fingerprint)
    except Unusable as error:
        return [Finding("key", "wrong", str(error), "put it back")]
    except (sqlite3.Error, ValueError, TypeError, RecursionError):
        # The checks of the file have told it.
        return []
    return [Finding("key", "ok", "it is the one by which addresses were replaced")]


def _lock(path: Path, is_alone: bool) -> Finding:
    lock = Path(f"{path.resolve()}.lock")
    if lock.exists() and not os.access(lock, os.W_OK):
        message = f"this user cannot write to {lock}, so no sync of this user's can begin"
        return Finding("lock", "wrong", message, "give it the owner of the mirror")
    said = "no sync is at work" if is_alone else "a sync is at work on it now"
    return Finding("lock", "ok", said)


def _wal(path: Path, is_alone: bool) -> Finding:
    wal = Path(f"{path.resolve()}-wal")
    there = _stat(wal)
    size = there.st_size if there else 0
    if size <= LARGEST_WAL or not is_alone:
        return Finding("wal", "ok", f"{_size(size)} wait in the -wal")
    message = f"{wal} has grown to {_size(size)}: some program reads the file all the time"
    return Finding("wal", "wrong", message, "restart that program, then --mend", can_mend=True)


def _space(path: Path) -> Finding:
    """Whether the file can be written anew: in a temporary place, then through the -wal."""
    size = path.stat().st_size
    wanted = [*map(os.environ.get, TEMPORARY), *DIRECTORIES]
    temporary = next((one for one in wanted if one and os.access(one, os.W_OK)), ".")
    for where in (path.resolve().parent, Path(temporary)):
        is_one = path.resolve().parent.stat().st_dev == os.stat(temporary).st_dev
        need, free = size * 2 if is_one else size, shutil.disk_usage(where).free
        if free < need:
            message = f"{where} has {_size(free)} free, and to write the file anew takes"
            return Finding("space", "wrong", f"{message} {_size(need)}", "make room there")
    return Finding("space", "ok", f"there is room to write its {_size(size)} anew")


def _pylon(
    ask: Callable[[], Client | None], organization: str | None, now: str
) -> tuple[list[Finding], str]:
    """Findings on token and clock, and the latest time that anything can be of."""
    latest = iso(moment(now) + AHEAD)
    try:
        client = ask()
        if client is None:
            message = "there is none, so Pylon was not asked"
            return [Finding(one, "skipped", message) for one in ("token", "clock")], latest
        with closing(client):
            me = client.me()
            ahead = moment(client.now()).timestamp() - client.clock.now()
    except PylonError as error:
        return [Finding("token", "wrong", str(error), "see pylon-to-sqlite verify-auth")], latest
    if organization is not None and me.id != organization:
        message = f"it is one of {me.name} ({me.id}), and the file mirrors {organization}"
        token = Finding("token", "wrong", message, "use that organisation's token")
    else:
        token = Finding("token", "ok", f"it is one of {me.name}, at {client.api_url}")
    if abs(ahead) <= APART:
        clock = Finding("clock", "ok", "as Pylon's, to a minute")
    else:
        way = "behind" if ahead > 0 else "ahead of"
        message = f"this machine's is {abs(ahead):,.0f} s {way} Pylon's, so its stamps are wrong"
        clock = Finding("clock", "wrong", message, "set it, by NTP for one")
    return [token, clock], iso(moment(client.now()) + timedelta(minutes=10))


def _mend(path: Path, wrong: set[str], now: str, latest: str) -> None:
    try:
        for one in _files(path) if "mode" in wrong else ():
            if one.exists():
                one.chmod(0o600)
        if not wrong - {"mode"}:
            return
        with closing(Store(str(path.resolve()))) as store, stoppable(store.db.conn):
            mend_in(store, wrong, now, latest, _privacy(path, store))
    except sqlite3.Error as error:
        todo = "" if isinstance(error, sqlite3.OperationalError) else f". What to do: {TORN}"
        raise Unavailable(f"cannot mend {path}: {error}. What is whole stays{todo}") from None
    except OSError as error:
        raise Unavailable(f"cannot mend {path}: {error.strerror or error}") from None


def _privacy(path: Path, store: Store) -> Privacy:
    """What is to be left out; addresses as far as there is the key by which they are replaced."""
    choice = store.memory.choice()
    pseudonyms = None
    if choice.pseudonyms:
        with suppress(Unusable):
            pseudonyms = file.key_beside(path, choice.pseudonyms)
    return choice.privacy(pseudonyms)


def _size(size: float) -> str:
    return f"{size / 10**6:,.1f} MB"
