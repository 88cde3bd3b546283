"""Whom or what a word names that is to be forgotten, or to come again. SQL only."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlite_utils import Database

from pylon_to_sqlite.addresses import normal
from pylon_to_sqlite.errors import Unusable
from pylon_to_sqlite.forget import main_addresses, of_users
from pylon_to_sqlite.forgotten import ADDRESSES, Forgotten
from pylon_to_sqlite.mentions import addresses_in
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.support_streams import ACCOUNTS, CONTACTS, ISSUES

KINDS: Mapping[str, Stream] = {"contact": CONTACTS, "account": ACCOUNTS, "issue": ISSUES}


@dataclass(frozen=True)
class Subject:
    """Records of one stream, by id with what people call them; or an address that is nobody's."""

    stream: Stream
    names: Mapping[str, str] = field(default_factory=dict)
    address: str | None = None
    is_known: bool = False
    """Whether it is forgotten already."""


def found(db: Database, forgotten: Forgotten, kind: str, who: str) -> Subject:
    """What `who` names: an id, a contact's address, an account's name, an issue's number. Raises
    Unusable where that is nothing here, a member of the team, or more than one account."""
    stream = KINDS[kind]
    if stream is CONTACTS and "@" in who:
        return _by_address(db, forgotten, normal(who))
    label = "number" if stream is ISSUES else "name"
    sql = f"SELECT id, {label} FROM {stream.name} WHERE "
    rows = db.execute(f"{sql} id = ?", [who]).fetchall()
    if not rows and forgotten.why(stream.name, who):
        return Subject(stream, {who: ""}, is_known=True)
    if not rows and stream is ISSUES and who.removeprefix("#").isdecimal():
        rows = db.execute(f"{sql} number = ?", [int(who.removeprefix("#")[:18])]).fetchall()
    elif not rows and stream is ACCOUNTS:
        rows = db.execute(f"{sql} lower(name) = lower(?)", [who]).fetchall()
        if len(rows) > 1:
            ids = ", ".join(row[0] for row in rows)
            raise Unusable(f"{len(rows)} accounts have that name: say which by its id, {ids}")
    if not rows:
        raise Unusable(f"no {kind} in the file is {who!r}")
    names = {row[0]: "" if row[1] is None else str(row[1]) for row in rows}
    return Subject(stream, names, is_known=all(forgotten.why(stream.name, key) for key in names))


def roots(forgotten: Forgotten, kind: str, who: str) -> set[str]:
    """What is to be lifted, should `who` come again. Raises Unusable where that was not named when
    it was forgotten."""
    is_address = KINDS[kind] is CONTACTS and "@" in who
    key = forgotten.hashed(who) if is_address else who
    why = {*forgotten.why(ADDRESSES if is_address else KINDS[kind].name, key)}
    if not why:
        hint = "" if is_address else ": give its id, as --list shows it"
        raise Unusable(f"no {kind} {who!r} is forgotten{hint}")
    named = why & {key}
    if is_address:
        # Of whoever had it. An account whose contacts did is another matter.
        named = {
            one
            for one in why
            if any(one in forgotten.why(name, one) for name in (CONTACTS.name, ADDRESSES))
        }
    if not named:
        raise Unusable(f"it was forgotten with {', '.join(sorted(why))}: say so of that")
    return named


def _by_address(db: Database, forgotten: Forgotten, address: str) -> Subject:
    if addresses_in(address) != {address}:
        raise Unusable(f"{address!r} is no address of an email")
    if address in of_users(db):
        raise Unusable(f"{address} is an address of a user, and users are your own team")
    mains = main_addresses(db)
    keys = [key for key, main in mains.items() if main == address]
    if not keys:
        listing = db.execute("SELECT id, emails FROM contacts WHERE emails IS NOT NULL").fetchall()
        keys = [key for key, emails in listing if address in addresses_in(str(emails))]
        if len(keys) > 1:
            ids = ", ".join(keys)
            raise Unusable(f"{len(keys)} contacts share {address}: say which by its id, {ids}")
    is_known = bool(forgotten.why(ADDRESSES, forgotten.hashed(address)))
    if not keys:
        return Subject(CONTACTS, address=address, is_known=is_known)
    named = f"SELECT id, name FROM contacts WHERE id IN ({', '.join('?' * len(keys))})"
    return Subject(
        CONTACTS, {key: name or "" for key, name in db.execute(named, keys)}, address, is_known
    )
