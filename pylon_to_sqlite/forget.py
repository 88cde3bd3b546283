"""Records erased for good with all that belongs to them, though Pylon has them; and addresses
replaced wherever they stand. SQL only; everything here belongs inside a transaction."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from sqlite_utils import Database

from pylon_to_sqlite import attachments
from pylon_to_sqlite.addresses import may_hold, normal
from pylon_to_sqlite.belonging import OTHERS, RECORDS, ROWS
from pylon_to_sqlite.erase import filled, naming
from pylon_to_sqlite.layout import columns_of, quoted
from pylon_to_sqlite.mentions import Marking, addresses_in
from pylon_to_sqlite.privacy import kinds_of
from pylon_to_sqlite.purge import ERASED
from pylon_to_sqlite.schema import BOOKKEEPING, TABLES
from pylon_to_sqlite.stream import Link, Stream
from pylon_to_sqlite.streams import BY_NAME, STREAMS
from pylon_to_sqlite.support_streams import ISSUES
from pylon_to_sqlite.unsigned import addresses as file_addresses
from pylon_to_sqlite.unsigned import unsigned

# What stands in place of an address.
MARK = "[forgotten]"
Keys = dict[str, set[str]]
"""Ids by stream."""

_AMONG = "IN (SELECT value FROM json_each(?))"
# What has fewer is an extension, which many have.
FEWEST_DIGITS = 7
# What the mirror remembers in words.
_TOLD = (("_pylon_fields", "detail"), ("_pylon_runs", "error"), ("_pylon_run_streams", "error"))


class Trace(NamedTuple):
    """What a message may have left in its issue: its words, and the addresses of its files."""

    issue: str
    html: str | None
    urls: str | None


def scope(db: Database, seeds: Mapping[str, Collection[str]]) -> Keys:
    """These records and all that go with them, as far as they are here."""
    found: Keys = {}
    left = [(stream, {*keys}) for stream, keys in seeds.items()]
    while left:
        stream, keys = left.pop()
        new = keys - found.setdefault(stream, set())
        if not new:
            continue
        found[stream] |= new
        for table, column in RECORDS[stream]:
            sql = f"SELECT id FROM {table} WHERE {column} {_AMONG}"
            left.append((table, {row[0] for row in db.execute(sql, [_json(new)])}))
    return {stream: keys for stream, keys in found.items() if keys}


def main_addresses(db: Database, contacts: Collection[str] | None = None) -> dict[str, str]:
    """The main address of each contact, or of these, by id."""
    among, params = ("1", []) if contacts is None else (f"id {_AMONG}", [_json(contacts)])
    # What is typed where there is no address is nobody's.
    sql = f"SELECT id, email FROM contacts WHERE instr(email, '@') AND {among}"
    return {row[0]: normal(row[1]) for row in db.execute(sql, params)}


def listed_addresses(db: Database, contacts: Collection[str]) -> set[str]:
    """All other addresses of contacts."""
    sql = f"SELECT emails FROM contacts WHERE emails IS NOT NULL AND id {_AMONG}"
    asked = f"SELECT requester_email FROM issues WHERE requester_id {_AMONG}"
    given = db.execute(f"{sql} UNION {asked}", [_json(contacts)] * 2)
    return {one for (text,) in given.fetchall() if text for one in addresses_in(str(text))}


def of_users(db: Database) -> set[str]:
    """The addresses of the team."""
    found = db.execute("SELECT email FROM users UNION SELECT emails FROM users").fetchall()
    return {one for (text,) in found if text for one in addresses_in(str(text))}


def named_by_address(db: Database, addresses: Collection[str]) -> Keys:
    """What only an address tells to be somebody's: calls they took part in, messages they sent."""
    marking = _marking(addresses)

    def holds(text: str) -> bool:
        return marking.text(text) != text

    calls = db.execute("SELECT call_recording_id, email FROM call_recording_participants")
    took_part = {call for call, email in calls.fetchall() if holds(str(email))}
    messages = db.execute(
        "SELECT id, email_info FROM issue_messages"
        f" WHERE author_user_id IS NULL AND {may_hold('email_info')}"
    )
    sent = {key for key, info in messages.fetchall() if holds(sender(info))}
    return {"call_recordings": took_part, "issue_messages": sent}


def called(db: Database, contacts: Collection[str]) -> set[str]:
    """The calls of these contacts that came with an issue of theirs into one that did not come by
    phone, and those from a number of theirs."""
    of_theirs = (
        "SELECT c.id FROM issue_voice_calls AS c JOIN issues AS i ON i.id = c.issue_id"
        " JOIN issue_messages AS m ON m.issue_id = i.id WHERE lower(m.source) = 'phone'"
        f" AND lower(i.source) IS NOT 'phone' AND m.author_contact_id {_AMONG}"
    )
    found = {row[0] for row in db.execute(of_theirs, [_json(contacts)])}
    numbers = f"SELECT primary_phone_number, phone_numbers FROM contacts WHERE id {_AMONG}"
    listed = {one for row in db.execute(numbers, [_json(contacts)]) for one in _numbers(*row)}
    calls = "SELECT id, from_phone_number FROM issue_voice_calls WHERE from_phone_number <> ''"
    return found | {key for key, number in db.execute(calls) if listed & {*_numbers(number)}}


def _numbers(*values: object) -> Iterator[str]:
    """The telephone numbers in columns, by their digits."""
    for value in values:
        for number in re.split(r"[^\d\s().+-]+", str(value or "")):
            if len(digits := re.sub(r"\D", "", number)) >= FEWEST_DIGITS:
                yield digits


def sender(email_info: object) -> str:
    """Who sent an email, as a message tells it."""
    try:
        told = json.loads(str(email_info or "{}"))
    except (ValueError, RecursionError):
        return ""
    return str(told.get("from_email") or "") if isinstance(told, dict) else ""


def erase(db: Database, keys: Keys, now: str) -> Counter[str]:
    """Erase these records; gives how many rows it was, by table. Where a row of the user's own
    tables names one, its id stays and nothing else."""
    gone: Counter[str] = Counter()
    for stream, ids in keys.items():
        params = [_json(ids)]
        for table, column in ROWS[stream]:
            # Nobody numbers what is derived, or in a list.
            sql = f"DELETE FROM {table} WHERE {quoted(column)} {_AMONG}"
            gone[table] += db.execute(sql, params).rowcount
        for table, column in OTHERS[stream]:
            db.execute(
                f"UPDATE {table} SET {column} = NULL, synced_at = ? WHERE {column} {_AMONG}",
                [now, *params],
            )
        db.execute(
            f"DELETE FROM _pylon_unlisted WHERE stream = ? AND key {_AMONG}", [stream, *params]
        )
        if stream == ISSUES.name:
            db.execute(f"DELETE FROM _pylon_bodies WHERE issue {_AMONG}", params)
        for child in STREAMS:
            if child.parent and child.parent.name == stream:
                sql = f"DELETE FROM _pylon_children WHERE stream = ? AND parent {_AMONG}"
                db.execute(sql, [child.name, *params])
    for stream, ids in keys.items():
        gone[stream] += _erase_records(db, BY_NAME[stream], ids, now)
    if +gone:
        db.execute("INSERT OR IGNORE INTO _pylon_unpurged VALUES (?)", [ERASED])
    return +gone


def _erase_records(db: Database, stream: Stream, ids: Collection[str], now: str) -> int:
    held = set()
    for table, column in naming(db, stream):
        if table not in TABLES:
            sql = f"SELECT {quoted(column)} FROM {quoted(table)} WHERE {quoted(column)} {_AMONG}"
            held |= {row[0] for row in db.execute(sql, [_json(ids)])}
    emptied = "".join(f"{quoted(name)} = NULL, " for name in sorted(filled(db, stream)))
    mark = ", placeholder = 1" if TABLES[stream.name].has_placeholder else ""
    erased = db.execute(
        f"UPDATE {stream.name} SET {emptied}deleted_at = ?, synced_at = ?{mark} WHERE id {_AMONG}",
        [now, now, _json(held)],
    ).rowcount
    sql = f"DELETE FROM {stream.name} WHERE id {_AMONG}"
    return erased + db.execute(sql, [_json({*ids} - held)]).rowcount


def traces(db: Database, keys: Keys) -> list[Trace]:
    """What messages, which are to go, may have left in issues that stay."""
    found = db.execute(
        "SELECT issue_id, message_html, file_urls FROM issue_messages"
        f" WHERE id {_AMONG} AND issue_id NOT {_AMONG}",
        [_json(keys.get("issue_messages", ())), _json(keys.get("issues", ()))],
    )
    return [Trace(*row) for row in found.fetchall()]


def remove_traces(db: Database, left: Iterable[Trace], now: str) -> set[str]:
    """Remove from issues the words of such messages, where they are the issue's body too, and the
    addresses of their files; gives the issues whose bodies it were."""
    bodies = set()
    for trace in left:
        row = db.execute(
            "SELECT body_html, attachment_urls FROM issues WHERE id = ?", [trace.issue]
        ).fetchone()
        if row is None:
            continue
        if row[0] is not None and row[0] == trace.html:
            bodies.add(trace.issue)
            sql = "UPDATE issues SET body_html = NULL, body_text = NULL, synced_at = ? WHERE id = ?"
            db.execute(sql, [now, trace.issue])
        kept = without(row[1], file_addresses(trace.urls))
        if kept != row[1]:
            sql = "UPDATE issues SET attachment_urls = ?, synced_at = ? WHERE id = ?"
            db.execute(sql, [kept, now, trace.issue])
            attachments.derive(db, [trace.issue], now)
    return bodies


def without(urls: str | None, gone: Collection[str]) -> str | None:
    """A JSON array of addresses of files without some; as it is where it has none of them."""
    if not gone or not {*file_addresses(urls)} & {*gone}:
        return urls
    left = [one for one in json.loads(urls or "[]") if unsigned(str(one)) not in gone]
    return json.dumps(left, ensure_ascii=False, sort_keys=True) if left else None


def scrub(db: Database, addresses: Collection[str], now: str) -> Counter[str]:
    """Replace these addresses wherever they stand in the mirror's tables; gives how many values
    they were in, by table."""
    found: Counter[str] = Counter()
    marking = _marking(addresses)
    for table, column, kind in _words(db):
        name = quoted(column)
        sql = f"SELECT rowid, {name} FROM {table} WHERE typeof({name}) = 'text'"
        new = [
            (after, rowid)
            for rowid, text in db.execute(f"{sql} AND {may_hold(name)}")
            if (after := marking.stored(kind, text)) != text
        ]
        # A list may have held it twice.
        db.conn.executemany(f"UPDATE OR REPLACE {table} SET {name} = ? WHERE rowid = ?", new)
        if table in TABLES and isinstance(TABLES[table].source, Stream):
            stamps = [(now, rowid) for _, rowid in new]
            db.conn.executemany(f"UPDATE {table} SET synced_at = ? WHERE rowid = ?", stamps)
        found[table] += len(new)
    if +found:
        db.execute("INSERT OR IGNORE INTO _pylon_unpurged VALUES (?)", [ERASED])
    return +found


def held_out(table: str) -> frozenset[str]:
    """The columns in which an address is no word but a key, or the mirror's own."""
    source = TABLES[table].source
    if isinstance(source, Link):
        return frozenset((source.owner.name,))
    ours = ("synced_at", "deleted_at", "placeholder")
    return frozenset((*TABLES[table].key, *ours, *([source.owner] if source else [])))


def _words(db: Database) -> Iterator[tuple[str, str, str]]:
    """Where words may be: tables, their columns, and the kinds of these."""
    for table in TABLES:
        kinds = kinds_of(table)
        for column in columns_of(db, table).keys() - held_out(table):
            yield table, column, kinds.get(column, "html")
    yield from ((table, column, "text") for table, column in _TOLD if table in BOOKKEEPING)


def _marking(addresses: Collection[str]) -> Marking:
    return Marking(addresses.__contains__, MARK, {one.rpartition("@")[2] for one in addresses})


def _json(keys: Collection[str]) -> str:
    return json.dumps(sorted(keys))
