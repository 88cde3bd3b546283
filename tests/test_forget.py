"""Who is forgotten is nowhere in the file any more, and no later run brings them back."""

from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from desk import Desk, open_issue
from fetching import fetch
from forgetful import NOW, Less, forget_it, found_in
from mirroring import ALL, DAY, errors, rows, sync
from oracle import differences
from test_machine import check_full_text, data

from pylon_to_sqlite.folder import Folder
from pylon_to_sqlite.plan import Checkpoint
from pylon_to_sqlite.rows import rows_of
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import SandboxTransport
from pylon_to_sqlite.stale import Parent
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.streams import BY_NAME

MAIN, OTHER, SHARED = "zebedee@quill.example", "z.quill@home.example", "quill.kin@home.example"
TRACES = [b"zebedee", b"quill", b"kumquat", b"persimmon", b"15550177", b"zebra", b"rhubarb"]


@dataclass
class Somebody:
    """A contact, and what of theirs the tests ask for."""

    id: str
    issue: str
    message: str
    handed_over: str


@pytest.fixture
def zebedee(desk: Desk, clock: Any) -> Somebody:
    """Somebody who is named wherever somebody can be."""
    workspace, (zoe, *_) = desk.workspace, desk.contacts
    them = workspace.add(
        "contacts",
        name="Zebedee Quill",
        email=MAIN,
        emails=[MAIN, OTHER, SHARED],
        account=desk.accounts[0],
        primary_phone_number="+15550177",
        phone_numbers=["+15550177"],
        custom_fields={"hobby": "rhubarb"},
    )
    issue = workspace.open_issue(
        title="Kumquat trouble",
        body_html="<p>My kumquats wilted.</p>",
        account=desk.accounts[1],
        requester=them,
        source="phone",
        attachment_urls=[workspace.add_file("zebra 1.txt", b"rhubarb one")],
        tags=["kumquat"],
        custom_fields={"priority": "low", "mood": "kumquat"},
    )
    workspace.reply(issue, html="<p>Dear kumquat friend.</p>", author=desk.agents[0])
    workspace.reply(issue, html="<p>A kumquat note.</p>", author=desk.agents[1], private=True)
    workspace.add_voice_call(issue, from_phone_number="+15550177")
    workspace.rate(issue, 2, "Kumquats still wilt")
    theirs = desk.issues[0]
    secret = workspace.add_file("zebra 2.txt", b"rhubarb two")
    message = workspace.reply(
        theirs, html="<p>Persimmons too.</p>", author=them, file_urls=[secret]
    )
    workspace.change_issue(
        theirs,
        attachment_urls=[secret, workspace.add_file("plain.txt", b"plain")],
        parent_issue_group=issue,
        custom_fields={"wrote": f"cc {OTHER}"},
    )
    workspace.add_follower(theirs, them, touch=False)
    workspace.reply(
        theirs,
        html=f'<p>Ask {MAIN.title()} or <a href="mailto:{MAIN.replace("@", "%40")}">him</a>.</p>',
        author=desk.agents[0],
    )
    workspace.rate(desk.issues[1], 4, f"Thanks to {MAIN}!")
    handed_over = workspace.open_issue(
        title="Handed over", body_html="<p>Persimmon pie.</p>", requester=them
    )
    workspace.change_issue(handed_over, requester=zoe)
    workspace.change("accounts", desk.accounts[1], custom_fields={"boss": MAIN})
    workspace.change("contacts", zoe, emails=["zoe@a.example", SHARED])
    survey = workspace.add("surveys", name="Again")
    workspace.add_survey_response(survey, account_id=desk.accounts[0], contact_id=them)
    task = workspace.add("tasks", title="Call back", assignee=them)
    workspace.add_task_comment(task, body_html="<p>Persimmon.</p>", author=them)
    workspace.add_task_comment(task, body_html="<p>Done.</p>", author=desk.agents[0])
    workspace.add("call_recordings", title="Kumquat call", participant_emails=[MAIN, "a@b.example"])
    workspace.add("audit_logs", actor_contact_id=them, attributes={"what": "persimmon"})
    workspace.add("audit_logs", object_type="contact", object_id=them, attributes={"n": "kumquat"})
    workspace.add_custom_object(
        "companies",
        name="A company",
        relations=[
            {"object_type": "contact", "object_id": them},
            {"object_type": "contact", "object_id": zoe},
            {"object_type": "issue", "object_id": issue},
        ],
    )
    clock.sleep(DAY)
    return Somebody(them, issue, message, handed_over)


def without(desk: Desk, them: Somebody) -> Less:
    return Less(desk.workspace, {"contacts": {them.id}}, {MAIN, OTHER, SHARED})


RUNS: list[dict[str, Any]] = [{}, {"full": True}, {"reconcile": True}, {"verify": 30}]


@pytest.mark.parametrize("who", ["address", "other address", "id"])
def test_a_contact_is_gone_with_all_of_theirs_and_stays_away(
    path: Path, desk: Desk, api: Api, clock: Any, zebedee: Somebody, who: str
) -> None:
    fetch(path, api, clock, **ALL)
    assert found_in(path, TRACES) == TRACES
    named = {"address": MAIN.upper(), "other address": OTHER, "id": zebedee.id}
    done = forget_it(path, "contact", named[who], folder=Folder(path.parent / "files"))
    assert (done.unpurged, done.files, done.plan.files) == ("", 0, 2)
    assert found_in(path, TRACES) == []
    assert differences(path, desk.workspace, without(desk, zebedee)) == []
    check_full_text(path)
    before = data(path)
    for options in RUNS if who == "address" else RUNS[2:3]:
        clock.sleep(DAY / 2)
        asked = api.count(f"GET /(issues|contacts)/({zebedee.issue}|{zebedee.id}).*")
        outcome = sync(path, api, clock, **ALL, **options)
        assert errors(outcome) == {}
        assert vars(outcome.counts) == {"new": 0, "changed": 0, "gone": 0}, options
        found = outcome.compared
        assert (found.missing, found.changed, found.gone, found.error) == (0, 0, 0, None)
        assert api.count(f"GET /(issues|contacts)/({zebedee.issue}|{zebedee.id}).*") == asked
        assert found_in(path, TRACES) == [], options
        assert data(path) == before, options
    assert differences(path, desk.workspace, without(desk, zebedee)) == []


@pytest.mark.parametrize("options", [{}, {"full": True, "reconcile": True}], ids=str)
def test_what_comes_later_is_kept_out_too(
    path: Path, desk: Desk, api: Api, clock: Any, zebedee: Somebody, options: dict[str, Any]
) -> None:
    workspace, (zoe, *_), (ann, *_) = desk.workspace, desk.contacts, desk.agents
    sync(path, api, clock, **ALL)
    forget_it(path, "contact", zebedee.id)
    asked = workspace.open_issue(
        title="More kumquats", body_html="<p>Kumquat jam?</p>", requester=zebedee.id
    )
    workspace.reply(asked, html="<p>Kumquat jam.</p>", author=ann)
    opened = workspace.open_issue(
        title="Another thing",
        body_html="<p>Persimmon seeds.</p>",
        requester=zebedee.id,
        attachment_urls=[workspace.add_file("zebra 3.txt", b"3")],
    )
    workspace.change_issue(opened, requester=zoe, title="Of Zoë's")
    zebra = workspace.add_file("zebra 4.txt", b"4")
    workspace.reply(desk.issues[1], html="<p>Persimmon.</p>", author=zebedee.id, file_urls=[zebra])
    workspace.change_issue(desk.issues[1], attachment_urls=[zebra])
    workspace.reply(desk.issues[1], html=f"<p>Is {MAIN} well?</p>", author=ann)
    workspace.change_issue(desk.issues[2], title=f"For {OTHER}")
    workspace.change("contacts", zebedee.id, email="new.zebedee@quill.example", name="Zebedee II")
    workspace.reply(desk.issues[3], html="<p>He is new.zebedee@quill.example</p>", author=ann)
    again = workspace.add("contacts", name="Z. Quill", email=OTHER, emails=[OTHER, "z@quill.one"])
    workspace.open_issue(title="Kumquat", body_html="<p>Kumquat.</p>", requester=again)
    workspace.reply(desk.issues[3], html="<p>Persimmon.</p>", author=again)
    survey = workspace.records("surveys")[0]["id"]
    workspace.add_survey_response(survey, contact_id=zebedee.id)
    workspace.add("call_recordings", title="Kumquat", participant_emails=[OTHER])
    workspace.add("audit_logs", actor_contact_id=again, attributes={"n": "kumquat"})
    task = workspace.add("tasks", title="Ring", assignee=zebedee.id)
    workspace.add_task_comment(task, body_html="<p>Persimmon.</p>", author=zebedee.id)
    clock.sleep(2 * DAY)
    outcome = sync(path, api, clock, **ALL, **options)
    assert errors(outcome) == {}
    less = without(desk, zebedee)
    less.gone["contacts"].add(again)
    less.addresses |= {"new.zebedee@quill.example", "z@quill.one"}
    assert found_in(path, TRACES) == []
    assert differences(path, workspace, less) == []
    check_full_text(path)
    before = data(path)
    clock.sleep(DAY / 2)
    outcome = sync(path, api, clock, **ALL, reconcile=True)
    assert (vars(outcome.counts), outcome.compared.missing) == (
        {"new": 0, "changed": 0, "gone": 0},
        0,
    )
    assert data(path) == before


def test_what_is_here_goes_when_it_becomes_theirs(
    path: Path, desk: Desk, api: Api, clock: Any, zebedee: Somebody
) -> None:
    """An issue whose requester they become is theirs as it would be had it been so before."""
    sync(path, api, clock, **ALL)
    forget_it(path, "contact", MAIN)
    issue = desk.issues[3]
    assert rows(path, "SELECT 1 FROM issue_messages WHERE issue_id = ?", [issue])
    desk.workspace.change_issue(issue, requester=zebedee.id)
    clock.sleep(DAY)
    outcome = sync(path, api, clock, **ALL)
    assert (errors(outcome), outcome.unpurged) == ({}, "")
    assert rows(path, "SELECT 1 FROM issue_messages WHERE issue_id = ?", [issue]) == []
    assert differences(path, desk.workspace, without(desk, zebedee)) == []
    desk.workspace.change_issue(issue, requester=desk.contacts[0])
    clock.sleep(DAY)
    sync(path, api, clock, **ALL, reconcile=True)
    # What was once kept out stays out.
    less = without(desk, zebedee)
    less.gone["issues"] = {issue}
    assert differences(path, desk.workspace, less) == []


def test_an_issue_is_gone_with_all_of_its_own_and_stays_away(
    path: Path, desk: Desk, api: Api, clock: Any, zebedee: Somebody
) -> None:
    fetch(path, api, clock, **ALL)
    (number,) = rows(path, "SELECT number FROM issues WHERE id = ?", [zebedee.issue])
    done = forget_it(path, "issue", f"#{number['number']}", folder=Folder(path.parent / "files"))
    assert (done.plan.rows["issues"], done.plan.files, done.plan.named) == (1, 1, [])
    less = Less(desk.workspace, {"issues": {zebedee.issue}})
    assert differences(path, desk.workspace, less) == []
    assert found_in(path, [b"wilt", b"kumquat trouble", b"kumquat friend", b"zebra 1"]) == []
    # Who asked is somebody else's matter.
    assert found_in(path, [b"persimmon", MAIN.encode()]) == [b"persimmon", MAIN.encode()]
    desk.workspace.reply(zebedee.issue, html="<p>It wilts.</p>", author=zebedee.id)
    # Its words would come as those of another.
    desk.workspace.merge_issues(desk.issues[1], zebedee.issue)
    clock.sleep(2 * DAY)
    assert errors(sync(path, api, clock, **ALL, reconcile=True)) == {}
    assert found_in(path, [b"wilted", b"kumquat friend", b"kumquat note"]) == []
    # But for what came after it was forgotten, and was never seen in it.
    assert found_in(path, [b"it wilts"]) == [b"it wilts"]


def test_nothing_tells_of_an_issue_that_is_forgotten_where_notes_are_left_out(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """Nor is that anything which would be wrong with the file."""
    clock.sleep(DAY)
    sync(path, api, clock, public_only=True)
    forget_it(path, "issue", desk.issues[0])
    told = [row["issue"] for row in rows(path, "SELECT issue FROM _pylon_bodies")]
    assert told
    assert desk.issues[0] not in told


def test_an_account_is_gone_with_all_of_its_own_and_stays_away(
    path: Path, desk: Desk, api: Api, clock: Any, zebedee: Somebody
) -> None:
    workspace, account = desk.workspace, desk.accounts[0]
    sync(path, api, clock, **ALL)
    theirs = [one for one in workspace.records("contacts") if one["account"]["id"] == account]
    done = forget_it(path, "account", "quarry")
    assert done.plan.rows["contacts"] == len(theirs) == 3
    less = Less(workspace, {"accounts": {account}})
    less.addresses = {address for one in theirs for address in one["emails"]} | {SHARED}
    assert differences(path, workspace, less) == []
    assert found_in(path, [MAIN.encode(), b"quarry"]) == []
    newcomer = workspace.add("contacts", name="Newcomer", account=account)
    email = next(one["email"] for one in workspace.records("contacts") if one["id"] == newcomer)
    workspace.open_issue(title="Their words", body_html="<p>Hi.</p>", requester=newcomer)
    workspace.reply(desk.issues[1], html=f"<p>From {email}</p>", author=desk.agents[0])
    project = workspace.add("projects", name="Of theirs", account=account)
    milestone = workspace.add("milestones", name="Of theirs", project=project)
    task = workspace.add("tasks", title="Of theirs", milestone=milestone)
    workspace.add("tasks", title="Part of theirs", parent_task_id=task)
    workspace.add_relationship(desk.accounts[1], account)
    workspace.add("call_recordings", title="With them", account_id=account)
    workspace.add("feature_requests", title="Wish", account_ids=[account, desk.accounts[1]])
    workspace.open_issue(
        title="Of theirs too", body_html="<p>Hi.</p>", account=account, requester=desk.agents[0]
    )
    clock.sleep(2 * DAY)
    assert errors(sync(path, api, clock, **ALL, reconcile=True)) == {}
    less.addresses.add(email)
    assert differences(path, workspace, less) == []
    assert found_in(path, [b"of theirs", b"their words", b"with them", b"newcomer"]) == []
    before = data(path)
    clock.sleep(DAY)
    outcome = sync(path, api, clock, **ALL, full=True)
    assert (errors(outcome), data(path) == before) == ({}, True)


def test_an_address_that_no_contact_has_is_forgotten_alone(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    kin = "kin@elsewhere.example"
    desk.workspace.reply(desk.issues[0], html=f"<p>{kin} asks too.</p>", author=desk.agents[0])
    clock.sleep(DAY)
    sync(path, api, clock, **ALL)
    done = forget_it(path, "contact", kin)
    assert (done.plan.rows, done.plan.replaced) == ({}, {"issue_messages": 2})
    them = desk.workspace.add("contacts", name="Kin", email=kin)
    issue = open_issue(desk, 5)
    desk.workspace.change_issue(issue, requester=them, title=f"Is {kin} there?")
    clock.sleep(DAY)
    sync(path, api, clock, **ALL)
    assert found_in(path, [kin.encode()]) == []
    assert differences(path, desk.workspace, Less(desk.workspace, {}, {kin})) == []


WRITTEN = {
    "plain": "<p>Quincy.Ann@Hazelnut.example</p>",
    "in a link": '<a href="mailto:quincy.ann%40hazelnut.example">m</a>',
    "in a link of a link": '<a href="https://t.example/?u=https%3A%2F%2Fx.example%3Fm%3D'
    'quincy.ann%2540hazelnut.example">m</a>',
    "split by markup": "<p>quincy.ann@<b>hazelnut</b>.example</p>",
    "dot as entity": "<p>quincy.ann@hazelnut&#46;example</p>",
    "letter as entity": "<p>&#x71;uincy.ann@hazelnut.example</p>",
    "fullwidth": "<p>quincy.ann\uff20hazelnut.example</p>",
    "soft hyphen": "<p>quincy.ann@hazel\u00adnut.example</p>",
    "soft hyphen as entity": "<p>quincy.ann@hazel&shy;nut.example</p>",
    "escaped for JSON": '<pre>{"to":"quincy.ann\\u0040hazelnut.example"}</pre>',
}


@pytest.mark.parametrize("html", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("is_contact", [True, False], ids=["contact", "nobody"])
def test_however_their_address_is_written_it_is_gone_and_stays_away(
    path: Path, desk: Desk, api: Api, clock: Any, html: str, is_contact: bool
) -> None:
    workspace, (ann, *_), address = desk.workspace, desk.agents, "quincy.ann@hazelnut.example"
    if is_contact:
        workspace.add("contacts", name="Q", email=address)

    def write(issue: str) -> None:
        workspace.reply(issue, html=f"<p>Before</p>{html}", author=ann)
        workspace.change_issue(issue, custom_fields={"wrote": html}, body_html=html)
        clock.sleep(DAY)

    traces = [b"uincy", b"hazel"]
    write(desk.issues[0])
    sync(path, api, clock)
    assert found_in(path, traces) == traces
    forget_it(path, "contact", address)
    assert found_in(path, traces) == []
    before = data(path)
    clock.sleep(DAY)
    outcome = sync(path, api, clock, full=True)
    assert (errors(outcome), vars(outcome.counts)) == ({}, {"new": 0, "changed": 0, "gone": 0})
    assert (found_in(path, traces), data(path) == before) == ([], True)
    write(desk.issues[1])
    sync(path, api, clock)
    assert found_in(path, traces) == []
    (said,) = rows(
        path,
        "SELECT message_html FROM issue_messages WHERE issue_id = ? AND message_html"
        " LIKE '%[forgotten]%'",
        [desk.issues[1]],
    )
    assert "Before" in said["message_html"]


def test_whose_main_address_is_the_same_is_the_same_person_and_nobody_else_is(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """Not who shares an address beside the main one, nor a member of the team."""
    workspace, (zoe, *_), (ann, *_) = desk.workspace, desk.contacts, desk.agents
    people = [*workspace.records("contacts"), *workspace.records("users")]
    of = {one["id"]: str(one["email"]) for one in people}
    them = workspace.add("contacts", name="Z", email=MAIN, emails=[MAIN, of[zoe], of[ann], OTHER])
    twin = workspace.add("contacts", name="Twin", email=MAIN.upper(), emails=[])
    odd = [workspace.add("contacts", name="Odd", email="none", emails=[]) for _ in range(2)]
    workspace.reply(desk.issues[0], html=f"<p>{of[zoe]}, {of[ann]}, {OTHER}</p>", author=ann)
    workspace.reply(desk.issues[0], html="<p>Twin words.</p>", author=twin)
    clock.sleep(DAY)
    sync(path, api, clock, **ALL)
    forget_it(path, "contact", them)
    less = Less(workspace, {"contacts": {them, twin}}, {MAIN, OTHER})
    assert differences(path, workspace, less) == []
    forget_it(path, "contact", odd[0])
    less.gone["contacts"].add(odd[0])
    for _ in range(2):
        assert differences(path, workspace, less) == []
        clock.sleep(DAY)
        sync(path, api, clock, **ALL, full=True)


def test_what_was_sent_from_their_address_is_theirs_though_nobody_knows_the_author(
    path: Path,
) -> None:
    issues, messages = BY_NAME["issues"], BY_NAME["issue_messages"]

    def sent(key: str, sender: str, **author: Any) -> dict[str, Any]:
        info = {"from_email": sender, "to_emails": [MAIN]}
        return {"id": key, "message_html": f"<p>{key}</p>", "email_info": info, "author": author}

    batch = [
        sent("theirs", f"Z. Quill <{MAIN}>", name="Z. Quill"),
        sent("another", OTHER, name="Z. Quill"),
        sent("quoted", f"'{MAIN}' via a list <list@b.example>", name="Z. Quill"),
        sent("ours", MAIN, user={"id": "u1"}),
    ]

    def write() -> list[str]:
        with closing(Store(str(path))) as store:
            store.prepare(NOW, organization_id="o")
            store.commit(issues, [rows_of(issues, {"id": "i1"})], Checkpoint(), NOW)
            given = {"issue_id": "i1"}
            found = [rows_of(messages, one, given) for one in batch]
            store.commit_children(messages, Parent("i1", NOW), found, NOW, NOW)
        return [row["id"] for row in rows(path, "SELECT id FROM issue_messages ORDER BY id")]

    assert write() == ["another", "ours", "quoted", "theirs"]
    assert forget_it(path, "contact", MAIN).plan.rows == {"issue_messages": 2}
    assert write() == ["another", "ours"]
    batch.append(sent("later", MAIN.title(), name="Z. Quill"))
    assert write() == ["another", "ours"]
    assert found_in(path, [MAIN.encode()]) == []


def test_a_record_that_is_looked_up_may_turn_out_to_be_forgotten(path: Path) -> None:
    """Such as the account that another was merged into: it is not asked for again."""
    accounts = BY_NAME["accounts"]
    with closing(Store(str(path))) as store:
        store.prepare(NOW)
        with store.transactions.one():
            store.forgotten.forget({"accounts": ["a1"]}, "a1", NOW)
        counts = store.commit_one(accounts, rows_of(accounts, {"id": "a1", "name": "Quarry"}), NOW)
        assert vars(counts) == {"new": 0, "changed": 0, "gone": 0}
        assert store.unlisted(accounts, "9999") == []
    assert rows(path, "SELECT * FROM accounts") == []


def test_what_was_not_forgotten_after_all_is_written(path: Path) -> None:
    issues = BY_NAME["issues"]
    issue = rows_of(issues, {"id": "i1", "title": f"Is {MAIN} well?"})
    with closing(Store(str(path))) as store:
        store.prepare(NOW)
        with store.transactions.one():
            store.forgotten.forget({"issues": ["i9"]}, "i9", NOW)
        with suppress(KeyboardInterrupt), store.transactions.one():
            store.forgotten.forget({}, "x", NOW, {MAIN, OTHER})
            assert store.forgotten.addresses().known
            raise KeyboardInterrupt
        store.commit(issues, [issue], Checkpoint(), NOW)
    (row,) = rows(path, "SELECT title FROM issues")
    assert row["title"] == f"Is {MAIN} well?"


@pytest.mark.parametrize("merged_first", [True, False])
def test_their_calls_go_that_came_with_a_merge_into_an_issue_of_somebody_else(
    path: Path, desk: Desk, api: Api, clock: Any, merged_first: bool
) -> None:
    workspace = desk.workspace
    them = workspace.add("contacts", name="Caller", account=desk.accounts[0])
    issue = workspace.open_issue(
        title="Ring", body_html="<p>Ring.</p>", requester=them, source="phone"
    )
    said = [{"id": "r", "transcript_segments": [{"speaker": "caller", "text": "kumquat"}]}]
    workspace.add_voice_call(issue, recordings=said, touch=False)
    clock.sleep(DAY)
    sync(path, api, clock, **ALL)
    before = rows(path, "SELECT id FROM issue_voice_calls ORDER BY id")

    def merge() -> None:
        workspace.merge_issues(desk.issues[1], issue)
        for _ in range(2):
            clock.sleep(DAY)
            sync(path, api, clock, reconcile=True, **ALL)

    if merged_first:
        merge()
        assert rows(path, "SELECT id FROM issue_voice_calls ORDER BY id") == before
        assert found_in(path, [b"kumquat"]) == [b"kumquat"]
    forget_it(path, "contact", them)
    if not merged_first:
        merge()
    assert found_in(path, [b"kumquat"]) == []
    assert len(rows(path, "SELECT id FROM issue_voice_calls")) == len(before) - 1
    clock.sleep(DAY)
    sync(path, api, clock, full=True, **ALL)
    assert found_in(path, [b"kumquat"]) == []


def test_what_pylon_says_of_a_fault_brings_no_address_back(
    path: Path, zebedee: Somebody, api: Api, clock: Any
) -> None:
    class Telling(SandboxTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/tags":
                said = f"{MAIN.upper()} ({MAIN.replace('@', '%2540')}) is odd"
                return httpx.Response(400, json={"errors": [said]})
            return super().handle_request(request)

    sync(path, api, clock)
    forget_it(path, "contact", MAIN)
    clock.sleep(DAY)
    told = errors(sync(path, api, clock, transport=Telling(api)))
    assert told["tags"].endswith("[forgotten] ([forgotten]) is odd")
    assert found_in(path, [b"zebedee"]) == []
