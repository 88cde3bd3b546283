"""The course of one conversation: which steps of its script are taken, and when."""

from __future__ import annotations

from collections.abc import Iterator
from math import log
from random import Random
from typing import Any

from .people import Case
from .scripts import Step

DAY, HOUR, MINUTE = 86_400, 3600, 60
PUBLIC = ("customer", "colleague", "agent", "bot")
NOTES = ("note", "peer", "eng", "csm")

_ANSWER = {"urgent": 12, "high": 45, "medium": 130, "low": 320}  # median minutes
_HELD = ("hold", "snooze")
_NOT_LATER = {"billing", "security", "proactive", "onboarding"}
_PACE = {"chat_widget": 0.3, "slack": 0.4, "microsoft_teams": 0.5, "phone": 0.6}


def working(at: float, zone: float, opens: float, closes: float, random: Random) -> float:
    """The first moment of working hours from a time on, in a zone given in hours."""
    day, second = divmod(at + zone * HOUR, DAY)
    weekday = int(day + 3) % 7  # 1970-01-01 was a Thursday
    if weekday < 5 and opens * HOUR <= second < closes * HOUR:
        return at
    if weekday >= 5 or second >= opens * HOUR:
        day += {4: 3, 5: 2}.get(weekday, 1)
    return day * DAY + opens * HOUR - zone * HOUR + random.uniform(0, 1.5 * HOUR)


def can_stick(case: Case, stuck: str) -> bool:
    """Whether a case can be left open in the given way."""
    whos = [step.who for step in case.script.steps[1:]]
    if stuck in ("engineering", "fix"):
        return "escalate" in whos
    if stuck == "hold":
        return any(who in _HELD for who in whos)
    if stuck == "us":
        return case.priority != "urgent" and bool(_unanswered(whos))
    tags = set(case.script.listed("tags"))
    later = "how-to" in tags and not tags & _NOT_LATER and "by" not in case.script.head
    return "agent" in whos and (stuck != "freeze" or later)


def _spoken(whos: list[str], by: str) -> list[int]:
    return [place for place, who in enumerate(whos) if who == by]


def _unanswered(whos: list[str]) -> list[int]:
    """Where the customer asks something more, which the agent then answers."""
    answers = _spoken(whos, "agent")
    asked = _spoken(whos, "customer")
    return [place for place in asked if answers and answers[0] < place < answers[-1]]


class Course:
    """The steps of a case and their times, as chance has it."""

    def __init__(self, case: Case, phrases: dict[str, Any], random: Random, now: float) -> None:
        self.case, self.phrases, self.random, self.now = case, phrases, random, now
        self.urgent, self.answered = case.priority == "urgent", False

    def __iter__(self) -> Iterator[tuple[float, Step]]:
        """Each step with its time, up to now."""
        at = self.case.at
        for number, step in enumerate(self._steps()):
            at = self._moment(step, at) if number else at
            if at >= self.now:
                return
            self.answered = self.answered or step.who == "agent"
            yield at, step

    def _steps(self) -> Iterator[Step]:
        steps = list(self._taken())
        yield steps[0]
        open_still = self._left_open(steps[1:])
        course = steps[1:] if open_still is None else open_still
        english = self.case.lang == "en" and not self.case.start and self.case.customer
        first = next((step for step in course if step.who == "agent"), None)
        late = self._chance(0.03 if self.urgent else 0.09)
        for step in course:
            if step is first and english and late:
                yield Step("customer", self._phrase("chase"), wait=self._between(6, 26) * HOUR)
                yield Step("agent", f"{self._phrase('sorry')}\n\n{step.text}", files=step.files)
            else:
                yield step
            if step is first and english and self._chance(0.12):
                yield Step("note", self._phrase("handover"))
        if open_still is None:
            yield from self._ending(steps)

    def _taken(self) -> Iterator[Step]:
        for step in self.case.script.steps:
            if step.who == "maybe":
                if not self._chance(int(step.words[0]) / 100):
                    return
            elif not step.optional or self._chance(0.55):
                yield step

    def _left_open(self, steps: list[Step]) -> list[Step] | None:
        """The steps of a case that is stuck half way; None when it goes on to its end."""
        stuck = self.case.stuck
        if not stuck:
            return None
        whos = [step.who for step in steps]
        if stuck in ("engineering", "fix"):
            done = steps[: whos.index("escalate") + 1]
            parked = Step("agent", self._phrase("parked"), wait=2 * HOUR)
            return [*done, parked, Step("fix" if stuck == "fix" else "escalate")]
        if stuck == "hold":
            place = next(n for n, who in enumerate(whos) if who in _HELD)
            return [*steps[:place], Step("snooze", words=("28d",))]
        if stuck == "freeze":
            said = (Step(who, self._phrase("freeze", who)) for who in ("customer", "agent"))
            return [*steps[: whos.index("agent") + 1], *said, Step("snooze", words=("9d",))]
        places = _unanswered(whos) if stuck == "us" else _spoken(whos, "agent")
        left = steps[: self.random.choice(places) + 1]
        if stuck == "us" and self._chance(0.5):
            wait = self._between(0.8, 2) * DAY
            return [*left, Step("customer", self._phrase("chase"), wait=wait)]
        return left

    def _ending(self, steps: list[Step]) -> Iterator[Step]:
        """Thanks or silence, the closing itself, and now and then a return."""
        end = self.case.script.head.get("end", "none")
        if steps[-1].who == "close":
            return
        said = [step.who for step in steps if step.who in PUBLIC]
        if end == "none" or said[-1] == "customer":
            if said[-1] == "customer" and self.case.lang == "en" and self._chance(0.35):
                yield Step("agent", self._phrase("welcome"))
            yield Step("close", wait=self._between(0.05, 7) * HOUR)
            return
        silent = self._chance(0.34)
        if silent:
            yield Step("agent", self._phrase("nudge"), wait=2 * DAY)
        if silent and self._chance(0.5):
            yield Step("bot", self._phrase("autoclose"), wait=3 * DAY)
        else:
            yield Step("customer", self._phrase("thanks", end))
            if self._chance(0.4):
                yield Step("agent", self._phrase("welcome"))
        yield Step("close", wait=self._between(0.02, 2) * HOUR)
        if end == "fixed" and not self.case.start and self._chance(0.3):
            wait = self._between(1.5, 6) * DAY
            yield Step("customer", self._phrase("reopen", "customer"), wait=wait)
            yield Step("agent", self._phrase("reopen", "agent"))
            yield Step("customer", self._phrase("thanks", "info"))
            yield Step("close", wait=HOUR)

    def _moment(self, step: Step, before: float) -> float:
        """When a step is taken, given when the one before it was."""
        who, customer = step.who, self.case.customer
        wait = step.wait * self._between(0.9, 1.35)
        if step.since_start:
            earliest = self.case.start + step.since_start + self._between(0, 25) * MINUTE
            return max(before + self._between(1, 4) * MINUTE, earliest)
        at = before + (wait or self.random.lognormvariate(log(self._usual(who)), 0.75) * MINUTE)
        if (self.urgent and step.wait < 6 * HOUR) or (who == "bot" and not step.wait):
            return at
        if who in ("customer", "colleague") and customer:
            return working(at, customer.record["tz"], 7.5, 19.5, self.random)
        return working(at, 0, 6, 22.5, self.random)

    def _usual(self, who: str) -> float:
        """The median minutes that someone takes."""
        pace = _PACE.get(self.case.source, 1.0) * (0.3 if self.urgent else 1.0)
        if who == "agent":
            return 40 * pace if self.answered else _ANSWER[self.case.priority] * max(pace, 0.5)
        if who in ("customer", "colleague"):
            return 110 * pace
        return 22.0 if who in NOTES else 0.6 if who == "bot" else 3.0

    def _phrase(self, *path: str) -> str:
        found: Any = self.phrases
        for name in path:
            found = found[name]
        return str(self.random.choice(found))

    def _chance(self, share: float) -> bool:
        return self.random.random() < share

    def _between(self, low: float, high: float) -> float:
        return self.random.uniform(low, high)
