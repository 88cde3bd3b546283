"""Plays one conversation of the sample: its words as messages, its deeds as changes of the issue.

Nothing is done at once: every deed is planned with its time, and the desk does all of them in
the order of their times, so that the workspace grows as it would in life.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from random import Random
from typing import Any

from ..workspace import Workspace
from .course import HOUR, MINUTE, NOTES, Course
from .letters import Letters
from .people import Case, Person, Staff, ticket
from .scripts import Step, filled, html, seconds

Deed = tuple[float, Callable[[], object]]

_PROMISED = {"urgent": (1, 8), "high": (4, 48), "medium": (8, 120), "low": (24, 240)}  # hours
_TRACKERS = {
    "linear": "https://linear.app/northwind/issue/{}",
    "jira": "https://northwind.atlassian.net/browse/{}",
    "github": "https://github.com/{}",
}
_RATINGS = (*[5] * 11, *[4] * 5, 3, 3, 2, 1)
_TICKETS = {"form": 0.95, "phone": 1.0, "manual": 1.0, "email": 0.3, "chat_widget": 0.1}


class Conversation:
    """One conversation, from the first message to wherever it stands now."""

    def __init__(
        self,
        case: Case,
        workspace: Workspace,
        staff: Staff,
        phrases: dict[str, Any],
        random: Random,
        now: float,
    ) -> None:
        self.case, self.workspace, self.staff = case, workspace, staff
        self.phrases, self.random, self.now = phrases, random, now
        self.letters = Letters(case, phrases, random)
        self.deeds: list[Deed] = []
        self.state, self.answered = "new", 0.0
        self.values = dict(case.values)

    def plan(self) -> list[Deed]:
        """All that happens in the conversation, each with its time."""
        course = Course(self.case, self.phrases, self.random, self.now)
        for number, (at, step) in enumerate(course):
            self.values["day"] = time.strftime("%A", time.gmtime(at))
            if not number:
                self._open(step)
            elif step.who in NOTES:
                self._note(step, at)
            elif step.who == "agent":
                self._answer(step, at)
            elif step.who in ("customer", "colleague", "bot"):
                self._hear(step, at)
            else:
                self._act(step, at)
        if self.state == "closed" and self.case.script.head.get("close") != "silent":
            self._rate(at + self.random.uniform(0.3, 30) * HOUR)
        return self.deeds

    # Messages

    def _open(self, step: Step) -> None:
        case = self.case
        first, resolved = (case.at + hours * HOUR for hours in _PROMISED[case.priority])
        opening = {
            "title": self._filled(case.script.title),
            "body_html": self.letters.from_customer(case.person, self._filled(step.text), case.at),
            "account": case.customer.id if case.customer else None,
            "requester": case.requester,
            "type": self._type(),
            "source": case.source,
            "assignee": case.agent.id if self.random.random() < 0.4 else None,
            "team": self.staff.teams[case.team][0],
            "tags": self._tags(),
            "custom_fields": self._custom_fields(),
            "attachment_urls": self._files(step),
            "first_response_breach_time": first,
            "resolution_breach_time": resolved,
            **self._origin(),
        }

        def opened() -> None:
            case.issue = self.workspace.open_issue(at=case.at, **opening)

        self.deeds.append((case.at, opened))
        self._active(case.at)
        if case.parent is not None:
            self._join(case.parent)

    def _answer(self, step: Step, at: float) -> None:
        case = self.case
        if not self.answered:
            taken = case.at + (at - case.at) * self.random.uniform(0.3, 0.95)
            self._change(taken, assignee=case.agent.id, first_response_breach_time="")
            self.answered = at
        elif at > case.agent.left:
            case.agent, case.peer = case.peer, self.staff.people["maren"]
            self._change(at, assignee=case.agent.id)
        body = self.letters.from_agent(case.agent, self._filled(step.text), at)
        self._reply(at, html=body, author=case.agent.id, file_urls=self._files(step))
        self._enter("waiting_on_customer", at, snoozed_until_time="")

    def _hear(self, step: Step, at: float) -> None:
        text, files = self._filled(step.text), self._files(step)
        if step.who == "bot":
            self._reply(at, html=html(text), author_name=self.phrases["bot"])
            if not self.answered:
                self._change(at, custom_fields={"answered_by_bot": "true"})
            return
        person = self._colleague() if step.who == "colleague" else self.case.person
        body = self.letters.from_customer(person, text, at)
        self._reply(at, html=body, author=person.id, file_urls=files)
        self._active(at)
        if self.answered:
            self._enter("waiting_on_you", at)

    def _note(self, step: Step, at: float) -> None:
        case, people = self.case, self.staff.people
        authors = {"note": case.agent, "peer": case.peer, "eng": self._engineer()}
        if step.who == "csm" and case.customer:
            authors["csm"] = people[case.customer.record["owner"]]
        author, body = authors[step.who], html(self._filled(step.text))
        if at > author.left:
            author = case.peer

        def noted() -> None:
            self.workspace.reply(
                case.issue, html=body, author=author.id, private=True, thread=case.thread, at=at
            )

        self.deeds.append((at, noted))

    # Deeds

    def _act(self, step: Step, at: float) -> None:
        if step.who == "close":
            causes, tags = self.phrases["root_causes"], self.case.script.listed("tags")
            known = [cause for tag in tags for cause in causes.get(tag, ())]
            fields = {"root_cause": self.random.choice(known)} if known else {}
            self._enter("closed", at, resolution_breach_time="", custom_fields=fields)
        elif step.who == "escalate":
            self._escalate(at)
        elif step.who == "fix":
            self._enter("fix_in_next_release", at)
        elif step.who == "snooze":
            until = at + seconds(step.words[0])
            self._enter("on_hold", at, snoozed_until_time=until)
        else:
            self._enter("on_hold", at)

    def _escalate(self, at: float) -> None:
        case = self.case
        tracker, name = ticket(case.script)
        if case.thread is None:
            case.thread = ""
            link = _TRACKERS[tracker].format(name.replace("#", "/issues/"))
            issue = {"source": tracker, "external_id": name, "link": link}

            def escalated() -> None:
                title = f"Escalation {name}"
                case.thread = self.workspace.add_thread(case.issue, name=title, at=at)

            self.deeds.append((at, escalated))
            self._change(at, external_issues=[issue])
        self._enter("waiting_on_engineering", at)

    def _join(self, parent: Case) -> None:
        at = max(self.case.at, parent.at) + self.random.uniform(4, 20) * MINUTE

        def joined() -> None:
            self.workspace.change_issue(self.case.issue, parent_issue_group=parent.issue, at=at)

        self.deeds.append((at, joined))

    def _rate(self, at: float) -> None:
        """Perhaps the customer answers the survey; those who waited long answer worse."""
        case, random = self.case, self.random
        if case.customer is None or case.requester != case.person.id or at >= self.now:
            return
        if random.random() > 0.42:
            return
        own = case.script.choices("csat")
        waited = (self.answered - case.at) / HOUR
        if waited > 14 and random.random() < 0.6:
            score, comment = random.choice((1, 1, 2, 2, 3)), ""
        elif own and random.random() < 0.6:
            number, _, comment = random.choice(own).partition(" ")
            score = int(number)
        else:
            score, comment = random.choice(_RATINGS), ""
        comment = comment or random.choice(self.phrases["comments"][str(score)])
        comment = self._filled(comment)
        self.deeds.append((at, lambda: self.workspace.rate(case.issue, score, comment, at=at)))

    # What they need

    def _enter(self, state: str, at: float, **fields: Any) -> None:
        self.state = state
        self._change(at, state=state, **fields)

    def _change(self, at: float, **fields: Any) -> None:
        case = self.case
        self.deeds.append((at, lambda: self.workspace.change_issue(case.issue, at=at, **fields)))

    def _reply(self, at: float, **message: Any) -> None:
        case = self.case
        self.deeds.append((at, lambda: self.workspace.reply(case.issue, at=at, **message)))

    def _active(self, at: float) -> None:
        if self.case.customer is not None and self.case.requester == self.case.person.id:
            self.case.customer.latest = max(self.case.customer.latest, at)

    def _filled(self, text: str) -> str:
        return filled(text, {**self.values, "agent_first": self.case.agent.call}, self.random)

    def _files(self, step: Step) -> list[str]:
        names = [self._filled(name) for name in step.files]
        return [f"https://assets.usepylon.com/{self._id()}/{self._id()}-{name}" for name in names]

    def _id(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def _colleague(self) -> Person:
        people = self.case.customer.people if self.case.customer else []
        named = self.case.values["colleague"]
        return next((person for person in people if person.name == named), self.case.person)

    def _engineer(self) -> Person:
        named = self.case.values["eng_first"]
        return next(person for person in self.staff.engineers if person.call == named)

    def _type(self) -> str:
        given = self.case.script.head.get("type")
        share = _TICKETS.get(self.case.source, 0.18)
        return given or ("ticket" if self.random.random() < share else "conversation")

    def _tags(self) -> list[str]:
        tags = self.case.script.listed("tags")
        if self.random.random() < 0.09 and self.case.customer:
            tags.append(self.random.choice(self.phrases["extra_tags"]))
        return tags if self.random.random() < 0.94 else []

    def _custom_fields(self) -> dict[str, str | list[str]]:
        areas = [area for area in self.case.script.listed("area") if area != "none"]
        fields: dict[str, str | list[str]] = {"priority": self.case.priority}
        if areas:
            fields["product_area"] = areas
        if "sources" in areas:
            fields["connector"] = self.case.values["source"]
        if "{run}" in self.case.script.body:
            fields["run_id"] = self.case.values["run"]
        return fields

    def _origin(self) -> dict[str, Any]:
        case = self.case
        if case.source == "chat_widget":
            page = self.random.choice(self.phrases["pages"])
            return {"chat_widget_info": {"page_url": f"https://app.rillway.example/{page}"}}
        if case.source == "slack":
            channel = case.customer.record.get("channel", "") if case.customer else ""
            channel = channel or "C02SUPPORT1"
            stamp = f"{case.at:.6f}"
            return {
                "slack": {"channel_id": channel, "message_ts": stamp, "workspace_id": "T02NORTHW1"}
            }
        return {}
