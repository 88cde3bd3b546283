"""Who is forgotten is nowhere in the file any more, and no later run brings them back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from fetching import fetch
from forgetful import Less, forget_it, found_in
from mirroring import ALL, DAY, errors, sync
from oracle import differences
from test_machine import check_full_text, data

from pylon_to_sqlite.folder import Folder
from pylon_to_sqlite.sandbox.api import Api

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
    for options in RUNS:
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
