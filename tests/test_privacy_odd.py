"""What is left out stays out, however oddly records come, whatever becomes of them and whoever
reads the file."""

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import FakeClock
from desk import Desk
from fetching import fetch
from hypothesis import given, settings
from hypothesis import strategies as st
from mirroring import DAY, TOKEN, die, errors, rows, sync
from test_privacy import found_in

from pylon_to_sqlite.client import Client
from pylon_to_sqlite.doctor import diagnose
from pylon_to_sqlite.errors import Unusable
from pylon_to_sqlite.estimate import estimate
from pylon_to_sqlite.file import new_fields_in
from pylon_to_sqlite.privacy import Privacy, excludable
from pylon_to_sqlite.pseudonyms import Pseudonyms
from pylon_to_sqlite.rows import Row, Rows, rows_of
from pylon_to_sqlite.run import Wishes
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import SandboxTransport
from pylon_to_sqlite.streams import BY_NAME

TRACE = b"aardvark"
WORDS = "<p>This aardvark pays late.</p>"
KEY = Pseudonyms(b"k" * 32)

Change = Callable[[dict[str, Any]], object]


class Odd(SandboxTransport):
    """The sandbox, with each record of these paths changed by hand."""

    def __init__(self, api: Api, **changes: Change) -> None:
        super().__init__(api)
        self._changes = changes

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        kind = request.url.path.rpartition("/")[2]
        kind = "issues" if re.fullmatch("/issues(/[^/]+)?", request.url.path) else kind
        if kind not in self._changes or response.status_code != 200:
            return response
        payload = json.loads(response.read())
        data = payload["data"]
        for record in data if isinstance(data, list) else [data]:
            self._changes[kind](record)
        headers = {"date": response.headers["date"]}
        return httpx.Response(200, json=payload, headers=headers, request=request)


def odd_issue(record: dict[str, Any]) -> None:
    other = {"id": "of-another", "body_html": WORDS, "Body_Text": WORDS}
    record |= {"child_issues": [other], "parent_issue_group": other}
    record |= {"Body_HTML": WORDS, "latest_message_text": WORDS, "Attachment_URLs": [WORDS]}


def odd_contact(record: dict[str, Any]) -> None:
    record |= {"email": {"value": "aardvark"}, "Email": "aardvark", "EMAIL_": ["aardvark"]}
    record |= {"aardvark@quarry.example": 1, "Placeholder": "aardvark", "told": "a&b"}
    record |= {"custom_fields": ["aardvark"], "portal_role": "aardvark@quarry.example"}


ODD: dict[str, Change] = {
    "issues": odd_issue,
    "contacts": odd_contact,
    "messages": lambda record: record.update(is_private=None),
    "threads": lambda record: record.update(topic="aardvark"),
}


@pytest.mark.parametrize("is_later", [False, True], ids=["from the start", "later"])
def test_odd_records_bring_nothing_that_is_left_out(
    is_later: bool, path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    exclude = ["contacts.email", "contacts.custom_fields"]
    if is_later:
        sync(path, api, clock, transport=Odd(api, **ODD))
        assert found_in(path, TRACE) == [TRACE]
        # A field that is called as a column of ours is in another, whose name tells nothing.
        exclude += [excludable("contacts.placeholder_", new_fields_in(path))]
    else:
        exclude += ["contacts.placeholder_"]
    left_out: dict[str, Any] = {"public_only": True, "exclude": exclude, "pseudonymize": True}
    outcome = sync(path, api, clock, transport=Odd(api, **ODD), **left_out)
    assert errors(outcome) == {}
    assert found_in(path, TRACE) == []
    for options in ({}, {"full": True}):
        clock.sleep(DAY)
        again = sync(path, api, clock, transport=Odd(api, **ODD), **options)
        assert (again.counts.new, again.counts.changed) == (0, 0)
        assert found_in(path, TRACE) == []
    # All else is there.
    (contact,) = rows(path, "SELECT * FROM contacts WHERE name = 'Yusuf'")
    assert (contact["told"], contact["portal_role"][-18:]) == ("a&b", "@pseudonym.invalid")
    assert [name[-18:] for name, value in contact.items() if value == 1] == ["@pseudonym.invalid"]


def test_columns_of_the_users_own_stay(mirror: Path, api: Api, clock: FakeClock) -> None:
    with closing(sqlite3.connect(mirror)) as connection:
        connection.execute("ALTER TABLE issues ADD COLUMN note_of_mine TEXT DEFAULT 'a@b.example'")
        connection.commit()
    with pytest.raises(Unusable, match="no 'note_of_mine'"):
        excludable("issues.note_of_mine", new_fields_in(mirror))
    sync(mirror, api, clock, public_only=True, exclude=["issues.title"], pseudonymize=True)
    found = rows(mirror, "SELECT DISTINCT note_of_mine, title FROM issues")
    assert found == [{"note_of_mine": "a@b.example", "title": None}]


def test_what_is_left_out_can_be_named_again_though_its_column_is_gone(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    shoes: Change = lambda record: record.update(shoe_size=43)  # noqa: E731
    sync(path, api, clock, transport=Odd(api, contacts=shoes))
    sync(path, api, clock, exclude=["contacts.shoe_size"])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE contacts DROP COLUMN shoe_size")
    assert excludable("contacts.shoe_size", new_fields_in(path)) == "contacts.shoe_size"


# Bodies.


def note_first(desk: Desk) -> tuple[str, str]:
    """An issue that began with a note, whose words are its body; and that note."""
    workspace = desk.workspace
    issue = workspace.open_issue(title="Late", body_html=WORDS, requester=desk.contacts[0])
    (message,) = workspace.messages(issue)
    workspace._messages[message["id"]].private = True
    return issue, message["id"]


def test_a_note_stays_one_when_older_messages_are_moved_to_it(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    """As when issues are merged; both where the file saw it before, and where it did not."""
    issue, _ = note_first(desk)
    clock.sleep(DAY)
    sync(path, api, clock, public_only=True)
    desk.workspace.merge_issues(issue, desk.issues[0])
    clock.sleep(DAY)
    sync(path, api, clock)
    assert found_in(path, TRACE) == []
    for later in (False, True):
        path.unlink()
        if later:
            sync(path, api, clock)
        sync(path, api, clock, public_only=True)
        assert found_in(path, TRACE) == []
        sql = "SELECT count(*) AS n FROM issues WHERE body_text IS NULL AND deleted_at IS NULL"
        assert rows(path, sql) == [{"n": 1}]


def test_a_body_stays_out_when_its_note_is_deleted(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    issue, note = note_first(desk)
    clock.sleep(3600)
    desk.workspace.reply(issue, html="<p>Hello.</p>", author=desk.agents[0])
    clock.sleep(DAY)
    sync(path, api, clock, public_only=True)
    desk.workspace.delete_message(note)
    clock.sleep(DAY)
    sync(path, api, clock)
    for message in desk.workspace.messages(issue):
        desk.workspace.delete_message(message["id"])
    for _ in range(3):
        clock.sleep(DAY)
        sync(path, api, clock, full=True)
    assert found_in(path, TRACE) == []
    # Said in public, even in other markup, it is no secret.
    desk.workspace.reply(
        issue, html="<div>This <b>aardvark</b> pays late.</div>", author=desk.agents[0]
    )
    clock.sleep(DAY)
    sync(path, api, clock)
    body = rows(path, "SELECT body_html FROM issues WHERE id = ?", [issue])
    assert body == [{"body_html": WORDS}]


@pytest.mark.parametrize("at_once", [False, True])
def test_a_body_goes_with_the_last_message_that_shows_it_to_be_public(
    at_once: bool, path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    """What was deleted in Pylon was public, and tells so as long as it is here. Once it is erased
    the file is as one that never saw it, whatever runs there were."""
    issue, other = desk.issues[:2]
    sync(path, api, clock, public_only=True)
    body = "SELECT body_html, body_text FROM issues WHERE id = ?"
    before, others = rows(path, body, [issue]), rows(path, body, [other])
    assert before[0]["body_text"]
    desk.workspace.delete_message(desk.workspace.messages(issue)[0]["id"])
    clock.sleep(DAY)
    if not at_once:
        sync(path, api, clock)
        assert (rows(path, body, [issue]), wrong(path)) == (before, [])
        clock.sleep(DAY)
    assert sync(path, api, clock, erase_deleted=0).erased == 1
    assert found_in(path, b"Why 0?") == []
    new = path.with_name("new.db")
    sync(new, api, clock, public_only=True)
    for options in ({}, {"full": True}, {"reconcile": True, "verify": 9}):
        assert rows(path, body, [issue]) == rows(new, body, [issue])
        assert (rows(path, body, [other]), wrong(path)) == (others, [])
        clock.sleep(DAY)
        sync(path, api, clock, **options)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("2026-06-30T23:00:00Z", "2026-06-30T23:00:00.5Z"),
        ("2026-06-30T23:00:00Z", "0 hours"),
        ("2026-06-30T23:00:00Z", "2026-06-30T22:59:59+00:00"),
        (None, "2026-06-30T22:59:59Z"),
    ],
)
def test_odd_times_show_no_note(
    first: str | None, then: str, path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    issue, note = note_first(desk)
    desk.workspace.reply(issue, html="<p>Hello.</p>", author=desk.agents[0])

    def change(record: dict[str, Any]) -> None:
        record["timestamp"] = first if record["id"] == note else then

    clock.sleep(DAY)
    asked = ("issue_messages",)
    sync(path, api, clock, *asked, public_only=True, transport=Odd(api, messages=change))
    assert found_in(path, TRACE) == []


# The change log.


def test_the_change_log_keeps_no_priority_that_is_left_out_and_tells_no_false_one(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    for priority in ("high", "aardvark", "low"):
        desk.workspace.change_issue(desk.issues[0], custom_fields={"priority": priority})
        clock.sleep(DAY)
        sync(path, api, clock, "issues")
    assert len(rows(path, "SELECT * FROM issue_changes")) == 2
    sync(path, api, clock, "issues", exclude=["issue_custom_fields.value"])
    assert (found_in(path, TRACE), rows(path, "SELECT * FROM issue_changes")) == ([], [])
    sync(path, api, clock, "issues", include=["issue_custom_fields.value"])
    assert rows(path, "SELECT * FROM issue_changes") == []


def test_what_comes_back_in_two_runs_is_no_news_and_then_everything_is(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    sync(path, api, clock, "issues", exclude=["issues.tags", "issues.state", "issues.assignee_id"])
    desk.workspace.change_issue(desk.issues[0], assignee=None)
    clock.sleep(DAY)
    assert die(path, api, clock, 1, "issues", include=["issues.tags", "issues.assignee_id"])
    sync(path, api, clock, "issues", include=["issues.state"])
    assert rows(path, "SELECT * FROM issue_changes") == []
    clock.sleep(DAY)
    desk.workspace.change_issue(desk.issues[0], assignee=desk.agents[0])
    clock.sleep(DAY)
    sync(path, api, clock, "issues", full=True)
    changed = rows(path, 'SELECT "column", old, new FROM issue_changes')
    assert changed == [{"column": "assignee_id", "old": None, "new": desk.agents[0]}]


# The file and who reads it.


def test_a_reader_that_keeps_the_words_is_told_of(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    sync(path, api, clock, "issue_messages")
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM issue_messages").fetchone()
        for _ in range(2):
            outcome = sync(path, api, clock, "issue_messages", public_only=True)
            assert outcome.unpurged == "another program reads it"
            assert found_in(path, b"late payer") == [b"late payer"]
    assert sync(path, api, clock, "issue_messages").unpurged == ""
    assert found_in(path, b"late payer") == []


def test_the_doctor_finds_what_is_to_be_left_out_and_takes_it_out(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    sync(path, api, clock, "issue_messages", "contacts")
    there = rows(path, "SELECT * FROM issue_messages WHERE is_private")
    left_out: dict[str, Any] = {"public_only": True, "exclude": ["contacts.name", "issues.tags"]}
    sync(path, api, clock, "issue_messages", "contacts", pseudonymize=True, **left_out)
    assert wrong(path) == []
    with closing(sqlite3.connect(path)) as connection:
        marks = ", ".join("?" * len(there[0]))
        connection.execute(f"INSERT INTO issue_messages VALUES ({marks})", [*there[0].values()])
        sets = f"body_html = '{WORDS}', body_text = 'This aardvark', tags = '[]'"
        connection.execute(f"UPDATE issues SET {sets} WHERE number = 1")
        connection.execute("UPDATE contacts SET name = 'aardvark', email = 'zoe@aardvark.example'")
        connection.execute("INSERT INTO issue_tags SELECT id, 'aardvark' FROM issues")
        connection.commit()
    key = Path(f"{path}.key")
    key.chmod(0o644)
    told = [
        *("1 private notes", "1 bodies that may be such", "1 values of issues.tags"),
        *("4 values of issues.tags", "3 values of contacts.name", "3 values with e-mail addresses"),
    ]
    assert sorted(wrong(path)) == sorted(
        [
            *(f"{one} are in the file, though they are to be left out" for one in told),
            f"others can read customers' words: {key} has mode 0644",
        ]
    )
    assert wrong(path, mend=True) == []
    assert (found_in(path, TRACE, b"late payer"), wrong(path)) == ([], [])
    assert key.stat().st_mode & 0o777 == 0o600
    clock.sleep(DAY)
    sync(path, api, clock, "issue_messages", "contacts", full=True)
    assert (found_in(path, TRACE, b"late payer"), wrong(path)) == ([], [])
    key.unlink()
    (message,) = wrong(path, mend=True)
    assert "put it back" in message


def wrong(path: Path, *, mend: bool = False) -> list[str]:
    """What the doctor finds wrong, and with `mend` cannot mend."""
    found = diagnose(path, lambda: None, "2026-07-09T00:00:00Z", mend=mend)
    return [one.message for one in found if one.state == "wrong"]


def test_addresses_in_what_pylon_says_of_a_fault_are_replaced(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    class Refusing(SandboxTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/macros":
                said = {"errors": ["zoe@aardvark.example is no admin"], "code": "invalid"}
                return httpx.Response(400, json=said)
            return super().handle_request(request)

    outcome = sync(path, api, clock, "macros", pseudonymize=True, transport=Refusing(api))
    assert re.search(r"[0-9a-f]{16}@pseudonym.invalid is no admin", errors(outcome)["macros"])
    assert found_in(path, TRACE) == []


def test_a_dry_run_counts_what_is_to_be_read_again_and_makes_no_key(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    sync(path, api, clock, "issue_messages", public_only=True)
    names = [one.name for one in path.parent.iterdir()]

    def asked(**wishes: Any) -> dict[str, int | None]:
        transport = SandboxTransport(api)
        with closing(Client(TOKEN, "http://localhost", transport, clock.clock)) as client:
            found = estimate(path, client, Wishes(("issue_messages",), **wishes))
        return {one.name: one.requests for one in found.costs}

    assert asked()["issue_messages"] == 0
    assert asked(public_only=False)["issue_messages"] == len(desk.issues)
    assert asked(pseudonymize=True)["issue_messages"] == 0
    assert [one.name for one in path.parent.iterdir()] == names


def test_a_file_that_is_called_by_an_address_is_fetched_all_the_same(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    workspace = desk.workspace
    url = workspace.add_file("for zoe@aardvark.example.txt", b"It said no.")
    issue = workspace.open_issue(
        title="T", body_html="<p>B</p>", requester=desk.contacts[0], attachment_urls=[url]
    )
    workspace.reply(issue, html="<p>See.</p>", author=desk.agents[0], file_urls=[url])
    clock.sleep(DAY)
    sql = "SELECT DISTINCT error, size FROM attachments WHERE issue_id = ?"
    for options in ({"pseudonymize": True}, {}):
        fetch(path, api, clock, **options)
        assert rows(path, sql, [issue]) == [{"error": None, "size": 11}]
        assert found_in(path, TRACE) == []


def test_a_key_is_never_half_there(path: Path, desk: Desk, api: Api, clock: FakeClock) -> None:
    key, part = Path(f"{path}.key"), Path(f"{path}.key.part")
    key.write_text("")
    with pytest.raises(Unusable, match=r"cannot keep a key .* it holds no key"):
        sync(path, api, clock, "users", pseudonymize=True)
    key.unlink()
    # What a run left that was killed.
    part.write_text("ab")
    assert errors(sync(path, api, clock, "users", pseudonymize=True)) == {}
    assert (len(bytes.fromhex(key.read_text())), part.exists()) == (32, False)


# Pseudonyms.


ENCODED = [
    "https://x.example/?then=https%3A%2F%2Fy%2F%3Fto%3Dzoe%2540aardvark.example",
    "zoe%2Bnews%40aardvark.example",
    "zo%C3%AB%40aardvark%252Eexample",
    '{"from": "zoe\\u0040aardvark.example',
    "zoe&#43;news&#64;aardvark&#x2e;example",
    "&#122;&#111;&#x65;&#64;aardvark.example",
    "zoe\uff20aardvark.example",
    "zoe@\u200baard\u00advark.example",
    "100%zoe@aardvark.example",
    "%25zoe@aardvark.example",
]


@pytest.mark.parametrize("text", ENCODED)
def test_encoded_addresses_are_replaced_whole(text: str) -> None:
    for replaced in (KEY.text(text), KEY.html(text), str(KEY.stored("html", text))):
        assert not re.search("zo|aard", replaced)
        assert KEY.text(replaced) == replaced


def test_an_encoded_address_has_the_pseudonym_of_the_plain_one() -> None:
    for text in ("zoe%2540x.example", "zoe&commat;x.example", "Zoe\uff20x.example"):
        assert KEY.text(text)[:16] == KEY.text("zoe@x.example")[:16]
    assert KEY.text("zo%C3%AB%2Ba%40x.example")[:16] == KEY.text("zoë+a@x.example")[:16]


def test_json_without_an_address_stays_as_it_is() -> None:
    for text in ('{"b": 1, "a": "R&#D @ 5"}', "[1,2, &#64;]", '{"a": "@", "a": 1e2}'):
        assert KEY.stored("text", text) == text
    document = '[{"html": "jo<b>hn</b>@x.example"}]'
    assert KEY.text("john@x.example") in str(KEY.stored("array", document))


# Privacy as a whole.

CONTACTS, ISSUES = BY_NAME["contacts"], BY_NAME["issues"]
SOME = ("contacts.email", "contacts.custom_fields", "issues.title", "issues.tags", "issues.body_")
SECRET = "aardvark"
NAMES = st.sampled_from(
    [
        *("email", "Email", "EMAIL_", "name", "custom_fields", "Custom_Fields", "title", "tags"),
        *("TITLE__", "body_html", "Body", "requester", "account", "external_ids", "shoe size"),
        *("parent_issue_group", "attachment_urls", 'a"b', "a.b", "x_"),
    ]
)
LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(), st.sampled_from(["", SECRET, "zoe@x.example", "a"])
)
FIELDS = st.sampled_from(["email", "Email", "title", "a"])
# Keys are no words: one that is an address would stay.
ANY = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(FIELDS, inner)
        | st.dictionaries(FIELDS, inner).map(lambda one: {**one, "id": "key"})
    ),
    max_leaves=4,
)


def values(rows_: Rows) -> list[tuple[str, Row]]:
    """All rows of a record, with their tables."""
    links = [(table, one) for table, found in rows_.links.items() for one in found]
    return [("", rows_.row), *links, *((one.table, one.row) for one in rows_.references)]


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(NAMES, ANY, max_size=8), st.booleans())
def test_nothing_that_is_left_out_passes_and_all_else_is_unchanged(
    record: dict[str, Any], is_issue: bool
) -> None:
    stream = ISSUES if is_issue else CONTACTS
    came = rows_of(stream, {**record, "id": "1"})
    privacy = Privacy(excluded=frozenset(SOME))
    kept = privacy.of(stream, came)
    hidden = [name for name in came.row if privacy.hides(stream.name, name)]
    assert kept.row == {name: one for name, one in came.row.items() if name not in hidden}
    left_out = {name.partition(".")[2] for name in SOME if name.startswith(stream.name)}
    assert {name.lower().rstrip("_") for name in hidden} <= {one.rstrip("_") for one in left_out}
    assert left_out.isdisjoint(name.lower() for name in kept.row)
    for link in stream.links:
        assert kept.links[link.table] == (
            [] if link.path in left_out else list(came.links[link.table])
        )
    for table, row in values(kept):
        assert not any(privacy.hides(table, name) for name in row if table)
    # With pseudonyms nothing is otherwise but addresses, and there is none.
    with_names = Privacy(pseudonyms=KEY).of(stream, came)
    assert "zoe@x.example" not in str(with_names)
    plain = str([row for _, row in values(came)]).replace(
        "zoe@x.example", KEY.text("zoe@x.example")
    )
    assert str([row for _, row in values(with_names)]) == plain


def test_what_a_list_says_again_of_one_is_left_out_with_its_columns() -> None:
    """It has all fields of the second time, in one column."""
    link = BY_NAME["issues"].links[0]
    privacy = Privacy(excluded=frozenset((f"{link.table}.mood",)))
    for column in ("repeated", "repeated_", "mood"):
        assert privacy.hides(link.table, column)
        assert not privacy.hides("issues", column)
    assert not Privacy().hides(link.table, "repeated")


@pytest.mark.parametrize("is_later", [False, True], ids=["from the start", "later"])
def test_what_a_list_says_again_of_an_issue_may_be_a_note(
    is_later: bool, path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    """In a new field, which stands in one column with all else of the second time."""

    def twice(record: dict[str, Any]) -> None:
        record["child_issues"] = [{"id": "x"}, {"id": "x", "latest_note": "aardvark"}]
        outside = {"source": "jira", "external_id": "1", "link": "l", "latest_note": "aardvark"}
        record["external_issues"] = [outside]
        record["custom_fields"]["f"] = {"slug": "f", "value": "v", "note_text": "aardvark"}

    if is_later:
        sync(path, api, clock, transport=Odd(api, issues=twice))
        assert found_in(path, TRACE) == [TRACE]
    outcome = sync(path, api, clock, public_only=True, transport=Odd(api, issues=twice))
    assert errors(outcome) == {}
    assert found_in(path, TRACE) == []
    assert len(rows(path, "SELECT * FROM issue_child_issues")) == len(desk.issues)


def test_names_of_fields_may_have_the_same_pseudonym(
    mirror: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    """Or have it already, from a time when addresses were left out."""
    fields = {"zoe@quarry.example": "one", "zo\u200be@quarry.example": "two"}
    transport = Odd(api, contacts=lambda record: record.update(fields))
    for pseudonymize in (None, True, False, True):
        clock.sleep(DAY)
        outcome = sync(mirror, api, clock, transport=transport, pseudonymize=pseudonymize)
        assert errors(outcome) == {}
    assert found_in(mirror, b"@quarry") == []


def test_what_the_workspace_is_called_may_be_an_address(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    transport = Odd(api, me=lambda record: record.update(name="ops@quarry.example"))
    sync(path, api, clock, transport=transport, pseudonymize=True)
    assert found_in(path, b"ops@quarry") == []
    (name,) = rows(path, "SELECT value FROM _pylon_meta WHERE key = 'organization_name'")
    assert name["value"].endswith("@pseudonym.invalid")


def test_what_tells_which_issues_have_calls_cannot_be_left_out() -> None:
    for name in ("issues.source", "issue_messages.source"):
        with pytest.raises(Unusable):
            excludable(name, {})
