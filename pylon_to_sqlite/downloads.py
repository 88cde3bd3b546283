"""The HTTP of files: their bytes, from the hosts that keep them. Never has the token.

It goes straight to the transport, so that there are no cookies, no redirects, no proxy and no
credentials of this machine; and to the very address that was checked, whatever the name of the
host leads to a moment later.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import httpx

from pylon_to_sqlite.errors import Refused, Unavailable, Unexpected
from pylon_to_sqlite.folder import Folder
from pylon_to_sqlite.limits import Clock
from pylon_to_sqlite.reach import Resolver, Target, resolved, target_of

LIMIT = 100 * 10**6
# One that goes on and on is given up, however slowly it comes.
MAX_SECONDS = 900.0

_TIMEOUT = httpx.Timeout(connect=10.0, read=30.0, write=10.0, pool=10.0).as_dict()
_KIND = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}", re.ASCII)


class Fetched(NamedTuple):
    """Bytes that have come whole, in a file of their own that is not in its place yet."""

    part: Path
    hash: str
    kind: str | None
    size: int


@dataclass
class Downloads:
    """What fetches files into `folder`, by any number of threads; none larger than `limit` bytes.

    `is_local` says that Pylon's API is on this machine: then files may be too.
    """

    folder: Folder
    limit: int = LIMIT
    is_local: bool = False
    transport: httpx.BaseTransport | None = None
    resolve: Resolver = resolved
    clock: Clock = field(default_factory=Clock)
    check: Callable[[], None] = lambda: None
    """Called between the chunks of a file; may raise to end the run."""

    def __post_init__(self) -> None:
        # A connection of its own for each file: two hosts at one address do not share one.
        alone = httpx.Limits(max_keepalive_connections=0)
        self._transport = self.transport or httpx.HTTPTransport(limits=alone)

    def close(self) -> None:
        self._transport.close()

    def fetch(self, url: str) -> Fetched:
        """The bytes at an address. Raises Refused, with the status where a host gave one,
        Unavailable or Unexpected; OSError where they cannot be written."""
        began = self.clock.steady()
        response = self._response(url, target_of(url, self.resolve, is_local=self.is_local))
        try:
            self._check(response)
            return self._written(response, began)
        except httpx.HTTPError as error:
            raise _unanswered(error) from None
        finally:
            response.close()

    def _response(self, url: str, target: Target) -> httpx.Response:
        failure: httpx.HTTPError | None = None
        for address in target.addresses:
            try:
                return self._transport.handle_request(_request(url, target, address))
            except (httpx.InvalidURL, UnicodeError):
                raise Refused("it is no address") from None
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
            except httpx.HTTPError as error:
                raise _unanswered(error) from None
        assert failure
        raise _unanswered(failure)

    def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        if status >= 500 or status in (408, 429):
            raise Unavailable(f"its host answers {status}", status=status)
        if 300 <= status < 400:
            raise Refused(f"its host answers {status}: redirects are not followed", status=status)
        if status != 200:
            raise Refused(f"its host answers {status}", status=status)
        if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise Refused("its host gives it compressed, which was not asked for")
        told = _length(response)
        if told is not None and told > self.limit:
            raise Refused(f"it is over {self.limit:,} bytes")

    def _written(self, response: httpx.Response, began: float) -> Fetched:
        handle, part = self.folder.begin()
        try:
            digest, size = sha256(), 0
            with open(handle, "wb") as file:
                for chunk in self._chunks(response, began):
                    digest.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
                if _length(response) not in (None, size):
                    raise Unexpected("its host gives another length than it says")
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return Fetched(part, digest.hexdigest(), kind if _KIND.fullmatch(kind) else None, size)

    def _chunks(self, response: httpx.Response, began: float) -> Iterator[bytes]:
        size = 0
        for chunk in response.iter_bytes():
            size += len(chunk)
            # Whatever length it told.
            if size > self.limit:
                raise Refused(f"it is over {self.limit:,} bytes")
            if self.clock.steady() - began > MAX_SECONDS:
                raise Unavailable(f"it is not complete after {MAX_SECONDS:.0f} s")
            self.check()
            yield chunk


def _request(url: str, target: Target, address: str) -> httpx.Request:
    asked = httpx.URL(url)
    return httpx.Request(
        "GET",
        asked.copy_with(host=address, port=target.port),
        headers={
            "Host": asked.netloc.decode("ascii"),
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "User-Agent": "pylon-to-sqlite",
            "Connection": "close",
        },
        extensions={"sni_hostname": asked.raw_host.decode("ascii"), "timeout": _TIMEOUT},
    )


def _length(response: httpx.Response) -> int | None:
    told = response.headers.get("content-length", "").strip()
    return int(told[:18]) if told.isascii() and told.isdecimal() else None


def _unanswered(error: httpx.HTTPError) -> Unavailable:
    # Its own words may hold the address with its signature; str() of a timeout is often empty.
    return Unavailable(f"its host gives no whole answer ({type(error).__name__})")
