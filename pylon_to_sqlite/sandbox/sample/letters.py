"""Turns what is said into a message as people send it: greeting, signature, quoted reply."""

from __future__ import annotations

from datetime import datetime, timezone
from html import escape
from random import Random
from typing import Any
from zlib import crc32

from .people import Case, Person
from .scripts import filled, html

_GREETED = ("Hi", "Hello", "Hey", "Dear", "Good ")
_DATES = {"de": "{d}. {m}.", "ja": "{m}月{d}日", "en": "{d} {month}"}


def dated(at: float, lang: str) -> str:
    """A day as people of a language write it."""
    day = datetime.fromtimestamp(at, timezone.utc)
    return _DATES.get(lang, "{d}/{m}").format(d=day.day, m=day.month, month=f"{day:%B}")


class Letters:
    """The messages of one conversation, each knowing the one before it."""

    def __init__(self, case: Case, phrases: dict[str, Any], random: Random) -> None:
        self.case, self.phrases, self.random = case, phrases, random
        self.mail = case.source == "email"
        self.filed = case.script.head.get("by") == "agent"
        self.greeted: set[str] = set()
        self.before: tuple[str, str, float] | None = None  # who wrote last, what, and when

    def from_customer(self, person: Person, text: str, at: float) -> str:
        """A message of a contact, or of the agent who filed the issue."""
        if self.before is None and self.filed:
            self.before = (self.case.agent.name, html(text), at)
            return html(text)
        signed = [person.name, ", ".join(part for part in (person.title, person.company) if part)]
        outlook = crc32(person.name.encode()) % 3 == 0
        body = html(self._greeted("customer", text, at))
        if self.mail:
            body += "<p>&nbsp;</p>" if outlook else ""
            name = "<br>".join(escape(part) for part in signed if part)
            short = person.name if self.case.lang == "ja" else person.name.split()[0]
            body += self._bye("customer", name if outlook else escape(short))
            body += self._quoted(person) if self.random.random() < 0.5 else ""
        self.before = (person.name, html(text), at)
        return body

    def from_agent(self, agent: Person, text: str, at: float) -> str:
        """A message of the desk."""
        first = "agent" not in self.greeted
        body = html(self._greeted("agent", text, at))
        if self.mail:
            name = escape(agent.name if self.case.lang == "ja" else agent.call)
            body += self._bye("agent", f"{name}<br>Rillway Support" if first else name)
        self.before = (agent.name, html(text), at)
        return body

    def _greeted(self, side: str, text: str, at: float) -> str:
        first, foreign = side not in self.greeted, self.case.lang != "en"
        self.greeted.add(side)
        usual = (1.0 if self.mail or foreign else 0.35) if first else 0.25 if self.mail else 0.0
        named = text.startswith(_GREETED) or self.case.values["contact_first"] in text
        alone = self.filed and self.case.customer is None
        if named or alone or (foreign and not first) or self.random.random() >= usual:
            return text
        zone: float = self.case.customer.record["tz"] if self.case.customer else 0
        unfit = {"team", "there", "writing"} if not first else set()
        unfit |= {"{agent_first}"} if first and side == "customer" else set()
        unfit |= {"morning"} if not 5 <= (at / 3600 + zone) % 24 < 11 else set()
        choices = self.phrases["hello"][self.case.lang][side]
        fitting = [hello for hello in choices if not any(word in hello for word in unfit)]
        return f"{self._said(self.random.choice(fitting))}\n\n{text}"

    def _bye(self, side: str, name: str) -> str:
        bye = self.random.choice(self.phrases["bye"][self.case.lang][side])
        return f"<p>{escape(bye)}<br>{name}</p>"

    def _quoted(self, by: Person) -> str:
        if self.before is None or self.before[0] == by.name:
            return ""
        writer, what, at = self.before
        line = self.phrases["wrote"][self.case.lang]
        line = line.format(date=dated(at, self.case.lang), writer=writer)
        return f"<blockquote><p>{escape(line)}</p>{what}</blockquote>"

    def _said(self, text: str) -> str:
        values = {**self.case.values, "agent_first": self.case.agent.call}
        return filled(text, values, self.random)
