"""What the tests of downloads share: a directory, and hosts of files that behave badly."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
from conftest import FakeClock
from mirroring import Death, sync

from pylon_to_sqlite.downloads import LIMIT, Downloads
from pylon_to_sqlite.folder import MARK, Folder
from pylon_to_sqlite.run import Outcome
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import SandboxTransport

PUBLIC = "93.184.215.14"


class Hosts(httpx.BaseTransport):
    """The sandbox's host of files, behind a log of the requests that came. What `answers` gives
    for a path comes instead; after `left` requests the process dies."""

    def __init__(self, api: Api, left: int | None = None) -> None:
        self._inner = SandboxTransport(api)
        self._left = left
        self.requests: list[httpx.Request] = []
        self.answers: dict[str, Callable[[], httpx.Response]] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise Death
        self.requests.append(request)
        for pattern, answer in self.answers.items():
            if re.fullmatch(pattern, request.url.path):
                return answer()
        return self._inner.handle_request(request)


class Body(httpx.SyncByteStream):
    """A body that comes in these chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        self.is_closed = True


def fetch(
    path: Path,
    api: Api,
    clock: FakeClock,
    hosts: httpx.BaseTransport | None = None,
    *,
    names: Sequence[str] = (),
    limit: int = LIMIT,
    resolve: Callable[[str, int], list[str]] = lambda host, port: [PUBLIC],
    **options: Any,
) -> Outcome:
    """A run that downloads to the directory beside the file."""
    folder = Folder(path.parent / "files")
    transport = hosts or Hosts(api)
    downloads = Downloads(folder, limit, transport=transport, resolve=resolve, clock=clock.clock)
    return sync(path, api, clock, *names, downloads=downloads, **options)


def fetch_attached(*where: Any, **options: Any) -> Outcome:
    """The same of those streams alone that have files."""
    return fetch(*where, names=("issues", "issue_messages"), **options)


def contents(path: Path) -> dict[str, bytes]:
    """What is in the directory, by name, but for the mark."""
    there = path.parent / "files"
    found = {
        str(one.relative_to(there)): one.read_bytes() for one in there.rglob("*") if one.is_file()
    }
    assert found.pop(MARK)
    return found
