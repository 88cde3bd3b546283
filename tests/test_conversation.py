"""The page of a conversation: what is told, to whom, and that nothing in it can harm."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from conftest import FakeClock
from datasette.app import Datasette
from desk import Desk, open_issue
from mirroring import DAY, sync
from surfing import by_class, links, page, tree, visit, words
from test_sanitise import COSTLY, PAYLOADS

from pylon_to_sqlite.plugin.conversation import PAGE
from pylon_to_sqlite.plugin.links import conversation_path
from pylon_to_sqlite.plugin.sanitise import TAGS
from pylon_to_sqlite.sandbox.api import Api

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "cache-control": "private, no-cache",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
FIRST = "/pylon/-/conversation/1"


def change(path: Path, sql: str, *params: Any) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql, params)
        connection.commit()


def told(message: Element) -> dict[str, Any]:
    """A message as a reader sees it."""
    (by,) = by_class(message, "by")
    return {
        "who": words(next(by.iter("strong"))),
        "role": words(by_class(by, "role")[0]),
        "side": (message.get("class") or "").split()[1],
        "note": [words(one) for one in by_class(message, "note-label")],
        "words": words((by_class(message, "body") + by_class(message, "removed"))[0]),
    }


def messages(text: str) -> list[dict[str, Any]]:
    return [told(one) for one in by_class(tree(text), "message")]


PUBLIC: list[str] = []
NOTE = ["Private note: the customer did not see this in “Internal notes”"]


def test_a_conversation_as_a_chat(mirror: Path) -> None:
    text = page(mirror, FIRST)
    assert [words(one) for one in by_class(tree(text), "day")] == ["Wednesday, 1 July 2026"]
    assert messages(text) == [
        {
            "who": "Zoë",
            "role": "customer",
            "side": "customer",
            "note": PUBLIC,
            "words": "Why 0?It was fine before.",
        },
        {"who": "Ann", "role": "agent", "side": "us", "note": PUBLIC, "words": "Because 0."},
        {
            "who": "Bo",
            "role": "agent",
            "side": "us",
            "note": NOTE,
            "words": "Careful: late payer.",
        },
        {"who": "Helper", "role": "bot", "side": "bot", "note": PUBLIC, "words": "I am a bot."},
    ]


def test_what_a_screen_reader_tells_apart(mirror: Path, desk: Desk) -> None:
    found = tree(page(mirror, FIRST))
    assert [one.get("aria-label") for one in found.iter("article")] == [
        "Message of Zoë, customer, 00:00",
        "Message of Ann, agent, 00:00",
        "Private note of Bo, agent, 00:00",
        "Message of Helper, bot, 00:00",
    ]
    with closing(sqlite3.connect(mirror)) as connection:
        connection.executemany(
            "INSERT INTO issue_messages (id, issue_id, message_text) VALUES (?, ?, 'x')",
            [(f"more-{n}", desk.issues[0]) for n in range(PAGE)],
        )
        connection.commit()
    found = tree(page(mirror, FIRST))
    names = [one.get("aria-label") for one in found.iter("nav")]
    assert len(names) == len(set(names)) == 3
    for one in found.iter("article"):
        if "note" in (one.get("class") or "") and by_class(one, "text"):
            assert (one.get("aria-label") or "").startswith(("Private note", "Perhaps a private"))


def test_an_issue_whose_messages_are_not_read_yet(mirror: Path) -> None:
    change(mirror, "DELETE FROM issue_messages")
    change(mirror, "UPDATE issues SET body_html = ?", "<p>Why 0?</p><script>alert(1)</script>")
    (answer,) = visit(mirror, FIRST)
    assert_inert(answer)
    shown = tree(answer.text)
    assert words(by_class(shown, "empty")[0]).endswith("They may not have been read yet.")
    assert words(by_class(shown, "body")[0]) == "Why 0?"


def test_a_body_is_perhaps_private_until_its_messages_are_read(
    mirror: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    """Pylon gives the first message as the body, whoever wrote it for whom."""
    issue = desk.issues[1]
    number = "/pylon/-/conversation/2"
    for message in desk.workspace.messages(issue):
        desk.workspace.delete_message(message["id"])
    clock.sleep(DAY)
    sync(mirror, api, clock)
    change(mirror, "DELETE FROM issue_messages WHERE issue_id = ?", issue)
    desk.workspace.change_issue(issue, body_html="<p>Hello.</p>")
    for _ in range(2):
        clock.sleep(DAY)
        sync(mirror, api, clock)
    # It has none: what it says itself the customer wrote or was told.
    assert by_class(tree(page(mirror, number)), "note-label") == []
    for sql in (
        "UPDATE _pylon_children SET again_at = '2026-07-04T00:00:00Z'",
        "UPDATE _pylon_children SET again_at = NULL, read_for = NULL",
        "DELETE FROM _pylon_children",
    ):
        change(mirror, sql)
        assert len(by_class(tree(page(mirror, number)), "note-label")) == 1, sql
    for _ in range(2):
        clock.sleep(DAY)
        sync(mirror, api, clock)
    assert by_class(tree(page(mirror, number)), "note-label") == []
    # Now the first is a note, and a run that was stopped had come to the issues only.
    desk.workspace.reply(issue, html="Between us.", author=desk.agents[0], private=True)
    desk.workspace.change_issue(issue, body_html="<p>Between us.</p>")
    clock.sleep(DAY)
    sync(mirror, api, clock, "issues")
    shown = tree(page(mirror, number))
    (note,) = by_class(shown, "note")
    assert words(by_class(note, "body")[0]) == "Between us."
    assert words(by_class(note, "note-label")[0]).startswith("Perhaps a private note")


def test_writing_from_right_to_left_stays_where_it_is(mirror: Path) -> None:
    """Nor does a sign that turns the direction reach beyond what it stands in."""
    change(
        mirror, "UPDATE issue_messages SET author_name = ?, message_html = ?", "\u202eadmin", "שלום"
    )
    change(mirror, "UPDATE issues SET title = ?", "\u202etxt")
    found = tree(page(mirror, FIRST))
    turned = [
        one for one in found.iter() if one.tag in ("h1", "strong") or one.get("class") == "body"
    ]
    assert len(turned) == 1 + 4 + 4
    assert {one.get("dir") for one in turned} == {"auto"}


def test_what_is_not_said_to_be_public_is_set_apart(mirror: Path) -> None:
    change(mirror, "UPDATE issue_messages SET is_private = NULL")
    for message in messages(page(mirror, FIRST)):
        assert message["note"][0].startswith("Perhaps a private note")


def facts(text: str) -> dict[str, str]:
    found = by_class(tree(text), "facts")[0]
    return {words(one.findall("dt")[0]): words(one.findall("dd")[0]) for one in found}


def test_the_facts_of_an_issue(mirror: Path, desk: Desk, api: Api, clock: FakeClock) -> None:
    workspace = desk.workspace
    priority = [{"label": "Very high", "slug": "high"}]
    workspace.add(
        "custom_fields",
        object_type="issue",
        slug="priority",
        label="Priority",
        select_metadata={"options": priority},
    )
    workspace.add("issue_statuses", slug="waiting_on_you", label="Waiting on us")
    workspace.change_issue(desk.issues[0], state="waiting_on_you")
    workspace.rate(desk.issues[0], 4, "Good, <b>but</b> slow.")
    clock.sleep(DAY)
    sync(mirror, api, clock)
    text = page(mirror, FIRST)
    assert {key: value for key, value in facts(text).items() if "issue.field" not in key} == {
        "Account": "Quarry",
        "Requester": "Zoë",
        "Assignee": "Ann",
        "Team": "First line",
        "State": "Waiting on us",
        "Type": "conversation",
        "Channel": "email",
        "Priority": "Very high",
        "areas": "importexport",
        "Tags": "bugtag-0",
        "Satisfaction": "4: Good, <b>but</b> slow.",
        "Opened": "2026-07-01 00:00",
        "First response": "0 s",
        "Latest message": "2026-07-01 00:00",
    }
    leads = dict(links(tree(text)))
    assert leads["Quarry"] == f"/pylon/accounts/{desk.accounts[0]}"
    assert leads["Zoë"] == f"/pylon/contacts/{desk.contacts[0]}"
    assert leads["Open in Pylon"].startswith("https://app.usepylon.com/")
    assert leads["Row"] == f"/pylon/issues/{desk.issues[0]}"
    inside = [path for _, path in links(tree(text)) if path.startswith("/pylon/")]
    for path, answer in zip(inside, visit(mirror, *inside), strict=True):
        assert answer.status_code == 200, path


def test_the_account_s_other_issues_lead_on(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    for number in range(4, 12):
        clock.sleep(60)
        open_issue(desk, number)
    desk.workspace.delete_issue(desk.issues[4])
    clock.sleep(DAY)
    sync(path, api, clock)
    found = by_class(tree(page(path, "/pylon/-/conversation/7")), "others")
    later, earlier = ([words(next(item.iter("a"))) for item in one] for one in found)
    # The even ones are of one account; the one that was deleted is not there.
    assert later == ["Question 8", "Question 10"]
    assert sorted(earlier) == ["Question 0", "Question 2"]
    assert dict(links(found[0]))["Question 8"] == "/pylon/-/conversation/9"


FILES = [
    "https://assets.example/0b7a1c9e-0000-4000-8000-706c796f6e31-My%20file.pdf?sig=s%26&x=1",
    "https://assets.example/",
    "javascript:alert(1)",
    "data:text/html,x",
    "//evil.example/x",
    "https://e.example/%3Cscript%3Ealert(1)%3C/script%3E",
    "http://[bad",
]


def test_attachments_are_links_to_the_web_only(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    desk.workspace.reply(
        desk.issues[0], html="<p>See</p>", author=desk.contacts[0], file_urls=FILES
    )
    clock.sleep(DAY)
    sync(path, api, clock)
    *_, files = by_class(tree(page(path, FIRST)), "files")
    nothing = "attachment without an address that can be opened"
    assert [words(one) for one in files] == [
        "My file.pdf at assets.example",
        "attachment at assets.example",
        nothing,
        nothing,
        nothing,
        "script> at e.example",
        nothing,
    ]
    found = list(files.iter("a"))
    # The mirror keeps no signatures.
    assert [one.get("href") for one in found] == [FILES[0].split("?")[0], FILES[1], FILES[5]]
    assert {one.get("rel") for one in found} == {"noopener noreferrer nofollow"}


def test_what_was_downloaded_says_where_it_is(mirror: Path) -> None:
    with closing(sqlite3.connect(mirror)) as connection:
        sql = "UPDATE attachments SET path = 'ab/abc.png' WHERE file_name = 'shot 0.png'"
        assert connection.execute(sql).rowcount == 2
        connection.commit()
    _, reply, note = by_class(tree(page(mirror, FIRST)), "files")
    kept = "shot 0.png at assets.usepylon.com, kept as ab/abc.png"
    assert [words(one) for one in reply] == [kept]
    assert [words(one) for one in note] == ["ledger 0.csv at assets.usepylon.com", kept]


def planted(path: Path, desk: Desk, api: Api, clock: FakeClock, *sources: str) -> None:
    """A mirror in which strangers wrote the same everywhere they can."""
    workspace, evil = desk.workspace, sources[0]
    account = workspace.add("accounts", name=evil, domains=[evil], tags=[evil])
    contact = workspace.add("contacts", name=evil, email=evil, account=account)
    agent = workspace.add("users", name=evil, email=evil)
    workspace.add("custom_fields", object_type="issue", slug=evil, label=evil)
    workspace.add("teams", name=evil, users=[agent])
    issue = workspace.open_issue(
        title=evil,
        body_html=evil,
        account=account,
        requester=contact,
        assignee=agent,
        source=evil,
        type=evil,
        tags=[evil],
        custom_fields={evil: evil, "priority": evil},
        link=evil,
        external_issues=[{"source": evil, "external_id": evil, "link": evil}],
    )
    for source in sources:
        workspace.reply(issue, html=source, author=contact, file_urls=[source])
        workspace.reply(issue, html=source, author_name=source, private=True)
    workspace.add_thread(issue, name=evil)
    workspace.rate(issue, 1, evil)
    workspace.open_issue(title=evil, body_html=evil, account=account)
    clock.sleep(DAY)
    sync(path, api, clock)


OURS = {"html", "head", "meta", "title", "link", "body", "nav", "main", "header", "section"} | {
    *("article", "aside", "dl", "dt", "dd", "time", "svg", "path", "h1", "h2", "h3", "form"),
    *("bdi", "label", "input", "select", "option", "button", "datalist", "details", "summary", "g"),
    *("rect", "line", "circle", "text", "desc"),
}
ATTRIBUTES = {
    *("href", "rel", "class", "id", "charset", "name", "content", "lang", "aria-label", "start"),
    "scope",
    *("aria-hidden", "focusable", "viewBox", "d", "datetime", "action", "method", "role", "type"),
    *("value", "selected", "list", "placeholder", "autocomplete", "width", "height", "rx", "x"),
    *("dir", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "text-anchor", "preserveAspectRatio"),
}


def assert_inert(answer: Any) -> None:
    """Nothing runs, nothing is loaded but our style, and nothing leads to other than pages."""
    assert {key: answer.headers[key] for key in HEADERS} == HEADERS
    found = tree(answer.text)
    tags = {re.sub(r"^\{.*\}", "", one.tag) for one in found.iter() if isinstance(one.tag, str)}
    assert tags <= OURS | TAGS, tags - OURS - TAGS
    for one in found.iter():
        assert set(one.attrib) <= ATTRIBUTES, (one.tag, one.attrib)
        href = one.get("href") or ""
        if one.tag == "link":
            assert href.startswith("/-/static-plugins/pylon-to-sqlite/pages.css?")
        elif one.tag == "form":
            assert (one.get("action") or "").startswith("/pylon/")
            assert one.get("method") == "get"
        elif href and not href.startswith(("https://", "http://")):
            assert re.match(r"(/$|/pylon\b|\?|#m-|#main|#facts|mailto:)", href), href
        elif href:
            assert "noreferrer" in (one.get("rel") or "")
    assert len(list(found.iter("link"))) == 1
    assert len(by_class(found, "note-label")) == len(by_class(found, "note"))


def test_what_strangers_wrote_is_inert_everywhere(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    """Each payload in messages and file names, some of them in every name there is."""
    planted(path, desk, api, clock, *(source for source in PAYLOADS.values()))
    conversation, overview = visit(path, "/pylon/-/conversation/5", "/pylon/-/pylon")
    assert conversation.status_code == overview.status_code == 200
    assert_inert(conversation)
    assert_inert(overview)
    assert len(by_class(tree(conversation.text), "message")) == 1 + 2 * len(PAYLOADS)


NAMES = ("script", "onerror", "svg", "base", "javascript", "form", "alt that ends", "escaping")


@pytest.mark.parametrize("name", NAMES)
def test_names_that_strangers_chose_are_inert(
    path: Path, desk: Desk, api: Api, clock: FakeClock, name: str
) -> None:
    planted(path, desk, api, clock, f"\"'>{PAYLOADS[name]}")
    wanted = ("/pylon/-/conversation/5", "/pylon/-/pylon", "/pylon/-/pylon?account=%22%3E%3Cb%3E")
    for answer in visit(path, *wanted):
        assert answer.status_code == 200
        assert_inert(answer)
    # Datasette's own pages show cells of ours.
    for answer in visit(path, "/pylon/issues", "/pylon/issue_messages"):
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text


def test_an_address_that_strangers_chose_is_inert(mirror: Path) -> None:
    for evil in ("<script>alert(1)</script>", "%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E", "1'"):
        (answer,) = visit(mirror, f"/pylon/-/conversation/{evil.replace('/', '~2F')}")
        assert answer.status_code == 404
        assert_inert(answer)
        (answer,) = visit(mirror, f"{FIRST}?message={evil}&page={evil}")
        assert answer.status_code == 200
        assert_inert(answer)


def test_what_would_cost_too_much_does_not_hang_the_page(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    for name, source in COSTLY.items():
        desk.workspace.reply(
            desk.issues[0], html=f"<p>It is {name}.</p>{source[:900_000]}", author=desk.contacts[0]
        )
    clock.sleep(DAY)
    sync(path, api, clock)
    (answer,) = visit(path, FIRST)
    assert_inert(answer)
    shown = by_class(tree(answer.text), "text")
    assert len(shown) == len(COSTLY)
    for name, one in zip(COSTLY, shown, strict=True):
        assert words(one).startswith(f"It is {name}.")


def test_lone_surrogates_in_json_break_no_page(mirror: Path) -> None:
    change(mirror, "UPDATE issue_messages SET file_urls = '[\"https://x.example/\\ud83d\"]'")
    change(mirror, "UPDATE issues SET tags = '[\"\\ud83d\", 7, null]'")
    change(mirror, "UPDATE custom_fields SET select_metadata = '[1'")
    text = page(mirror, FIRST)
    assert "\ufffd at x.example" in words(tree(text))


def test_values_that_nobody_expects_break_no_page(mirror: Path) -> None:
    for column in ("timestamp", "author_name", "message_html", "file_urls", "source"):
        change(mirror, f"UPDATE issue_messages SET {column} = ?", "{")
    for column in ("created_at", "tags", "state", "link", "resolution_time"):
        change(mirror, f"UPDATE issues SET {column} = ?", "[")
    (answer,) = visit(mirror, FIRST)
    assert answer.status_code == 200
    assert len(by_class(tree(answer.text), "message")) == 4
    for column in ("timestamp", "author_name", "message_html", "message_text", "file_urls"):
        change(mirror, f"UPDATE issue_messages SET {column} = NULL")
    (answer,) = visit(mirror, FIRST)
    assert answer.status_code == 200
    assert words(by_class(tree(answer.text), "removed")[0]) == "Without words."


@pytest.mark.parametrize("value", ["soon", float("inf"), b"\x00", -3, 1e300])
def test_spans_that_are_none_break_no_page(mirror: Path, value: object) -> None:
    change(mirror, "UPDATE issues SET first_response_seconds = ?, resolution_seconds = 60", value)
    shown = facts(page(mirror, FIRST))
    assert shown["Time to resolve"] == "1 min"
    assert ("First response" in shown) == (value in (-3, 1e300))
    page(mirror, "/pylon/-/pylon")


@pytest.mark.parametrize("options", ["5", "true", '"x"', '{"slug": "high"}', "[7, null]"])
def test_options_that_are_none_break_no_page(mirror: Path, options: str) -> None:
    change(
        mirror,
        "INSERT INTO custom_fields (id, object_type, slug, label, select_metadata)"
        " VALUES ('odd', 'issue', 'priority', 'Priority', ?)",
        f'{{"options": {options}}}',
    )
    assert facts(page(mirror, FIRST))["Priority"] == "high"


def test_a_removed_message_leaves_its_place_and_not_its_words(
    mirror: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    secret = desk.workspace.messages(desk.issues[0])[2]["id"]
    desk.workspace.delete_message(secret)
    clock.sleep(DAY)
    sync(mirror, api, clock)
    text = page(mirror, FIRST)
    shown = messages(text)
    assert [one["who"] for one in shown] == ["Zoë", "Ann", "Bo", "Helper"]
    assert shown[2]["words"] == (
        "A message was here. It is gone from Pylon, as a sync saw on 2026-07-03 00:00 UTC."
    )
    assert "late payer" not in text


def test_a_deleted_issue_is_said_to_be_gone(
    mirror: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    desk.workspace.delete_issue(desk.issues[0])
    clock.sleep(2 * DAY)
    sync(mirror, api, clock, reconcile=True)
    (answer,) = visit(mirror, FIRST)
    assert answer.status_code == 200
    assert "This issue is gone from Pylon" in answer.text
    assert dict(links(tree(answer.text)))["its row"] == f"/pylon/issues/{desk.issues[0]}"
    assert by_class(tree(answer.text), "message") == []
    for word in ("Question 0", "Because 0", "Quarry"):
        assert word not in answer.text


@pytest.mark.parametrize(
    "number", ["0", "99", "9" * 19, "9" * 30, "9" * 5_000, "-1", "1.0", "x", "٣", "a%00b"]
)
def test_no_such_issue(mirror: Path, number: str) -> None:
    (answer,) = visit(mirror, f"/pylon/-/conversation/{number}")
    assert answer.status_code == 404
    assert "There is no issue" in answer.text
    assert_inert(answer)


def test_an_issue_that_only_stands_in_is_none(mirror: Path) -> None:
    change(mirror, "UPDATE issues SET placeholder = 1 WHERE number = 1")
    (answer,) = visit(mirror, FIRST)
    assert answer.status_code == 404


def test_an_id_leads_to_the_number(mirror: Path, desk: Desk) -> None:
    by_id, padded = visit(
        mirror,
        f"/pylon/-/conversation/{desk.issues[2]}?page=2",
        f"/pylon/-/conversation/{'0' * 5_000}3",
    )
    assert (by_id.status_code, by_id.headers["location"]) == (302, "/pylon/-/conversation/3?page=2")
    assert (padded.status_code, padded.headers["location"]) == (302, "/pylon/-/conversation/3")


def test_numbers_and_ids_that_nobody_expects_lead_there(mirror: Path, desk: Desk) -> None:
    change(mirror, "UPDATE issues SET number = -5 WHERE number = 1")
    change(mirror, "UPDATE issues SET number = NULL WHERE number = 2")
    change(mirror, "PRAGMA foreign_keys = 0")
    change(mirror, "UPDATE issues SET id = 'a b/c~d.e%' WHERE number IS NULL")
    (by_id,) = visit(mirror, f"/pylon/-/conversation/{desk.issues[0]}")
    path = conversation_path(Datasette([str(mirror)]), "pylon", "a b/c~d.e%")
    negative, odd = visit(mirror, by_id.headers["location"], path)
    assert by_id.headers["location"] == "/pylon/-/conversation/-5"
    assert words(by_class(tree(negative.text), "number")[0]) == "Issue -5"
    assert words(by_class(tree(odd.text), "number")[0]) == "Issue a b/c~d.e%"


def test_thousands_of_messages_come_in_pages(mirror: Path, desk: Desk) -> None:
    with closing(sqlite3.connect(mirror)) as connection:
        connection.executemany(
            "INSERT INTO issue_messages (id, issue_id, timestamp, message_text, is_private)"
            " VALUES (?, ?, '2027-01-01T00:00:00Z', ?, 0)",
            [(f"more-{n}", desk.issues[0], f"Number {n}") for n in range(2500)],
        )
        connection.commit()
    first, second, last, beyond = (
        tree(answer.text)
        for answer in visit(
            mirror, FIRST, f"{FIRST}?page=2", f"{FIRST}?page=26", f"{FIRST}?page=99"
        )
    )
    assert len(by_class(first, "message")) == len(by_class(second, "message")) == PAGE
    assert words(by_class(second, "body")[0]) == "Number 96"
    assert words(by_class(last, "body")[-1]) == words(by_class(beyond, "body")[-1]) == "Number 2499"
    assert "page 1 of 26, 2,504 messages" in words(first)
    leads = dict(links(second))
    assert [leads[key] for key in ("first", "earlier", "later", "latest")] == [
        FIRST,
        *(f"{FIRST}?page={number}" for number in (1, 3, 26)),
    ]
    found = tree(page(mirror, f"{FIRST}?message=more-1000"))
    (marked,) = by_class(found, "marked")
    assert (marked.get("id"), words(by_class(marked, "body")[0])) == ("m-more-1000", "Number 1000")


DENIED: dict[str, dict[str, Any]] = {
    "the instance": {"allow": False},
    "the database": {"databases": {"pylon": {"allow": False}}},
    "issues": {"databases": {"pylon": {"tables": {"issues": {"allow": False}}}}},
    "messages": {"databases": {"pylon": {"tables": {"issue_messages": {"allow": False}}}}},
    "all but one": {"allow": {"id": "root"}},
}


@pytest.mark.parametrize("denied", DENIED)
def test_who_may_not_see_it_does_not(mirror: Path, desk: Desk, denied: str) -> None:
    wanted = [FIRST, f"/pylon/-/conversation/{desk.issues[0]}", "/pylon/-/conversation/99"]
    for answer in visit(mirror, *wanted, metadata=DENIED[denied]):
        assert answer.status_code == 403
        assert "Quarry" not in answer.text
        assert "Because" not in answer.text


def test_who_may_see_it_does(mirror: Path) -> None:
    (answer,) = visit(mirror, FIRST, metadata=DENIED["all but one"], actor={"id": "root"})
    assert answer.status_code == 200
    assert "Because 0." in answer.text


HIDDEN = {
    "accounts": ["Quarry"],
    "contacts": ["/pylon/contacts/"],
    "users": ["/pylon/users/"],
    "teams": ["First line"],
    "issue_custom_fields": ["Priority", "export"],
    "issue_threads": ["Internal notes"],
    "issue_csat_responses": ["Splendid"],
}


@pytest.mark.parametrize("table", HIDDEN)
def test_a_table_that_may_not_be_seen_is_not_told_from(
    mirror: Path, desk: Desk, api: Api, clock: FakeClock, table: str
) -> None:
    desk.workspace.rate(desk.issues[0], 5, "Splendid")
    clock.sleep(DAY)
    sync(mirror, api, clock)
    whole = page(mirror, FIRST)
    denied = {"databases": {"pylon": {"tables": {table: {"allow": False}}}}}
    text = page(mirror, FIRST, metadata=denied)
    for word in HIDDEN[table]:
        assert word.lower() in whole.lower()
        assert word.lower() not in text.lower()
    assert "Because 0." in text
