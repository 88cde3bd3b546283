"""Decides which conversations take place: whose, when, and with which details."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from operator import itemgetter
from random import Random
from typing import Any

from ..workspace import Workspace
from .conversation import Conversation, Deed
from .course import DAY, HOUR, can_stick, working
from .letters import dated
from .people import Case, Customer, Person, Staff, ticket
from .scripts import Chunk, data

_BUSY = (1.25, 1.2, 1.1, 1.05, 0.85, 0.1, 0.1)  # Monday to Sunday
_SIZE = {"Starter": 1.0, "Growth": 1.6, "Scale": 2.3, "Enterprise": 3.2}
_PRIORITIES = ("medium", "medium", "medium", "medium", "low", "low", "high")
_ANYWHERE = ["email", "email", "email", "chat_widget", "form"]
_CHATS = ("slack", "microsoft_teams")
_DEEP = {"destinations", "transform", "reverse", "gateway", "api"}
_SPEAKERS = {"de": "maren", "ja": "sora", "fr": "ines", "es": "ines", "pt": "ines"}
_OFFICE = ("Account", "Financ", "Procure", "Control", "Director", "Bookkeep", "Billing", "Buch",
           "Compta", "Founder", "Operations", "経理")  # fmt: skip
_POINTS = {"de": ".", "fr": " ", "es": ".", "pt": "."}  # between thousands
_NOBODY: dict[str, Any] = {"name": "", "plan": "", "region": "EU", "owner": "mateo",
           "sources": ["PostgreSQL"], "warehouse": "Snowflake"}  # fmt: skip
_FRESH = 8  # conversations that began in the last hours
_STUCK = {"hold": (3, 25), "engineering": (6, 100), "fix": (3, 60), "freeze": (5, 9),
          "customer": (14, 30), "us": (17, 25)}  # fmt: skip
"""How conversations get stuck: how many, and within how many days before now."""


@dataclass(frozen=True)
class Group:
    """An incident, or another trouble that many write about."""

    start: float
    spread: float
    parent: Case


class Desk:
    """Everybody who can take part, and the time that there is to play in."""

    def __init__(
        self,
        workspace: Workspace,
        staff: Staff,
        customers: list[Customer],
        strangers: dict[str, Person],
        random: Random,
        start: float,
        now: float,
    ) -> None:
        self.workspace, self.staff = workspace, staff
        self.customers, self.strangers = customers, strangers
        self.random, self.start, self.now = random, start, now
        self.phrases: dict[str, Any] = data("phrases.json")
        self.known: set[tuple[str, str]] = set()  # who already plays in which script

    def play(self, scripts: list[Chunk]) -> None:
        """Cast all scripts, plan their conversations, and do every deed in its time."""
        cases = self._cases(scripts)
        left = [person for person in self.staff.people.values() if person.left < self.now]
        deeds: list[Deed] = [(person.left, partial(self._leaves, person)) for person in left]
        for case in cases:
            play = Conversation(
                case, self.workspace, self.staff, self.phrases, self.random, self.now
            )
            deeds += play.plan()
        for _, do in sorted(deeds, key=itemgetter(0)):
            do()
        for customer in (customer for customer in self.customers if customer.latest):
            seen = {"latest_customer_activity_time": customer.latest, "at": customer.latest}
            self.workspace.change("accounts", customer.id, **seen)

    def _leaves(self, person: Person) -> None:
        self.workspace.deactivate_user(person.id)

    def _cases(self, scripts: list[Chunk]) -> list[Case]:
        groups, deck = {}, []
        for script in scripts:
            if "parent" in script.head:
                groups[script.head["parent"]] = self._group(script)
            else:
                deck += [script] * int(script.head.get("times", "1"))
        self.random.shuffle(deck)
        usual = [script for script in deck if not {"group", "by", "close"} & set(script.head)]
        fresh = {id(script): script for script in usual[:_FRESH]}
        cases = [group.parent for group in groups.values()]
        for script in deck:
            if "group" in script.head:
                cases.append(self._grouped(script, groups[script.head["group"]]))
            else:
                latest = fresh.pop(id(script), None) is not None
                cases.append(self._case(script, latest=latest))
        self._leave_open(cases)
        return cases

    def _leave_open(self, cases: list[Case]) -> None:
        """Let some cases get stuck half way, the younger ones of course."""
        for stuck, (many, days) in _STUCK.items():
            able = [case for case in cases if self._may_stick(case, stuck, days)]
            for case in self.random.sample(able, min(many, len(able))):
                case.stuck = stuck

    def _may_stick(self, case: Case, stuck: str, days: int) -> bool:
        taken = case.start or case.stuck or case.customer is None or case.lang != "en"
        return not taken and 1 < (self.now - case.at) / DAY < days and can_stick(case, stuck)

    def _group(self, script: Chunk) -> Group:
        plan = data("desk.json")["groups"][script.head["parent"]]
        day = int((self.now / DAY) - plan["days"])
        while (day + 3) % 7 != plan["weekday"]:
            day -= 1
        start = day * DAY + plan["hour"] * HOUR
        parent = self._case(script, at=start + plan["parent_hours"] * HOUR)
        parent.start = start
        return Group(start, plan["spread_hours"] * HOUR, parent)

    def _grouped(self, script: Chunk, group: Group) -> Case:
        at = group.start + self.random.triangular(0.03, 1, 0.2) * group.spread
        if group.spread > DAY:
            at = working(at, 0, 7, 18, self.random)
        case = self._case(script, at=at, since=group.start)
        case.start, case.parent = group.start, group.parent
        return case

    def _case(
        self, script: Chunk, *, at: float = 0.0, since: float = 0.0, latest: bool = False
    ) -> Case:
        """Cast one conversation; without a time it takes place on some day."""
        if latest:
            at = self.now - self.random.uniform(0.2, 9) * HOUR
        day = at or self._day(self.start)
        who, _, name = script.head.get("by", "").partition(" ")
        customer = None if name or "parent" in script.head else self._customer(script, day)
        if customer and day < customer.created + DAY:
            day = self._day(customer.created + DAY)
        at = at or self._hour(day, customer)
        team, agent, peer = self._agents(script, at)
        people = customer.people if customer else [self.strangers.get(name, agent)]
        person = self._person(script, people)
        priority = script.head.get("priority") or self.random.choice(_PRIORITIES)
        source = self._source(script, customer)
        requester = agent.id if who == "agent" else person.id
        values = self._values(script, customer, person, agent, peer, at, since)
        return Case(
            script, at, person, requester, agent, peer, team, source, priority, values, customer
        )

    def _day(self, since: float) -> float:
        """A moment of some day: few on weekends, and a little more as the months go by."""
        while True:
            at = since + float(self.random.random() ** 0.88) * (self.now - since)
            if self.random.random() * _BUSY[0] < _BUSY[int(at // DAY + 3) % 7]:
                return at

    def _hour(self, day: float, customer: Customer | None) -> float:
        """The same day at an hour at which people at the customer's place write."""
        zone: float = customer.record["tz"] * HOUR if customer else 0.0
        while True:
            low, high, usual = (7.3, 19, 10.3) if self.random.random() < 0.93 else (0, 24, 21)
            midnight = (day + zone) // DAY * DAY - zone
            at = midnight + self.random.triangular(low, high, usual) * HOUR
            if self.start <= at < self.now:
                return at
            day += DAY / 2 if at < self.start else -DAY / 2

    def _customer(self, script: Chunk, at: float) -> Customer:
        """An account that fits, rather a large one, and rather one that has not had the script."""
        only, sources = set(script.listed("only")), set(script.listed("only-source"))
        fitting = [
            customer
            for customer in self.customers
            if (not only or only & customer.facets)
            and (not sources or sources & set(customer.record["sources"]))
            and (len(customer.people) > 1 or "colleague" not in script.body)
        ]
        there = [customer for customer in fitting if customer.created < at - DAY] or fitting
        weights = []
        for customer in there:
            again = 0.08 if (script.title, customer.id) in self.known else 1.0
            gone = 0.02 if customer.record.get("disabled") else 1.0
            weights.append(_SIZE[customer.record["plan"]] * again * gone)
        chosen = self.random.choices(there, weights)[0]
        self.known.add((script.title, chosen.id))
        return chosen

    def _person(self, script: Chunk, people: list[Person]) -> Person:
        """Someone who would ask this: money is asked about by others than pipelines."""
        money = script.head.get("team") == "billing"
        weights = []
        for person in people:
            office = any(word in person.title for word in _OFFICE)
            weights.append(4.0 if office == money else 1.0)
        return self.random.choices(people, weights)[0]

    def _agents(self, script: Chunk, at: float) -> tuple[str, Person, Person]:
        """The team, the agent who will answer, and another one to ask."""
        team = script.head.get("team", "")
        if not team:
            deep = _DEEP & set(script.listed("area")) or script.head.get("priority") == "urgent"
            team = "platform" if deep and self.random.random() < 0.7 else "frontline"
        people, there = self.staff.people, at + 9 * DAY
        members = [person for person in self.staff.teams[team][1] if person.left > there]
        speaker = _SPEAKERS.get(script.head.get("lang", ""), "")
        lead = people["maren"]
        weights = [0.3 if member is lead else 1.0 for member in members]
        agent = people.get(speaker) or self.random.choices(members, weights)[0]
        agent = lead if "parent" in script.head else agent
        others = [people[key] for key in ("taiwo", "priya", "ines", "jonah", "maren")]
        return team, agent, self.random.choice([other for other in others if other is not agent])

    def _source(self, script: Chunk, customer: Customer | None) -> str:
        """How it comes in: chats only from accounts that have one with us."""
        own = customer.record["via"] if customer else "email"
        asked = script.listed("via")
        if customer is None or script.head.get("by"):
            return asked[0] if asked else "email"
        open_to = [way for way in asked or _ANYWHERE if way not in _CHATS or way == own]
        if (not asked or own in asked) and self.random.random() < 0.6:
            return str(own)
        return self.random.choice(open_to or ["email"])

    def _values(
        self, script: Chunk, customer: Customer | None, person: Person, agent: Person,
        peer: Person, at: float, since: float,
    ) -> dict[str, str]:  # fmt: skip
        """What fills the gaps in the texts of one conversation."""
        random, lang = self.random, script.head.get("lang", "en")
        others = [one for one in (customer.people if customer else []) if one is not person]
        record = customer.record if customer else _NOBODY
        return {
            **self._product(script, record),
            **self._numbers(lang),
            **self._dates(at, since, lang),
            "account": record["name"],
            "contact": person.name,
            "contact_first": person.call if lang == "en" else person.formal,
            "colleague": random.choice(others).name if others else person.name,
            "peer_first": peer.call,
            "eng_first": random.choice(self.staff.engineers).call,
            "csm_first": self.staff.people[record["owner"]].call,
            "ticket": ticket(script)[1],
            **script.values(random),
        }

    def _product(self, script: Chunk, record: dict[str, Any]) -> dict[str, str]:
        """What they use, and what of it the conversation is about."""
        asked = [name for name in record["sources"] if name in script.listed("only-source")]
        source = self.random.choice(asked or record["sources"])
        slug = record["warehouse"].lower()
        return {
            "plan": record["plan"],
            "region": record["region"],
            "host": record["region"].lower(),
            "source": source,
            "warehouse": record["warehouse"],
            "warehouse_slug": slug,
            "pipeline": f"{source.lower().replace(' ', '_')}_to_{slug}",
            "table": self.random.choice(self.phrases["tables"][source]),
            "schema": self.random.choice(self.phrases["schemas"]),
            "version": self.random.choice(self.phrases["versions"]),
        }

    def _numbers(self, lang: str) -> dict[str, str]:
        random = self.random
        rows = f"{random.randrange(12, 4_800) * 1000:,}"
        return {
            "run": "r" + "".join(random.choices("23456789abcdefghjkmnpqrstvwxyz", k=7)),
            "invoice": str(random.randrange(41_000, 49_000)),
            "digits": str(random.randrange(100_000, 990_000)),
            "digit": str(random.randrange(2, 10)),
            "rows": rows.replace(",", _POINTS.get(lang, ",")),
            "count": str(random.randrange(4, 48)),
            "hours": str(random.randrange(2, 9)),
            "minutes": str(random.randrange(4, 26)),
        }

    def _dates(self, at: float, since: float, lang: str) -> dict[str, str]:
        when = datetime.fromtimestamp(at, timezone.utc)
        noticed = max(at - self.random.uniform(10, 70) * 60, since)
        return {
            "time": f"{datetime.fromtimestamp(noticed, timezone.utc):%H:%M} UTC",
            "day": f"{when:%A}",
            "year": f"{when:%Y}",
            "date": dated(at, lang),
            "yesterday": dated(at - self.random.choice((1, 1, 2, 3)) * DAY, lang),
            "tomorrow": dated(working(at + DAY, 0, 0, 24, self.random), lang),
            "last_month": f"{when - timedelta(days=when.day + 1):%B}",
        }
