"""Gathers the contents of files: which are not there, where they are, and what came of each.

An address opens a file with its signature only, which no file holds (unsigned.py). Those that came
by in this run are remembered; for others the issue, or its messages, are asked for again.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import unquote

from pylon_to_sqlite import plan
from pylon_to_sqlite.attachments import Contents, File
from pylon_to_sqlite.downloads import Downloads, Fetched
from pylon_to_sqlite.errors import PylonError, Unauthorized, Unavailable
from pylon_to_sqlite.folder import hash_of, name_of
from pylon_to_sqlite.lanes import Lanes, Steps
from pylon_to_sqlite.plan import Checkpoint, Page, Request
from pylon_to_sqlite.reach import refusal
from pylon_to_sqlite.reading import Progress, Source
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.support_streams import ISSUE_MESSAGES, ISSUES
from pylon_to_sqlite.text import clean
from pylon_to_sqlite.unsigned import file_name, signed

# Signatures take up memory; beyond so many files the issue is asked for again.
MOST_REMEMBERED = 50_000
# No host takes a longer one.
LONGEST_URL = 10_000
# A signature that has expired, or was made for another state of the file.
STALE = frozenset((400, 401, 403, 404, 410))
# So many files in a row that their host did not answer for, or issues that Pylon did not: it is
# not the files.
FAILURES_IN_A_ROW = 5

T = TypeVar("T")
Asking = Generator[Request | None, Page, T]

Again = dict[bool, dict[str, str]]
"""What an issue named when it was asked again: its messages (True), it itself (False)."""

FILES = Stream("attachments", "files", "", (), "file_name")
"""What a run tells of them by; no stream of Pylon's."""


def named(page: Page, held: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """The addresses that the records of a page name, as the file holds them, which has what `held`
    leaves of them, and as they came."""
    for record in page.records:
        if isinstance(record, dict):
            for field_name in ("attachment_urls", "file_urls"):
                for address, url in signed(record.get(field_name)):
                    yield held(clean(address)), url


@dataclass
class Remembering:
    """A source that remembers the addresses of files, with their signatures, that come by. The file
    has what `held` leaves of an address."""

    source: Source
    held: Callable[[str], str] = str
    urls: dict[tuple[str, str], str] = field(default_factory=dict)

    def now(self) -> str:
        return self.source.now()

    def fetch(self, request: Request) -> Page:
        page = self.source.fetch(request)
        if request.template == ISSUE_MESSAGES.path:
            self._see(unquote(request.path.split("/")[2]), page)
        elif request.template.startswith("/issues"):
            for record in page.records:
                if isinstance(record, dict) and "attachment_urls" in record:
                    self._see(str(record.get("id")), Page([record]))
        return page

    def _see(self, issue: str, page: Page) -> None:
        for address, url in named(page, self.held):
            is_room = len(self.urls) < MOST_REMEMBERED or (issue, address) in self.urls
            if is_room and len(url) <= LONGEST_URL:
                self.urls[issue, address] = url


@dataclass
class Gathered:
    """What a run did for files: how many it fetched, with how many bytes, and how many it could
    not; `error` where it had to stop."""

    files: int = 0
    size: int = 0
    failed: int = 0
    error: str = ""


@dataclass
class Gathering:
    """One go at all files whose contents are not in the directory. `check` may end it."""

    store: Store
    source: Remembering
    downloads: Downloads
    wall: Callable[[], str]
    workers: int
    check: Callable[[], None]
    on_progress: Callable[[Progress], None]
    found: Gathered = field(default_factory=Gathered)
    _in_a_row: Counter[str] = field(default_factory=Counter)
    """Failures of each host since it last answered; of Pylon under ""."""

    def run(self) -> Gathered:
        """Remove contents that are nobody's, then fetch those that lack. What cannot be had is
        noted with its file, and is tried again in the next run."""
        attachments = self.store.attachments
        self.downloads.check = self.check
        try:
            self._there = self.downloads.folder.sweep(attachments.paths())
            self._named = {hash_of(name): name for name in self._there}
            attachments.forget_deleted(self.wall())
            self._left = attachments.files()
            lanes = Lanes(self._fetch, self.workers, self.check, self.store.transactions.settle)
            lanes.run(self._reader() for _ in range(self.workers))
        except OSError as error:
            self.found.error = f"cannot write to {self.downloads.folder}: {error.strerror or error}"
        return self.found

    def _fetch(self, request: Request) -> Page:
        if request.template == FILES.path:
            return Page([self.downloads.fetch(request.path)])
        return self.source.fetch(request)

    def _reader(self) -> Steps:
        """Fetch the files of one issue after the other."""
        while not self.found.error:
            files = next(self._left, None)
            if files is None:
                return
            lacking = [one for one in files if not self._is_there(one)]
            again: Again = {}
            for file in lacking:
                yield from self._bring(file, again)
                self.on_progress(Progress(FILES, self.found.files + self.found.failed))
                if self.found.error:
                    return

    def _is_there(self, file: File) -> bool:
        contents = file.contents
        if contents is None or self._there.get(contents.path) != contents.size:
            return False
        if file.lacking:
            # Another message has a file that came before.
            self.store.attachments.have(file.lacking, contents, self.wall())
        return True

    def _bring(self, file: File, again: Again) -> Steps:
        """Fetch a file."""
        try:
            fetched = yield from self._fetched(file, again)
        except Unauthorized:
            raise
        except PylonError as error:
            self.found.failed += 1
            self.store.attachments.lack(file, str(error), self.wall())
            if self._in_a_row[""] == FAILURES_IN_A_ROW:
                self.found.error = str(error)
            return
        self._keep(file, fetched)

    def _fetched(self, file: File, again: Again) -> Asking[Fetched]:
        if why := refusal(file.address, is_local=self.downloads.is_local):
            raise PylonError(why)
        host = file.address.split("/")[2]
        if self._in_a_row[host] >= FAILURES_IN_A_ROW:
            raise PylonError("not asked for: its host did not answer for others")
        url = None
        if file.is_of_message not in again:
            url = self.source.urls.get((file.issue, file.address))
        while True:
            is_fresh = url is None
            if url is None:
                if file.is_of_message not in again:
                    asked = self._counted("", self._asked_again(file))
                    again[file.is_of_message] = yield from asked
                url = again[file.is_of_message].get(file.address)
            if url is None:
                raise PylonError("Pylon did not name it when it was asked again")
            try:
                return (yield from self._counted(host, _file_at(url)))
            except PylonError as error:
                if error.status not in STALE or is_fresh:
                    raise
                url = None

    def _counted(self, host: str, asked: Asking[T]) -> Asking[T]:
        """What was asked of a host, whose failures to answer in a row are counted."""
        try:
            answer = yield from asked
        except PylonError as error:
            self._in_a_row[host] = self._in_a_row[host] + 1 if isinstance(error, Unavailable) else 0
            raise
        self._in_a_row[host] = 0
        return answer

    def _asked_again(self, file: File) -> Asking[dict[str, str]]:
        """The addresses of the issue's messages, or its own, newly signed."""
        if not file.is_of_message:
            page = yield plan.request_by_id(ISSUES, file.issue)
            return dict(named(page, self.source.held))
        found: dict[str, str] = {}
        checkpoint = Checkpoint()
        seen: set[str] = set()
        while True:
            request = plan.request(ISSUE_MESSAGES, checkpoint, file.issue)
            page = yield request
            plan.see(request, page, seen)
            found.update(named(page, self.source.held))
            if page.cursor is None:
                return found
            checkpoint = plan.advance(checkpoint, page)

    def _keep(self, file: File, fetched: Fetched) -> None:
        """Put contents where they belong, once for all files that have them."""
        attachments, folder = self.store.attachments, self.downloads.folder
        own = name_of(fetched.hash, file_name(file.address))
        name = self._named.setdefault(fetched.hash, own)
        folder.keep(fetched.part, name)
        self._there[name] = fetched.size
        contents = Contents(fetched.hash, fetched.kind, fetched.size, name)
        attachments.have(file.rows, contents, self.wall())
        self.found.files += 1
        self.found.size += fetched.size


def _file_at(url: str) -> Asking[Fetched]:
    page = yield Request("GET", url, FILES.path)
    fetched = page.records[0]
    assert isinstance(fetched, Fetched)
    return fetched
