"""A desk whose API does one thing wrong at one request of a run, for the fault matrix."""

import json
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from changes import CHANGES, SILENT
from conftest import FakeClock
from desk import Desk, open_desk, open_issue
from mirroring import DAY, TOKEN

from pylon_to_sqlite.client import Client
from pylon_to_sqlite.limits import Clock
from pylon_to_sqlite.run import Outcome, Wishes, mirror
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.faults import BODY_FAULTS
from pylon_to_sqlite.sandbox.server import SandboxTransport
from pylon_to_sqlite.sandbox.workspace import Workspace

HOUR = 3600.0
# So few records a page that a handful fill several.
PAGE, PAGE_OF_MESSAGES = 2, 3
# One stream of each kind: lists without and with pages, by a parameter, by a parent, with the
# watermark of a search and of a list, children that each parent has and that some have.
NAMES = (
    *("teams", "accounts", "contacts", "users", "knowledge_bases", "knowledge_base_articles"),
    *("tasks", "custom_objects", "issues", "issue_messages", "issue_followers"),
)


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong: a fault of the sandbox by name, with its options, or what only
    this module can do: pages that shrink, records that move, a clock of ours that is wrong."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    ours: float = 0.0
    """Seconds by which our clock is wrong."""


FAULTS = {
    "connection refused": Fault("refused-connection"),
    "DNS failure": Fault("dns-failure"),
    "TLS failure": Fault("tls-failure"),
    "reset": Fault("reset"),
    "cut off in the body": Fault("half-body"),
    "hang": Fault("timeout"),
    "400": Fault("400"),
    "401": Fault("401"),
    "403": Fault("403"),
    "404": Fault("404"),
    "408": Fault("408"),
    "409": Fault("409"),
    "410": Fault("410"),
    "422": Fault("422"),
    "429 with `X-Retry-After`": Fault("429", {"retry_after": 20}),
    "429 with `Retry-After`, a date": Fault("429-retry-after-date", {"retry_after": 20}),
    "429 with `X-Rate-Limit-Remaining`": Fault("429-remaining"),
    "429 without a word": Fault("429-no-header"),
    "500": Fault("500"),
    "502 with HTML": Fault("502-html"),
    "503 with `Retry-After`": Fault("503", {"retry_after": 5}),
    "redirect": Fault("redirect"),
    "200 with HTML": Fault("html"),
    "torn JSON": Fault("torn"),
    "`errors` on a 200": Fault("errors-on-200"),
    "`data: null`": Fault("data-null"),
    "no `data`": Fault("no-data"),
    "`data` is an object": Fault("data-object"),
    "`data` is text": Fault("data-text"),
    "a record is no object": Fault("not-an-object"),
    "a record without its key": Fault("no-key"),
    "a record with an odd key": Fault("odd-key"),
    "more promised, no records": Fault("next-without-data"),
    "a repeated cursor": Fault("repeat-cursor"),
    "a refused cursor": Fault("refused-cursor"),
    "a page that shrinks": Fault("short"),
    "records that move": Fault("move"),
    "our clock an hour ahead": Fault("clock", ours=HOUR),
    "our clock an hour behind": Fault("clock", ours=-HOUR),
    "Pylon's clock an hour ahead": Fault("wrong-date", {"seconds": HOUR}),
    "Pylon's clock an hour behind": Fault("wrong-date", {"seconds": -HOUR}),
}
"""By the name that docs/faults.md has for each."""


class Place(NamedTuple):
    """At which request of which run it is, counted from 0, and whether it stays to its end."""

    is_first_load: bool
    at: int
    for_good: bool


class World:
    """A desk of few records of every kind; where `mirror` is given, that is its file of a day ago,
    and something has become of all that is read since."""

    def __init__(self, path: Path, mirror: bytes | None = None) -> None:
        self.path, self.clock = path, FakeClock()
        self.off = 0.0
        self.hidden = ""
        self.desk = open_desk(Workspace(self.clock), issues=2)
        for number in range(2):
            self.desk.accounts.append(self.desk.workspace.add("accounts", name=f"More {number}"))
        self.api = Api(self.desk.workspace, allowance=None, token=TOKEN)
        self.clock.sleep(DAY)
        if mirror is not None:
            path.write_bytes(mirror)
            self.clock.sleep(60)
            self._age()

    def _age(self) -> None:
        desk, workspace = self.desk, self.desk.workspace
        for change, which in {"reply": 1, "follow": 1, "tasks": 1, "contact": 1}.items():
            CHANGES[change](desk, desk.issues[0], which)
        CHANGES["articles"](desk, desk.issues[0], 3)
        new = open_issue(desk, 3)
        self.hidden = workspace.add("contacts", name="In no list")
        stray = workspace.add("accounts", name="Gone, but an issue names it")
        workspace.change_issue(new, requester=self.hidden, account=stray)
        workspace.remove("accounts", stray)
        SILENT["move an issue"](desk, desk.issues[0], 1)
        workspace.delete_issue(desk.issues.pop(1))
        workspace.remove("accounts", desk.accounts.pop())
        self.clock.sleep(DAY + 60)

    def live_on(self) -> None:
        """A few more changes soon after a run; then two hours pass."""
        self.clock.sleep(600)
        for change, which in {"reply": 0, "update": 2, "account": 1}.items():
            CHANGES[change](self.desk, self.desk.issues[0], which)
        self.clock.sleep(2 * HOUR)

    def run(self, transport: httpx.BaseTransport, **wishes: Any) -> Outcome:
        """A run of the streams of NAMES."""
        now = self.clock.now
        ours = Clock(lambda: now() + self.off, self.clock.sleep, now)
        with closing(Client(TOKEN, "http://localhost", transport, ours)) as client:
            wished = Wishes(NAMES, custom_objects=["companies"], **wishes)
            return mirror(self.path, client, wished, lambda _: None, lambda _: None)


class Small(SandboxTransport):
    """Small pages, and one contact whom no list names. `answers` has what came, in order."""

    def __init__(self, world: World) -> None:
        super().__init__(world.api)
        self.world = world
        self.limit = PAGE
        self.asked = 0
        self.answers: list[tuple[str, httpx.Response]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        url, content = request.url, request.read()
        if request.method == "POST" and url.path != "/feature-requests/search":
            content = json.dumps({**json.loads(content), "limit": self.limit}).encode()
        elif url.path.endswith("/messages"):
            url = url.copy_merge_params({"limit": str(PAGE_OF_MESSAGES)})
        elif "limit" in url.params:
            url = url.copy_merge_params({"limit": str(self.limit)})
        headers = {"Authorization": request.headers["Authorization"]}
        asked = httpx.Request(request.method, url, headers=headers, content=content)
        response = super().handle_request(asked)
        if self.world.hidden and url.path == "/contacts" and response.status_code == 200:
            response = self._without_hidden(response)
        self.answers.append((f"{request.method} {url.path}", response))
        return response

    def _without_hidden(self, response: httpx.Response) -> httpx.Response:
        try:
            body = response.json()
            left = [one for one in body["data"] if one["id"] != self.world.hidden]
        except (ValueError, LookupError, TypeError):
            # A fault's.
            return response
        # No page is empty that has another behind it.
        body["data"] = left or body["data"]
        return httpx.Response(200, headers={"Date": response.headers["Date"]}, json=body)


class Faulty(Small):
    """An API that meets one request, or all from there on, with a fault; after `most` requests
    there is no end to it."""

    def __init__(self, world: World, fault: Fault, place: Place, most: int) -> None:
        super().__init__(world)
        self.fault, self.place, self.most = fault, place, most
        self.met = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert self.asked < self.most, "there is no end to it"
        at = self.place.at
        is_on = self.asked == at or (self.place.for_good and self.asked > at)
        self._set(is_on)
        response = None
        try:
            response = _with_token(super().handle_request(request))
            return response
        finally:
            self.met += is_on and self._has_met(response)

    def _set(self, is_on: bool) -> None:
        world, fault = self.world, self.fault
        world.api.behave()
        self.limit = 1 if is_on and fault.kind == "short" else PAGE
        world.off = fault.ours if is_on else 0.0
        if not is_on or fault.kind in ("short", "clock"):
            return
        if fault.kind == "move":
            move(world.desk)
        else:
            world.api.misbehave(fault.kind, times=-1, **fault.options)

    def _has_met(self, response: httpx.Response | None) -> bool:
        """Whether the fault has shown: of many an answer there is nothing to spoil."""
        if response is None:
            return True
        if self.fault.kind == "refused-cursor":
            return response.status_code == 400
        is_spoilt = self.fault.kind in BODY_FAULTS | {"short", "torn"}
        return not is_spoilt or response.status_code == 200


def _with_token(response: httpx.Response) -> httpx.Response:
    """A refusal that repeats the token, which nobody is ever to be shown."""
    said = b'"errors": ["'
    content = response.content.replace(said, said + TOKEN.encode() + b" ")
    if content == response.content:
        return response
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return httpx.Response(response.status_code, headers=headers, content=content)


def move(desk: Desk) -> None:
    """Records move while pages are read: one goes, one comes, one changes."""
    workspace = desk.workspace
    if gone := desk.accounts[2:]:
        workspace.remove("accounts", gone[0])
        desk.accounts.remove(gone[0])
    workspace.add("accounts", name="Newest")
    CHANGES["reply"](desk, desk.issues[0], 0)
