"""The workspace of the soak, as a process of its own: served over HTTP, changing all the time, and
misbehaving. A line of JSON on its stdin says what to do, and one on its stdout what came of it.

All that a message says has a word that no other says, so that words which were taken back can be
looked for; and all that a private note says has PRIVATE.
"""

import json
import random
import re
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from changes import CHANGES, SILENT
from desk import open_desk, open_issue
from oracle import differences

from pylon_to_sqlite.sandbox.answers import Response
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.files import FILES_HOST
from pylon_to_sqlite.sandbox.records import Issue, Message
from pylon_to_sqlite.sandbox.server import Server
from pylon_to_sqlite.sandbox.workspace import Workspace

PRIVATE = "quokkaprivate"
DAY = 86400.0
# Few enough records a page that lists and searches have several.
PAGE, PAGE_OF_MESSAGES = 20, 3
# What happens more often than once in a while.
OFTEN = {"open": 2, "reply": 8, "note": 6, "edit": 4, "redact": 3, "update": 3, "attach": 2}
OFTEN |= {"reword": 2, "redact silently": 2}
# So that the desk does not grow for ever.
MOST = 300

# As in the tests of interleavings: what is asked for to see whether it is gone always answers, for
# what is said to be gone stays so until it changes.
ANYWHERE = r"(?!/(issues/(?!search)|knowledge-bases/)[^/]+$).*"
CONVERSATIONS = ["/issues/search", r"/issues/[^/]+/messages", r"/issues/[^/]+/threads"]
LISTS = ["/issues", "/accounts", "/contacts", "/users", "/tags", "/tasks/search", "/me"]
PLACES = [*CONVERSATIONS, *LISTS, *[ANYWHERE] * 4]
SPEAKING = ["/issues/search", "/accounts", "/contacts", "/users"]
"""Where null is no usual answer, so that it can be told from a fault."""

PASSING = [
    *("500", "502-html", "503", "408", "html", "torn", "429", "429-retry-after-date", "reset"),
    *("timeout", "half-body", "refused-connection", "next-without-data", "repeat-cursor"),
]
LASTING = [
    *("400", "403", "404", "410", "422", "refused-cursor", "errors-on-200", "data-object"),
    *("no-key", "not-an-object", "redirect", "401"),
]
# Seconds between two faults that are believed when they come twice.
APART = 5.0


class Marked(Workspace):
    """A workspace whose messages have words to look for, and that knows what was ever deleted."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.said: dict[str, list[str]] = {}
        """By message, the words that it has or had."""
        self.gone: set[str] = set()
        """Issues and messages that were deleted, or moved with a merge."""
        self._words = 0

    def _marked(self, html: str, private: bool) -> tuple[str, str]:
        self._words += 1
        word = f"zq{self._words}zq"
        return f"{html}<p>{word}{f' {PRIVATE}' if private else ''}</p>", word

    def _write(
        self, issue: Issue, ms: int, *, html: str, private: bool = False, **rest: Any
    ) -> Message:
        text, word = self._marked(html, private)
        message = super()._write(issue, ms, html=text, private=private, **rest)
        self.said[message.id] = [word]
        return message

    def open_issue(self, **given: Any) -> str:
        # Nothing beyond this machine is to be asked for a file.
        urls = given.pop("attachment_urls", ())
        return super().open_issue(**given, attachment_urls=[one for one in urls if _is_here(one)])

    def edit_message(self, message: str, html: str, **rest: Any) -> None:
        with self.lock:
            text, word = self._marked(html, self._messages[message].private)
            self.said[message].append(word)
            super().edit_message(message, text, **rest)

    def delete_message(self, message: str, **rest: Any) -> None:
        with self.lock:
            self.gone.add(message)
            super().delete_message(message, **rest)

    def delete_issue(self, issue: str) -> None:
        with self.lock:
            self.gone |= {issue, *(message.id for message in self._issues[issue].messages)}
            super().delete_issue(issue)

    def merge_issues(self, into: str, other: str, **rest: Any) -> None:
        with self.lock:
            self.gone |= {message.id for message in self._issues[other].messages}
            if self._issues[other].source == "phone":
                # Else a message of it tells that there are calls, and that may be deleted at once.
                self._issues[into].source = "phone"
            super().merge_issues(into, other, **rest)

    def prints(self) -> dict[str, tuple[Any, ...]]:
        """Of each issue when it was updated, and what can change without a word of that."""
        return {
            key: (
                one.updated,
                *(one.account, one.parent, str(one.custom_fields), [*one.children]),
                [(message.id, message.html, message.thread) for message in one.messages],
            )
            for key, one in self._issues.items()
        }

    def taken_back(self) -> list[str]:
        """The words that messages had, which are still there and do not have them any more."""
        with self.lock:
            there = {key: one.html for key, one in self._messages.items()}
            return [
                word for key, html in there.items() for word in self.said[key] if word not in html
            ]


# Pictures of people and the like are at the host too, and are not files of the workspace.
_FILE = rf"https://{re.escape(FILES_HOST)}(?=/[0-9a-f-]{{36}}/)"


_ISSUE = re.compile(r"(issues|issue_\w+|attachments) (?:lacks|has) ")
_ID = re.compile(r'"(?:issue_id|id|child_issue_id|parent_issue_group_id)": "([^"]+)"')
# Read where they are asked for, and not whenever an issue changes.
OPTIONAL = ("issue_followers", "issue_voice_call", "issue_statuses")


def _is_here(url: str) -> bool:
    return url.startswith(f"https://{FILES_HOST}/")


class Seen:
    """A workspace as it is seen through an API that has its files elsewhere."""

    def __init__(self, workspace: Workspace, files_url: str) -> None:
        self._workspace, self._url = workspace, files_url

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workspace, name)

    def records(self, stream: str) -> list[Any]:
        return self._placed(self._workspace.records(stream))

    def messages(self, issue: str) -> list[Any]:
        return self._placed(self._workspace.messages(issue))

    def _placed(self, found: list[Any]) -> list[Any]:
        text = re.sub(_FILE, self._url, json.dumps(found))
        placed: list[Any] = json.loads(text)
        return placed


class Misbehaving(Api):
    """Gives small pages, and counts the faults that were met."""

    def handle(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
    ) -> Response:
        if path.endswith("/messages"):
            query = {**query, "limit": str(PAGE_OF_MESSAGES)}
        elif "limit" in query:
            query = {**query, "limit": str(PAGE)}
        elif method == "POST" and path != "/feature-requests/search":
            # What is not in the first page of those is nowhere.
            with suppress(ValueError):  # a dying client may have sent half a body
                body = json.dumps({**json.loads(body), "limit": PAGE}).encode()
        return super().handle(method, path, query, headers, body)


class Clock:
    """The real time, less what is still to come of the desk's past."""

    def __init__(self) -> None:
        self.behind = 0.0

    def __call__(self) -> float:
        return time.time() - self.behind


class Desk:
    """What happens: a change every now and then, and a fault now and then."""

    def __init__(self, seed: int, pause: float, issues: int) -> None:
        self.draw = random.Random(f"{seed} desk")
        self.pause, self.issues = pause, issues
        clock = Clock()
        clock.behind = (issues + 1) * DAY
        self.workspace = Marked(clock)
        self.desk = open_desk(self.workspace, issues=0)
        for number in range(issues):
            clock.behind -= DAY
            open_issue(self.desk, number)
        clock.behind = 0.0
        rules: dict[str, Any] = {
            # For the client a minute has sixty seconds, so its waits are to be few.
            "allowance": 3000,
            "minute": 10.0,
            "search_lag": self.draw.choice([0.0, 2.0]),
            "inclusive": self.draw.random() < 0.5,
            # Of 30 days, as Pylon may have it, a load takes over a hundred before it has any issue.
            "max_window_days": self.draw.choice([None, 1500.0]),
            "log": False,
        }
        # Two doors to one workspace: the second one's faults pass, and no token is revoked there.
        self.apis = [Misbehaving(self.workspace, **rules) for _ in range(2)]
        self.servers = [Server(api, latency=0.005) for api in self.apis]
        for api, server in zip(self.apis, self.servers, strict=True):
            api.files_url = server.files_url
            server.start()
        self.changes: Counter[str] = Counter()
        self.turns = [0, 0]
        """How often each door has closed or opened again."""
        self.errors: list[str] = []
        self.quiet: set[str] = set()
        """Issues of which something changed last that updated_at does not tell."""
        self._null_at = 0.0
        self._is_calm = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def _live(self) -> None:
        while not self._over.wait(self.draw.expovariate(1 / self.pause)):
            if self._is_calm.is_set():
                continue
            try:
                self._change()
                if self.draw.random() < 0.4:
                    self._misbehave()
            except Exception:
                self.errors.append(traceback.format_exc())

    def _change(self) -> None:
        there = len(self.desk.issues)
        kinds = {name: OFTEN.get(name, 1) for name in (*CHANGES, *SILENT)}
        kinds["open"] += 20 * (there < self.issues)
        kinds["delete an issue"] += 40 * (there > MOST)
        # Merges and removals leave one of each kind, and nobody else brings new ones.
        if len(self.desk.accounts) < 4:
            account = self.workspace.add("accounts", name=f"Account {there}")
            self.desk.accounts.append(account)
        while len(self.desk.contacts) < 4:
            contact = self.workspace.add("contacts", account=self.desk.accounts[-1])
            self.desk.contacts.append(contact)
        (kind,) = self.draw.choices([*kinds], [*kinds.values()])
        issue = self.draw.choice(self.desk.issues)
        before = self.workspace.prints()
        {**CHANGES, **SILENT}[kind](self.desk, issue, self.draw.randrange(8))
        self.changes[kind] += 1
        after = self.workspace.prints()
        for key in before.keys() | after.keys():
            was, now = before.get(key), after.get(key)
            if was and now and now[0] > was[0]:
                self.quiet.discard(key)
            elif was != now and (was or kind in SILENT):
                self.quiet.add(key)

    def _misbehave(self) -> None:
        """Something goes wrong from now on, in place of what did before."""
        at = self.draw.randrange(3) == 0
        api, where = self.apis[at], self.draw.choice(PLACES)
        api.behave()
        what = self.draw.random()
        times, after = self.draw.choice([1, 1, 2, 3]), self.draw.randrange(8)
        options: dict[str, Any] = {"retry_after": self.draw.choice([1, 1, 2])}
        options["seconds"] = self.draw.choice([0.2, 1.0, 4.0])
        if what < 0.02:
            self._go_down(at)
        elif what < 0.55 or at:
            kind = self.draw.choice(PASSING)
            # Now and then so often that the tries are spent.
            times = 12 if kind in ("500", "reset") and self.draw.random() < 0.2 else times
            api.misbehave(kind, where, times=times, after=after, **options)
        elif what < 0.85:
            # Every one means the end of a run, so it is not to be too often.
            kind = self.draw.choice(LASTING[: -1 if self.draw.random() < 0.6 else None])
            api.misbehave(kind, where, times=times, after=after)
        elif what < 0.95:
            if time.monotonic() - self._null_at > APART:
                self._null_at = time.monotonic()
                kind, where = self.draw.choice(["no-data", "data-null"]), self.draw.choice(SPEAKING)
                api.misbehave(kind, where, times=1, after=after)
        else:
            # Not of conversations: what is gone from an old answer may be erased.
            where = self.draw.choice(["/issues/search", *LISTS])
            api.misbehave("stale-page", where, times=times)

    def _go_down(self, at: int) -> None:
        """Nobody listens for a while."""
        port = int(self.servers[at].url.rpartition(":")[2])
        self.turns[at] += 1
        self.servers[at].stop()
        self._over.wait(self.draw.uniform(0.5, 3.0))
        self.servers[at] = Server(self.apis[at], port=port, latency=0.005).start()
        self.turns[at] += 1

    # What can be asked for from outside.

    def begin(self) -> list[str]:
        """The addresses of the API."""
        self._thread.start()
        return [server.url for server in self.servers]

    def calm(self) -> float:
        """No change and no fault from now on; gives the seconds after which searches know all."""
        self._is_calm.set()
        time.sleep(5 * self.pause)
        for api in self.apis:
            api.behave()
            api.allowance = 10**6
        return self.apis[0].rules.search_lag + 2.0

    def trouble(self, door: int) -> tuple[int, bool]:
        """How many requests have met something wrong so far, and whether nobody listens now."""
        turns = self.turns[door]
        return self.apis[door].met.total() + turns, turns % 2 == 1

    def tally(self) -> dict[str, Any]:
        met: Counter[str] = sum((api.met for api in self.apis), Counter())
        met["nobody listens"] = sum(self.turns) // 2
        return {
            "changes": self.changes,
            "faults": +met,
            "requests": sum(api.count() + api.refused for api in self.apis),
            "refused": sum(api.refused for api in self.apis),
            "writes": [one.path for api in self.apis for one in api.writes],
            "strays": [one for api in self.apis for one in api.strays],
            "issues": len(self.workspace.records("issues")),
            "messages": sum(len(self.workspace.messages(one)) for one in self.desk.issues),
            "errors": self.errors,
        }

    def gone(self) -> list[str]:
        """Issues and messages that were ever deleted."""
        with self.workspace.lock:
            return sorted(self.workspace.gone)

    def taken_back(self) -> list[str]:
        return self.workspace.taken_back()

    def differences(self, path: str, door: int) -> list[str]:
        """How a mirror that was read through a door differs from the workspace."""
        seen: Any = Seen(self.workspace, self.apis[door].files_url)
        return differences(Path(path), seen)

    def told(self, path: str, door: int) -> list[str]:
        """How it differs in what every sync is to see: issues, messages and all that belongs to an
        issue, where updated_at told of the last change."""
        return [
            one
            for one in self.differences(path, door)
            if (name := _ISSUE.match(one)) and not {*self.quiet} & {*_ID.findall(one)}
            if not name[1].startswith(OPTIONAL)
        ]


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it ends it
    desk = Desk(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(getattr(desk, name)(*arguments)), flush=True)


if __name__ == "__main__":
    main()
