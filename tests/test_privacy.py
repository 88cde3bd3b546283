"""What is left out by choice is nowhere in the file, and all else is as without the choice."""

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from conftest import FakeClock
from desk import Desk, open_issue
from fetching import contents, fetch
from forgetful import forget_it
from hypothesis import given
from hypothesis import strategies as st
from mirroring import ALL, DAY, die, errors, rows, sync
from oracle import differences

from pylon_to_sqlite.cli import cli
from pylon_to_sqlite.errors import Unusable
from pylon_to_sqlite.privacy import excludable
from pylon_to_sqlite.pseudonyms import DOMAIN, Pseudonyms
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import SandboxTransport
from pylon_to_sqlite.schema import TABLES
from pylon_to_sqlite.streams import STREAMS

NOTE = "<p>Careful: this aardvark is a late payer.</p>"
TRACE = b"aardvark"
PSEUDONYM = re.compile(rf"[0-9a-f]{{16}}@{re.escape(DOMAIN)}")

Row = dict[str, Any]
Held = dict[str, list[Row]]


def held(path: Path) -> Held:
    """All that a file holds of records, but for the times at which it was written."""
    found = {}
    for table in TABLES:
        there = rows(path, f"SELECT * FROM {table}")
        times = ("synced_at", "seen_at")
        found[table] = [{k: v for k, v in row.items() if k not in times} for row in there]
    return sorted_again(found)


def found_in(path: Path, *traces: bytes) -> list[bytes]:
    """What of the traces any file beside the mirror has, the mirror among them."""
    files = [one.read_bytes() for one in path.parent.rglob("*") if one.is_file()]
    return [trace for trace in traces if any(trace in content for content in files)]


def all_excludable() -> list[str]:
    """Every column and list that can be left out."""
    found = []
    for table in TABLES.values():
        if table.source is None:
            continue
        lists = [one.path for one in getattr(table.source, "links", ())]
        for name in dict.fromkeys((*(one.name for one in table.columns), *lists)):
            try:
                found.append(excludable(f"{table.name}.{name}", {}))
            except Unusable:
                continue
    return found


def without(there: Held, excluded: Collection[str]) -> Held:
    """What a file holds, without these columns and lists."""
    links = {link.table: f"{one.name}.{link.path}" for one in STREAMS for link in one.links}
    return {
        table: [
            {name: None if f"{table}.{name}" in excluded else value for name, value in row.items()}
            for row in ([] if links.get(table) in excluded else found)
        ]
        for table, found in there.items()
    }


def sorted_again(there: Held) -> Held:
    return {
        table: sorted(found, key=lambda row: json.dumps(row, sort_keys=True))
        for table, found in there.items()
    }


SOME = (
    *("contacts.email", "contacts.emails", "accounts.custom_fields", "issues.requester_email"),
    *("issue_messages.email_info", "issue_messages.author_name", "issues.tags", "issues.state"),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file to mirror into, in a directory of its own."""
    there = tmp_path / "closed" / "pylon.db"
    there.parent.mkdir()
    return there


@pytest.fixture
def open_file(tmp_path: Path, desk: Desk, api: Api, clock: FakeClock) -> Path:
    """A mirror of the desk that leaves nothing out."""
    there = tmp_path / "open" / "open.db"
    there.parent.mkdir()
    sync(there, api, clock, **ALL)
    return there


@pytest.mark.parametrize(
    ("names", "is_later"),
    [(SOME, False), (SOME, True), (("issues.title",), True)],
    ids=["from the start", "later", "one, later"],
)
def test_what_is_excluded_is_in_no_row_and_all_else_is_as_it_was(
    names: tuple[str, ...], is_later: bool, path: Path, open_file: Path, api: Api, clock: FakeClock
) -> None:
    if is_later:
        sync(path, api, clock, **ALL)
    outcome = sync(path, api, clock, exclude=names, **ALL)
    assert errors(outcome) == {}
    assert bool(outcome.withdrawn.values) == is_later
    assert held(path) == sorted_again(without(held(open_file), names))
    # It is remembered, whatever a run asks.
    for options in ({}, {"full": True, "reconcile": True, "verify": 9}):
        clock.sleep(DAY)
        assert errors(sync(path, api, clock, **options)) == {}
        assert held(path) == sorted_again(without(held(open_file), names))


def test_everything_but_what_the_mirror_needs_can_be_left_out(
    path: Path, open_file: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    names = all_excludable()
    assert {"issues.id", "issues.updated_at", "issue_messages.is_private"}.isdisjoint(names)
    assert len(names) > 250
    assert errors(sync(path, api, clock, exclude=names, **ALL)) == {}
    left, was = held(path), held(open_file)
    filled = {
        f"{table}.{name}"
        for table, found in left.items()
        if TABLES[table].source is not None
        for row in found
        for name, value in row.items()
        if value is not None
    }
    assert filled & {*names} == set()
    for table in ("issues", "issue_messages", "tasks", "contacts", "accounts"):
        assert {row["id"] for row in left[table]} == {row["id"] for row in was[table]}


def test_what_was_excluded_comes_back_and_leaves_no_false_history(
    path: Path, open_file: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    names = (*SOME, "issues.custom_fields", "issue_messages.message_text", "tasks.title")
    sync(path, api, clock, exclude=names, **ALL)
    clock.sleep(DAY)
    desk.workspace.change_issue(desk.issues[0], state="closed")
    clock.sleep(DAY)
    sync(path, api, clock)
    assert rows(path, "SELECT * FROM issue_changes") == []
    sync(path, api, clock, include=names)
    assert rows(path, "SELECT * FROM issue_changes") == []
    assert differences(path, desk.workspace) == []
    clock.sleep(DAY)
    desk.workspace.change_issue(desk.issues[1], state="closed")
    sync(path, api, clock)
    assert [one["column"] for one in rows(path, "SELECT * FROM issue_changes")] == ["state"]


def test_a_new_field_can_be_left_out_once_the_file_has_it(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    key = desk.workspace.add("contacts", name="New", shoe_size="aardvark 43")
    sync(path, api, clock)
    assert found_in(path, TRACE) == [TRACE]
    assert errors(sync(path, api, clock, exclude=["contacts.shoe_size"])) == {}
    assert found_in(path, TRACE) == []
    sync(path, api, clock, include=["contacts.shoe_size"])
    assert rows(path, "SELECT id FROM contacts WHERE shoe_size IS NOT NULL") == [{"id": key}]


def test_who_asked_is_not_told_by_the_issue_where_contacts_keep_no_address(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    """A contact that no list has gets a row from the issue, address and all."""
    someone = desk.workspace.new_id()
    desk.workspace.change_issue(
        desk.issues[0], requester={"id": someone, "email": "aardvark@example.com"}
    )

    class Unlisted(SandboxTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = super().handle_request(request)
            if request.url.path == "/issues/search":
                payload = json.loads(response.read())
                for one in payload["data"]:
                    one["requester"] = {"id": someone, "email": "aardvark@example.com"}
                return httpx.Response(200, json=payload)
            return response

    exclude = ["contacts.email", "issues.requester_email"]
    sync(path, api, clock, exclude=exclude[:1], transport=Unlisted(api))
    (contact,) = rows(path, "SELECT email FROM contacts WHERE id = ?", [someone])
    assert contact == {"email": None}
    sync(path, api, clock, exclude=exclude, transport=Unlisted(api))
    assert found_in(path, TRACE) == []


# Private notes.


def noted(desk: Desk) -> dict[str, str]:
    """Issues of all kinds that there are as to notes, by name."""
    workspace, agent = desk.workspace, desk.agents[0]

    def begin(first_is_private: bool, then: str) -> str:
        body = NOTE if first_is_private else "<p>Why is that?</p>"
        issue = workspace.open_issue(
            title="Question", body_html=body, requester=desk.contacts[0], source="email"
        )
        (message,) = workspace.messages(issue)
        if first_is_private:
            workspace._messages[message["id"]].private = True
        if then:
            private = then == "note"
            html = NOTE if private else "<p>Because.</p>"
            shot = workspace.add_file(f"{then}.png", f"{then} aardvark".encode())
            files = [shot] if private else []
            workspace.reply(issue, html=html, author=agent, private=private, file_urls=files)
        return issue

    found = {
        f"{first} {then}": begin(first == "private", then)
        for first in ("private", "public")
        for then in ("", "note", "answer")
    }
    found["nothing"] = begin(False, "")
    workspace.delete_message(workspace.messages(found["nothing"])[0]["id"])
    return found


def public(there: Held, issues: dict[str, str]) -> Held:
    """What a file holds, without private notes and all that may be theirs."""
    names = ("issues.attachment_urls", "issue_threads.name")
    kept = without(there, names)
    notes = {row["id"] for row in there["issue_messages"] if row["is_private"] != 0}
    kept["issue_messages"] = [row for row in kept["issue_messages"] if row["id"] not in notes]
    kept["attachments"] = [
        row for row in kept["attachments"] if row["message_id"] and row["message_id"] not in notes
    ]
    closed = {key for name, key in issues.items() if name.startswith("private")}
    for row in kept["issues"]:
        if row["id"] in closed:
            row |= {"body_html": None, "body_text": None}
    return sorted_again(kept)


@pytest.fixture
def notes(desk: Desk, clock: FakeClock) -> dict[str, str]:
    found = noted(desk)
    clock.sleep(DAY)
    return found


@pytest.mark.parametrize("is_later", [False, True], ids=["from the start", "later"])
def test_private_notes_are_nowhere_in_the_file_and_all_else_is(
    is_later: bool,
    path: Path,
    notes: dict[str, str],
    open_file: Path,
    desk: Desk,
    api: Api,
    clock: FakeClock,
) -> None:
    if is_later:
        sync(path, api, clock, **ALL)
        assert found_in(path, TRACE) == [TRACE]
    outcome = sync(path, api, clock, public_only=True, **ALL)
    assert errors(outcome) == {}
    assert bool(outcome.withdrawn.notes and outcome.withdrawn.bodies) == is_later
    # That an issue has no messages at all is believed when it is told twice.
    sync(path, api, clock, **ALL)
    assert found_in(path, TRACE, b"late payer") == []
    expected = public(held(open_file), notes)
    assert held(path) == expected
    for options in ({}, {"full": True, "reconcile": True, "verify": 9}):
        clock.sleep(DAY)
        again = sync(path, api, clock, **options)
        assert (errors(again), again.counts.changed, again.counts.new) == ({}, 0, 0)
        assert (found_in(path, TRACE), held(path)) == ([], expected)
    # Turned off, all of it is read.
    sync(path, api, clock, public_only=False)
    assert differences(path, desk.workspace) == []
    assert found_in(path, TRACE) == [TRACE]


def test_at_no_moment_of_a_run_is_a_note_in_the_file(
    path: Path, notes: dict[str, str], api: Api, clock: FakeClock
) -> None:
    """Whatever has been read when a run dies."""
    requests = 0
    while die(path, api, clock, requests, "issue_messages", public_only=True):
        assert found_in(path, TRACE) == []
        path.unlink(missing_ok=True)
        requests += 1
    assert requests > 12
    assert found_in(path, TRACE) == []


def test_a_file_is_closed_at_once_or_not_at_all(
    path: Path, notes: dict[str, str], api: Api, clock: FakeClock
) -> None:
    """The choice and what it takes away are one transaction, before anything is asked for but whose
    token it is."""
    for _ in range(2):
        sync(path, api, clock)
    before = held(path)
    assert die(path, api, clock, 1, public_only=True)
    assert found_in(path, TRACE) == []
    assert held(path) == public(before, notes)


def test_what_becomes_private_goes_and_what_becomes_public_comes(
    path: Path, notes: dict[str, str], desk: Desk, api: Api, clock: FakeClock
) -> None:
    workspace = desk.workspace
    sync(path, api, clock, public_only=True)
    issue = notes["public answer"]
    first, second = workspace.messages(issue)
    workspace._messages[second["id"]].private = True
    workspace.edit_message(second["id"], NOTE)
    opened = notes["private answer"]
    begun, _ = workspace.messages(opened)
    workspace._messages[begun["id"]].private = False
    workspace.edit_message(begun["id"], "<p>Said in public.</p>")
    workspace.change_issue(opened, body_html="<p>Said in public.</p>")
    clock.sleep(DAY)
    sync(path, api, clock)
    assert found_in(path, TRACE, b"Because.") == [b"Because."]
    sql = "SELECT id FROM issue_messages WHERE issue_id = ?"
    assert rows(path, sql, [issue]) == [{"id": first["id"]}]
    body = "SELECT body_text FROM issues WHERE id = ?"
    assert rows(path, body, [opened]) == [{"body_text": "Said in public."}]
    # Now the very first one.
    workspace._messages[first["id"]].private = True
    workspace.edit_message(first["id"], NOTE)
    workspace.change_issue(issue, body_html=NOTE)
    clock.sleep(DAY)
    sync(path, api, clock)
    assert found_in(path, TRACE) == []
    assert rows(path, sql, [issue]) == []
    assert rows(path, body, [issue]) == [{"body_text": None}]


def test_files_of_notes_are_removed_from_the_directory_too(
    path: Path, notes: dict[str, str], api: Api, clock: FakeClock
) -> None:
    fetch(path, api, clock)
    assert found_in(path, TRACE) == [TRACE]
    before = (held(path), contents(path))
    with pytest.raises(Unusable, match="--download-attachments DIR"):
        sync(path, api, clock, public_only=True)
    assert (held(path), contents(path)) == before
    outcome = fetch(path, api, clock, public_only=True)
    assert outcome.withdrawn.files
    assert found_in(path, TRACE) == []
    named = rows(path, "SELECT DISTINCT path FROM attachments WHERE path IS NOT NULL")
    assert {*contents(path)} == {one["path"] for one in named} != set()
    # What only notes had does not come again.
    there = contents(path)
    clock.sleep(DAY)
    fetch(path, api, clock, full=True)
    assert contents(path) == there


def test_many_bodies_come_by_lists(path: Path, desk: Desk, api: Api, clock: FakeClock) -> None:
    for number in range(40):
        open_issue(desk, number)
        clock.sleep(DAY * (number == 20) * 40)
    clock.sleep(DAY)
    outcome = sync(path, api, clock, public_only=True)
    assert errors(outcome) == {}
    assert rows(path, "SELECT count(*) AS n FROM issues WHERE body_text IS NULL") == [{"n": 0}]
    assert api.count("GET /issues/[^/]+") == 0
    assert api.count("GET /issues") == 2


# Pseudonyms.

KEY = Pseudonyms(b"k" * 32)
ADDRESS = re.compile(r"[\w.+'-]+@[\w-]+(\.[\w-]+)+")


WRITTEN = [
    "Write to zoe@example.com.",
    "<zoe@example.com>, 'zoe@example.com';zoe@example.com",
    '<a href="mailto:zoe@example.com?subject=Hi">Zoe@Example.COM</a>',
    "https://x.example/?to=zoe%40example.com&cc=%20zoe%40example%2Ecom",
    "zoe&#64;example.com zoe&#x40;example&#46;com zoe&commat;example&period;com",
    "from:zoe@example.com\nTo: zoe@example.com",
    "(zoe@example.com)",
    "...zoe@example.com--",
]


@pytest.mark.parametrize("text", WRITTEN)
def test_however_an_address_is_written_it_has_one_pseudonym(text: str) -> None:
    replaced = KEY.text(text)
    assert "zoe" not in replaced.lower()
    assert "example.com" not in replaced.lower().replace("x.example", "")
    assert len(set(re.findall(r"[0-9a-f]{16}(?=@|%40|&)", replaced))) == 1
    assert KEY.text(replaced) == replaced


def test_another_key_or_address_has_another_pseudonym() -> None:
    assert KEY.text("zoe@example.com") != Pseudonyms(b"l" * 32).text("zoe@example.com")
    assert KEY.text("zoe@example.com") != KEY.text("joe@example.com")
    assert PSEUDONYM.fullmatch(KEY.text("zoe@example.com"))
    # What is no address stays.
    for text in ("@here", "a@b", "50% @ 3.50", "x@", "&amp; @ &", "me @ example.com"):
        assert KEY.text(text) == text


@pytest.mark.parametrize(
    "html",
    ["<p>jo<b>hn</b>@example.com</p>", "<p>john@<wbr>example.com</p>", "john@exam<i>ple</i>.com"],
)
def test_html_that_breaks_an_address_in_two_gives_way_to_its_text(html: str) -> None:
    replaced = KEY.html(f"<p>Before</p>{html}")
    assert PSEUDONYM.search(replaced)
    assert "example" not in re.sub(PSEUDONYM, "", replaced)
    assert "Before" in replaced


@given(st.text(alphabet="ab.@%40&#;'+-\n {}[]\"\\:,é", max_size=60))
def test_no_address_outlives_its_replacement(text: str) -> None:
    for replaced in (KEY.text(text), str(KEY.stored("text", text)), str(KEY.stored("html", text))):
        left = PSEUDONYM.sub("", replaced)
        assert not ADDRESS.search(left) or ADDRESS.search(left)[0].lstrip("'.+-")[:1] == "@"  # type: ignore[index]
    assert KEY.text(KEY.text(text)) == KEY.text(text)


def test_long_texts_take_no_time() -> None:
    """By the square of their length they would take minutes."""
    odd = ("a", "a@", "%40", "a.b-", "a@b.", "@a.", "&#64;", "&#000", "%C3a", "%25", "%2Bz", "<a@b")
    for text in odd:
        KEY.html(text * (2 * 10**5 // len(text)) + "@x")
    # A sign that is encoded very often.
    layers = f"a%{'25' * 10**5}2Eb"
    assert PSEUDONYM.search(KEY.html(f"{layers}@{layers}.example"))


@pytest.fixture
def addressed(desk: Desk, clock: FakeClock) -> None:
    """Addresses in places where nobody expects them."""
    workspace, said = desk.workspace, "zoe@quarry.example"
    html = f"<p>Ask {said}</p>\n<p>or {{{said}}}</p>"
    workspace.reply(desk.issues[0], html=html, author=desk.contacts[0])
    workspace.change_issue(desk.issues[0], title=f"From {said}", tags=[said])
    workspace.add_custom_object("companies", name=said)
    clock.sleep(DAY)


@pytest.mark.usefixtures("addressed")
@pytest.mark.parametrize("is_later", [False, True], ids=["from the start", "later"])
def test_addresses_are_replaced_in_all_that_the_file_has(
    is_later: bool, path: Path, open_file: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    if is_later:
        sync(path, api, clock, **ALL)
    outcome = sync(path, api, clock, pseudonymize=True, **ALL)
    assert errors(outcome) == {}
    assert bool(outcome.withdrawn.values) == is_later
    addresses = {
        one.encode()
        for found in held(open_file).values()
        for row in found
        for value in row.values()
        if isinstance(value, str)
        for one in (match[0] for match in ADDRESS.finditer(value))
    }
    assert b"zoe@quarry.example" in addresses
    assert len(addresses) > 5
    assert found_in(path, *addresses) == []
    key = Pseudonyms(bytes.fromhex(path.with_name("pylon.db.key").read_text()))
    replaced = ADDRESS.sub(lambda match: key.text(match[0]), json.dumps(held(open_file)))
    assert held(path) == sorted_again(json.loads(replaced))
    assert path.with_name("pylon.db.key").stat().st_mode & 0o777 == 0o600
    for options in ({}, {"full": True, "reconcile": True, "verify": 9}):
        clock.sleep(DAY)
        again = sync(path, api, clock, **options)
        assert (errors(again), again.counts.changed, again.counts.new) == ({}, 0, 0)
    assert found_in(path, *addresses) == []
    sync(path, api, clock, pseudonymize=False)
    assert differences(path, desk.workspace) == []
    assert rows(path, "SELECT * FROM issue_changes") == []


def test_a_key_that_is_lost_or_another_is_told_and_nothing_is_written(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    sync(path, api, clock, pseudonymize=True)
    before = held(path)
    key = path.with_name("pylon.db.key")
    right = key.read_text()
    for wrong in ("", "ab\n", "zz" * 32, "ab" * 32):
        key.write_text(wrong)
        with pytest.raises(Unusable, match="put"):
            sync(path, api, clock)
    key.unlink()
    with pytest.raises(Unusable, match="put it back"):
        sync(path, api, clock)
    assert not key.exists()
    assert held(path) == before
    key.write_text(right)
    assert errors(sync(path, api, clock)) == {}
    key.unlink()
    assert errors(sync(path, api, clock, pseudonymize=False)) == {}
    assert differences(path, desk.workspace) == []


def test_all_of_it_goes_together(
    path: Path, notes: dict[str, str], desk: Desk, api: Api, clock: FakeClock
) -> None:
    sync(path, api, clock, **ALL)
    names = ("contacts.email", "contacts.emails", "contacts.name", "contacts.external_ids")
    names += ("issue_messages.author_name", "issue_followers.name")
    sync(path, api, clock, public_only=True, exclude=names, pseudonymize=True, downloads=None)
    assert found_in(path, TRACE, "Zoë".encode(), "李娜".encode()) == []
    values = {"public_only": False, "include": names, "pseudonymize": False}
    clock.sleep(DAY)
    assert errors(sync(path, api, clock, **values)) == {}
    assert differences(path, desk.workspace) == []


# The command line.


def said(arguments: list[str]) -> tuple[int, str]:
    result = CliRunner().invoke(
        cli, ["sync", *arguments, "--token", "x", "--api-url", "http://localhost:9"]
    )
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("contacts.emial", "contacts has no 'emial' that could be left out. It has: "),
        ("contacts", "contacts is a table: write TABLE.COLUMN"),
        ("people.email", "there is no table 'people'"),
        ("attachments.address", "there is no table 'attachments'"),
        ("issues.id", "issues.id cannot be left out: the mirror itself needs it"),
        ("issues.requester_contact_id", "cannot be left out"),
        ("issue_custom_fields.slug", "cannot be left out"),
    ],
)
def test_what_cannot_be_left_out_is_told_and_no_file_is_made(
    name: str, sentence: str, tmp_path: Path
) -> None:
    for option in ("--exclude", "--include"):
        status, output = said([str(tmp_path / "x.db"), option, name])
        assert (status, sentence in output) == (2, True), output
    assert [*tmp_path.iterdir()] == []


def test_a_name_cannot_be_both(tmp_path: Path) -> None:
    both = ["--exclude", "contacts.email", "--include", "Contacts.EMAIL"]
    assert said([str(tmp_path / "x.db"), *both])[0] == 2


def test_status_tells_what_is_left_out(path: Path, desk: Desk, api: Api, clock: FakeClock) -> None:
    sync(path, api, clock, public_only=True, exclude=["contacts.email"], pseudonymize=True)
    sync(path, api, clock, exclude=["accounts.custom_fields"])
    told = CliRunner().invoke(cli, ["status", str(path)]).output
    assert "Private notes are left out" in told
    assert "Left out: accounts.custom_fields, contacts.email." in told
    assert "E-mail addresses are replaced by pseudonyms." in told


# With forget.


def test_who_is_forgotten_by_address_is_found_behind_a_pseudonym(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    contact = desk.workspace.add("contacts", name="Ada", email="ada@aardvark.example")
    html = "<p>Ask Ada@aardvark.example</p>"
    desk.workspace.reply(desk.issues[0], html=html, author=desk.contacts[0])
    desk.workspace.open_issue(title="Mine", body_html="<p>Help.</p>", requester=contact)
    clock.sleep(DAY)
    sync(path, api, clock, pseudonymize=True)
    before = held(path)
    done = forget_it(path, "contact", "ada@aardvark.example")
    assert {name: done.plan.rows[name] for name in ("contacts", "issues")} == {
        "contacts": 1,
        "issues": 1,
    }
    assert done.plan.replaced == {"issue_messages": 2}
    after = held(path)
    for options in ({}, {"full": True}, {"pseudonymize": False}, {"full": True}):
        clock.sleep(DAY)
        assert errors(sync(path, api, clock, **options)) == {}
        assert len(held(path)["contacts"]) == len(before["contacts"]) - 1
        assert found_in(path, b"ada@aardvark", b"Ada@aardvark") == []
    assert len(after["issues"]) == len(held(path)["issues"]) == len(before["issues"]) - 1


def test_who_has_no_address_in_the_file_is_to_be_named_by_id(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    sync(path, api, clock, exclude=["contacts.email"])
    address = next(one.fields["email"] for one in desk.workspace.listed("contacts"))
    with pytest.raises(Unusable, match="give the contact's id"):
        forget_it(path, "contact", address)
    assert forget_it(path, "contact", desk.contacts[0]).plan.rows["contacts"] == 1
    clock.sleep(DAY)
    assert errors(sync(path, api, clock)) == {}
    assert rows(path, "SELECT 1 FROM contacts WHERE id = ?", [desk.contacts[0]]) == []
