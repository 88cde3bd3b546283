"""What lies around the conversations of the sample: calls, surveys, projects, wishes and records.

Their words are in `words/around.json`, where `days` says how long ago something happened.
"""

from __future__ import annotations

from random import Random
from typing import Any

from ..times import millis, written
from ..workspace import Workspace
from .office import custom_fields
from .people import Customer, Staff
from .scripts import data, html

_DAY, _HOUR, _MINUTE = 86_400, 3600, 60
_TEMPLATE = "0b6c5a8e-7f3d-4b53-9d0e-5d1f2c0a9e11"
_FOLLOWED = 12


class Surroundings:
    """Everything but the conversations. It comes last, and moves nothing that is there already."""

    def __init__(
        self,
        workspace: Workspace,
        staff: Staff,
        customers: list[Customer],
        random: Random,
        now: float,
    ) -> None:
        self.workspace, self.staff, self.random, self.now = workspace, staff, random, now
        self.customers = {customer.record["name"]: customer for customer in customers}
        self.words: dict[str, Any] = data("around.json")

    def fill(self) -> None:
        """Add all of it."""
        custom_fields(self.workspace, self.words["custom_fields"], self._ago(180))
        self._collections()
        self._calls()
        self._surveys()
        self._macros()
        self._training_data()
        for project in self.words["projects"]:
            self._project(project)
        for task in self.words["loose_tasks"]:
            self._task(task, self._ago(task["days"]), account=self._account(task["account"]))
        self._wishes()
        self._records()
        self._followers()
        self._voice_calls()

    def _ago(self, days: float) -> float:
        return self.now - days * _DAY

    def _account(self, name: str) -> str | None:
        return self.customers[name].id if name else None

    def _user(self, name: str) -> str:
        return self.staff.people[name].id

    def _email(self, person: str) -> str:
        return self.workspace.book.people[person].email

    def _collections(self) -> None:
        bases = {base.fields["slug"]: base.key for base in self.workspace.listed("knowledge_bases")}
        places: dict[str, str] = {}
        for base, collections in self.words["collections"].items():
            for one in collections:
                visible = {"visibility": one.get("visibility", "public")}
                places[one["about"]] = self.workspace.add_collection(
                    bases[base],
                    title=one["title"],
                    icon=one["icon"],
                    description=one["description"],
                    parent_collection_id=places.get(one.get("below", ""), ""),
                    visibility_config={"ai_agent_access": "inherit", **visible},
                    at=self._ago(690),
                )
        for article in self.workspace.listed("articles"):
            place = places.get(article.fields["tags"][0]["value"], "")
            # As it was made: its last_edited_at stays.
            self.workspace.change("articles", article.key, at=0, collection_id=place)

    def _calls(self) -> None:
        for n, call in enumerate(self.words["calls"]):
            customer = self.customers[call["account"]]
            began = self._ago(call["days"]) // _HOUR * _HOUR - _HOUR
            guests = self.random.sample(customer.people, min(2, len(customer.people)))
            there = [*(guest.id for guest in guests), self._user(customer.record["owner"])]
            number = self.random.randrange(10**9)
            key = self.workspace.add(
                "call_recordings",
                title=f"{call['account']}: {call['title']}",
                account_id=customer.id,
                source=call["source"],
                external_id=str(number),
                url=f"https://calls.northwind.example/{call['source']}/{number}",
                start_time=began,
                end_time=began + call["minutes"] * _MINUTE,
                duration_ms=call["minutes"] * _MINUTE * 1000,
                participant_emails=[self._email(person) for person in there],
                calendar_event_id=f"event-{number}" if n % 2 == 0 else "",
                summary="",
                at=began + call["minutes"] * _MINUTE,
            )
            if call["summary"]:
                told = {"summary": call["summary"], "custom_fields": {"mood": call["mood"]}}
                later = began + (call["minutes"] + 25) * _MINUTE
                self.workspace.change("call_recordings", key, at=later, **told)

    def _surveys(self) -> None:
        for survey in self.words["surveys"]:
            key = self.workspace.add(
                "surveys", name=survey["name"], type=survey["type"], at=self._ago(survey["days"])
            )
            for days, name, score, comment in survey["answers"]:
                customer = self.customers[name]
                said = [
                    ("score", survey["score"], str(score)),
                    ("comment", survey["comment"], comment),
                ]
                answers = [
                    {"question_type": kind, "prompt": prompt, "value": value}
                    for kind, prompt, value in said
                    if prompt
                ]
                self.workspace.add_survey_response(
                    key,
                    account_id=customer.id,
                    contact_id=self.random.choice(customer.people).id,
                    answers=answers,
                    at=self._ago(days) + self.random.uniform(0, _HOUR),
                )

    def _macros(self) -> None:
        for title, macros in self.words["macros"].items():
            group = self.workspace.add("macro_groups", title=title, at=self._ago(500))
            for macro in macros:
                teams = [self.staff.teams[macro["team"]][0]] if "team" in macro else []
                seen = {"type": "teams" if teams else "everyone", "team_ids": teams, "user_ids": []}
                self.workspace.add(
                    "macros",
                    name=macro["name"],
                    macro_group_id=group,
                    text_type=macro["text_type"],
                    text_html=html(macro["text"]),
                    actions=[{"type": kind} for kind in macro["actions"]],
                    visibility=seen,
                    at=self._ago(self.random.uniform(60, 480)),
                )

    def _training_data(self) -> None:
        scraped = {
            "status": "completed",
            "last_scraped_at": written(millis(self._ago(0.3))),
        }
        for one in self.words["training_data"]:
            pages = dict(zip(("pages_scraped", "total_pages"), one.get("pages", ()), strict=False))
            documents = [
                {
                    "id": self.workspace.new_id(),
                    "external_id": "",
                    "file_name": name,
                    "file_size": size,
                    "file_type": kind,
                    "s3_key": f"training-data/{name}",
                }
                for name, size, kind in one.get("files", ())
            ]
            self.workspace.add(
                "training_data",
                name=one["name"],
                type=one["type"],
                visibility=one["visibility"],
                documents=documents,
                scrape_status={**scraped, **pages} if pages else None,
                at=self._ago(one["days"]),
            )

    def _project(self, words: dict[str, Any]) -> None:
        began, account = self._ago(words["days"]), self._account(words["account"])
        fields = {"go_live": written(millis(began + words["length"] * _DAY))[:10]}
        project = self.workspace.add(
            "projects",
            name=words["name"],
            account=account,
            owner_id=self._user(words["owner"]),
            description_html=html(words["description"]),
            status=words["status"],
            start_date=began // _DAY * _DAY,
            end_date=(began + words["length"] * _DAY) // _DAY * _DAY,
            project_template=_TEMPLATE if "template" in words else None,
            custom_fields={**fields, "pipelines": words["pipelines"] or None},
            at=began,
        )
        for words_of_it in words["milestones"]:
            due = (self._ago(words_of_it["days"]) // _DAY + 1) * _DAY
            milestone = self.workspace.add(
                "milestones",
                name=words_of_it["name"],
                project=project,
                account=account,
                due_date=due,
                at=began + _HOUR,
            )
            belongs = {"account": account, "project": project, "milestone": milestone}
            for task in words_of_it["tasks"]:
                self._task(task, began + 2 * _HOUR, due_date=due, **belongs)
        if "archived" in words:
            at = self._ago(words["archived"])
            self.workspace.change("projects", project, at=at, is_archived=True, archived_at=at)

    def _task(self, words: dict[str, Any], began: float, **fields: Any) -> None:
        customer = next((c for c in self.customers.values() if c.id == fields["account"]), None)
        theirs = customer.people[0].id if customer else ""
        assignee = theirs if words["by"] == "customer" else self._user(words["by"])
        usual = {"due_date": "", "body_html": "", **fields}
        task = self.workspace.add(
            "tasks", title=words["title"], assignee=assignee, status="not_started",
            custom_fields={"effort": words["effort"]}, at=began, **usual,
        )  # fmt: skip
        for title in words.get("subtasks", ()):
            self.workspace.add(
                "tasks", title=title, assignee=assignee, status=words["status"], at=began,
                parent_task_id=task, **usual,
            )  # fmt: skip
        at = began
        for n, text in enumerate(words.get("comments", ())):
            at = began + (n + 1) * self.random.uniform(0.1, 0.3) * (self.now - began)
            own = self.staff.people["mateo" if n % 2 else "taiwo"].id
            author = own if n % 2 or not theirs else theirs
            internal = author == own and not n % 2
            self.workspace.add_task_comment(
                task, at=at, body_html=html(text), author=author, is_internal=internal
            )
        if words["status"] != "not_started":
            later = at + self.random.uniform(0.1, 0.3) * (self.now - at)
            self.workspace.change("tasks", task, at=later, status=words["status"])

    def _wishes(self) -> None:
        for wish in self.words["feature_requests"]:
            self.workspace.add(
                "feature_requests",
                title=wish["title"],
                description=wish["description"],
                request_status=wish["status"],
                account_ids=[self._account(name) for name in wish["accounts"]],
                portal_visible_to_account_ids=[self._account(name) for name in wish["shown"]],
                evidence_count=len(wish["accounts"]) + self.random.randrange(3),
                at=self._ago(wish["days"]),
            )

    def _records(self) -> None:
        for tie in self.words["relationships"]:
            ends = self.customers[tie["account"]].id, self.customers[tie["parent"]].id
            self.workspace.add_relationship(
                *ends, relationship_type=tie["type"], at=self._ago(tie["days"])
            )
        for kind, objects in self.words["custom_objects"].items():
            for one in objects:
                owner = {"object_type": "account", "object_id": self._account(one["account"])}
                self.workspace.add_custom_object(
                    kind,
                    name=one["name"],
                    custom_fields=one["fields"],
                    relations=[owner],
                    at=self._ago(one["days"]),
                )
        for entry in self.words["audit_logs"]:
            by = self._user(entry["by"]) if entry["by"] else ""
            self.workspace.add(
                "audit_logs",
                action=entry["action"],
                actor_user_id=by,
                object_type=entry["object_type"],
                object_id=by if entry["action"] == "user.login" else self.workspace.new_id(),
                source="dashboard" if by else "portal",
                link="",
                attributes=entry["attributes"],
                metadata={},
                at=self._ago(entry["days"]),
            )

    def _followers(self) -> None:
        """Who would follow: engineers and account owners, where there was an escalation."""
        by_id = {customer.id: customer for customer in self.customers.values()}
        escalated = [issue for issue in self.workspace.newest_issues() if issue.threads]
        for issue in escalated[:_FOLLOWED]:
            customer = by_id.get(issue.account or "")
            following = [self.random.choice(self.staff.engineers).id]
            if customer:
                following.append(self._user(customer.record["owner"]))
                colleague = self.random.choice(customer.people).id
                following += [colleague] if colleague != issue.requester else []
            for person in following:
                self.workspace.add_follower(issue.id, person, at=issue.created / 1000, touch=False)

    def _voice_calls(self) -> None:
        """One for each issue that came by phone; the latest one has no transcript yet."""
        names = {person.id: person for person in self.staff.people.values()}
        calls = [issue for issue in self.workspace.newest_issues() if issue.source == "phone"]
        for place, issue in enumerate(calls):
            agent = names[issue.requester].call if issue.requester in names else "support"
            customer = next((c for c in self.customers.values() if c.id == issue.account), None)
            contact = customer.people[0].call if customer else "your customer"
            said = [
                {"speaker": speaker, "text": text.format(agent=agent, contact=contact)}
                for speaker, text in self.words["voice_call"]
            ]
            key = self.workspace.new_id()
            recording = {
                "id": key,
                "download_url": f"https://assets.usepylon.com/calls/{key}.mp3",
                "transcript_segments": said,
            }
            self.workspace.add_voice_call(
                issue.id,
                from_phone_number=f"+1555{self.random.randrange(10**7):07d}",
                to_phone_number="+15550104410",
                duration_sec=self.random.randrange(180, 900),
                recordings=[recording] if place else [],
                at=issue.created / 1000,
                touch=False,
            )
