"""Who reads while the soak syncs: pages and queries of a Datasette, and what must be so in every
answer. Knows no sync and no workspace."""

import http.client
import json
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from soak_desk import PRIVATE

from pylon_to_sqlite.full_text import index_of
from pylon_to_sqlite.metadata import queries
from pylon_to_sqlite.schema import FULL_TEXT, TABLES, live
from pylon_to_sqlite.views import VIEWS

QUERIES = [query.name for query in queries()]
# Where private notes may be shown: their query, their view, their table, and that of their files,
# which Datasette labels with the message's words.
NOTES = {"conversation_by_number", "private_notes", "issue_messages", "attachments"}
WORDS = ["because", "careful", "reply", "edited", "question", "zq7zq", PRIVATE, '"', "*", "李娜"]
# A page that Datasette gives up after its limit of a second is no page that is wrong.
LATE = ("SQL query took too long", "query interrupted", "SQL Interrupted")
_NOTE = re.compile(r'<article id="[^"]*" class="message [^"]*\bnote\b.*?</article>', re.DOTALL)
_TIMEOUT = 60


def rules() -> Iterator[tuple[str, str]]:
    """What is wrong if it counts any, by name; each count is of one moment."""
    for table in TABLES.values():
        for column, other, key in table.foreign_keys:
            yield (
                f"{table.name}.{column} names nobody",
                f"SELECT 1 FROM {table.name} AS t WHERE t.{column} IS NOT NULL"
                f" AND NOT EXISTS (SELECT 1 FROM {other} AS o WHERE o.{key} = t.{column})",
            )
    yield (
        "a live message of an issue that is gone",
        "SELECT 1 FROM issue_messages AS m JOIN issues AS i ON i.id = m.issue_id"
        " WHERE m.deleted_at IS NULL AND i.deleted_at IS NOT NULL",
    )
    yield (
        "a private note that is not called so",
        f"SELECT 1 FROM issue_messages WHERE message_html LIKE '%{PRIVATE}%'"
        " AND is_private IS NOT 1",
    )
    for view, column in (("public_messages", "message_text"), ("issue_feedback", "text")):
        yield (
            f"a private note in {view}",
            f"SELECT 1 FROM {view} WHERE {column} LIKE '%{PRIVATE}%'",
        )
    for name in FULL_TEXT:
        is_live = live(TABLES[name])
        yield (
            f"live {name} that are in no index",
            f"SELECT 1 FROM {name} WHERE {is_live}"
            f" AND rowid NOT IN (SELECT id FROM {index_of(name)}_docsize)",
        )
        yield (
            f"{name} in an index that are not live",
            f"SELECT 1 FROM {index_of(name)}_docsize"
            f" WHERE id NOT IN (SELECT rowid FROM {name} WHERE {is_live})",
        )


def counted() -> str:
    """SQL for the rules that are broken, and how often."""
    parts = [f"SELECT '{name}' AS rule, count(*) AS n FROM ({sql})" for name, sql in rules()]
    # SQLite takes 500 of them at most.
    return f"SELECT rule, n FROM ({' UNION ALL '.join(parts)}) WHERE n > 0"


IDS = (
    "SELECT (SELECT json_group_array(id) FROM issues) AS issues,"
    " (SELECT json_group_array(id) FROM issue_messages) AS messages,"
    " (SELECT json_group_array(number) FROM issues WHERE number IS NOT NULL) AS numbers"
)


@dataclass
class Found:
    """What the readers have come by, all together."""

    pages: Counter[str] = field(default_factory=Counter)
    """Answers by kind of page."""
    late: int = 0
    """Answers that Datasette gave up after its limit."""
    problems: list[str] = field(default_factory=list)
    vanished: set[str] = field(default_factory=set)
    """Issues and messages that were there once, and then were not."""
    is_private_seen: bool = False
    """Whether private notes were met where they may be."""


@dataclass
class Reader:
    """One who reads a file through the Datasette at `host`, page after page."""

    host: str
    name: str
    draw: random.Random
    found: Found
    pause: float
    over: threading.Event
    numbers: list[int] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def read(self) -> None:
        """Until it is over."""
        kinds: dict[Callable[[], object], int] = {
            self.table: 6,
            self.view: 4,
            self.query: 6,
            self.search: 3,
            self.overview: 2,
            self.talk: 5,
            self.data: 2,
            self.menus: 1,
            self.check: 4,
            self.count: 3,
        }
        self.count()
        for one in kinds:
            one()
        while not self.over.wait(self.draw.uniform(0, 2 * self.pause)):
            (one,) = self.draw.choices([*kinds], [*kinds.values()])
            one()
            if not self.found.pages["conversation"]:
                self.talk()

    def everything(self) -> None:
        """Each page once."""
        for table in TABLES:
            self.table(table)
        for view in VIEWS:
            self.view(view)
        for query in QUERIES:
            self.query(query)
        for one in (self.search, self.overview, self.talk, self.data, self.menus, self.check):
            one()

    def table(self, table: str = "") -> None:
        table = table or self.draw.choice([*TABLES])
        column = self.draw.choice(TABLES[table].columns).name
        more = self.draw.choice(["", "", f"?_facet={column}", f"?_sort={column}", "?_size=max"])
        self._public(f"/{self.name}/{table}{more}", "table", table)

    def view(self, view: str = "") -> None:
        view = view or self.draw.choice([*VIEWS])
        self._public(f"/{self.name}/{view}", "view", view)

    def query(self, name: str = "") -> None:
        name = name or self.draw.choice(QUERIES)
        given = {"words": self.draw.choice(WORDS), "number": self.draw.choice(self.numbers or [1])}
        more = f"?{urlencode(given)}" if self.draw.random() < 0.6 else ""
        self._public(f"/{self.name}/{name}{more}", "query", name)

    def search(self) -> None:
        """In the search boxes, and in everything."""
        word = quote(self.draw.choice(WORDS[:7]))
        table = self.draw.choice([*FULL_TEXT])
        self._public(f"/{self.name}/{table}?_search={word}", "search", table)
        self._get(f"/{self.name}/search_everywhere?words={word}&private=1", "search")
        # As data, for on a page the word itself stands in the form.
        notes = f"/{self.name}/search_everywhere.json?words={PRIVATE}&_shape=array"
        if (text := self._get(notes, "search")) and json.loads(text):
            self._wrong(notes, "found private notes", text)

    def overview(self) -> None:
        weeks, kind = self.draw.choice([4, 12, 26, 52]), self.draw.choice(["", "ticket"])
        self._public(f"/{self.name}/-/pylon?weeks={weeks}&type={kind}", "overview")

    def talk(self) -> None:
        """A conversation, in which private notes are set apart."""
        if not self.numbers:
            # There was none yet when they were counted.
            self.count()
        if not self.numbers:
            return
        number = self.draw.choice(self.numbers)
        path = f"/{self.name}/-/conversation/{number}"
        text = self._get(path, "conversation", may_be_missing=True)
        self.found.is_private_seen |= PRIVATE in text
        if PRIVATE in _NOTE.sub("", text):
            self._wrong(path, "a private note that is not set apart", text)

    def data(self) -> None:
        """As data for programs."""
        table = self.draw.choice([*TABLES])
        text = self._get(f"/{self.name}/{table}.json?_shape=array&_size=max", "data")
        if text and not isinstance(json.loads(text), list):
            self._wrong(f"/{self.name}/{table}.json", "no list", text)
        self._get(f"/{self.name}/{table}.csv?_size=max", "data")

    def menus(self) -> None:
        for path in ("/", f"/{self.name}", "/-/versions.json"):
            self._public(path, "menu")

    def check(self) -> None:
        """Whether all the rules hold."""
        for row in self._asked(counted()):
            self._wrong("the rules", f"{row['rule']}: {row['n']}", "")

    def count(self) -> None:
        """Whether all that was there is there."""
        for row in self._asked(IDS):
            there = {*json.loads(row["issues"]), *json.loads(row["messages"])}
            self.found.vanished |= self._seen - there
            self._seen = there
            self.numbers = json.loads(row["numbers"])

    def _asked(self, sql: str) -> list[dict[str, Any]]:
        asked = urlencode({"sql": sql, "_shape": "array"})
        text = self._get(f"/{self.name}.json?{asked}", "check")
        rows: list[dict[str, Any]] = json.loads(text) if text else []
        return rows

    def _public(self, path: str, kind: str, name: str = "") -> None:
        """A page on which there is no private note, unless it is one for them."""
        text = self._get(path, kind)
        self.found.is_private_seen |= name == "private_notes" and PRIVATE in text
        # What was searched for stands in the form.
        if name not in NOTES and PRIVATE in text and PRIVATE not in path:
            self._wrong(path, "a private note", text)

    def _get(self, path: str, kind: str, *, may_be_missing: bool = False) -> str:
        """The answer; "" where there was none to look at."""
        connection = http.client.HTTPConnection(self.host, timeout=_TIMEOUT)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            self._wrong(path, f"no answer: {error!r}", "")
            return ""
        finally:
            connection.close()
        self.found.pages[kind] += 1
        if answer.status == 200:
            return text
        if any(words in text for words in LATE):
            self.found.late += 1
        elif not (may_be_missing and answer.status == 404):
            self._wrong(path, str(answer.status), text)
        return ""

    def _wrong(self, path: str, what: str, text: str) -> None:
        at = max(0, text.find(PRIVATE) - 100)
        self.found.problems.append(f"{path[:200]}: {what}: {text[at : at + 400]}")
