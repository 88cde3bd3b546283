"""Who takes part in the sample's conversations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from zlib import crc32

from .scripts import Chunk


@dataclass(frozen=True)
class Person:
    """A user or a contact; `formal` is how they are addressed in their own language."""

    id: str
    name: str
    formal: str
    call: str
    title: str = ""
    company: str = ""
    left: float = float("inf")


@dataclass(frozen=True)
class Staff:
    """The people of the desk by their names in the files; teams as (id, members)."""

    people: dict[str, Person]
    teams: dict[str, tuple[str, list[Person]]]
    engineers: list[Person]


@dataclass
class Customer:
    """An account: its line in the file, its contacts, and when it last wrote."""

    id: str
    record: dict[str, Any]
    people: list[Person]
    created: float
    latest: float = 0.0

    @property
    def facets(self) -> set[str]:
        """What a script can ask for in its `only` line."""
        record = self.record
        own = {record["plan"], record["region"], record["warehouse"], record.get("lang", "")}
        return own | set(record["tags"])


@dataclass
class Case:
    """A script and those who play it. `start` is when the trouble of its group began."""

    script: Chunk
    at: float
    person: Person  # who speaks for the customer
    requester: str
    agent: Person
    peer: Person
    team: str
    source: str
    priority: str
    values: dict[str, str]
    customer: Customer | None = None
    start: float = 0.0
    parent: Case | None = None
    stuck: str = ""  # the way in which it is left open, see course.py
    issue: str = ""
    thread: str | None = None

    @property
    def lang(self) -> str:
        """The language that both sides write in."""
        return self.script.head.get("lang", "en")


def ticket(script: Chunk) -> tuple[str, str]:
    """The tracker that a script escalates to and the ticket in it: one for one defect."""
    number = crc32(script.title.encode())
    tracker = next((step.words[0] for step in script.steps if step.who == "escalate"), "linear")
    return tracker, {
        "linear": f"ENG-{1000 + number % 3800}",
        "jira": f"PAY-{100 + number % 320}",
        "github": f"northwind-data/connectors#{100 + number % 900}",
    }[tracker]
