"""The host that keeps the bytes of files: signed addresses that expire, and what they lead to.

What it has is in `Workspace.files`, by path. The API signs an address of one of these files anew
in every answer: its path stays, its query does not. Other addresses are left as they are.
"""

from __future__ import annotations

import itertools
import mimetypes
import re
from collections.abc import Mapping
from email.utils import formatdate
from hashlib import sha256
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from .answers import Body, Request, Response

FILES_HOST = "assets.usepylon.com"
"""The host that is in the addresses, which a SandboxTransport answers for."""

FILES_PATH = "/_files"
"""Where a Server has that host's files: `Api.files_url` can be `Server.files_url`."""

_HOUR, _WEEK = 3600, 7 * 86_400
_SIGNED = {"file_urls": _WEEK, "attachment_urls": _WEEK, "download_url": _HOUR}
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Signer:
    """Signs addresses, no two of them alike, and knows its own signatures."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def sign(self, body: Body, files: Mapping[str, bytes], url: str, now: float) -> Body:
        """The body of an answer with the addresses of these files signed, and below `url`."""

        def signed(value: Any, name: str) -> Any:
            if isinstance(value, dict):
                return {key: signed(item, key) for key, item in value.items()}
            if isinstance(value, list):
                return [signed(item, name) for item in value]
            path = _path(value) if name in _SIGNED and isinstance(value, str) else ""
            if path not in files:
                return value
            expires = int(now) + _SIGNED[name]
            signature = _signature(path, expires, f"{next(self._numbers):08x}")
            query = f"Expires={expires}&Key-Pair-Id=K2SANDBOX&Signature={signature}"
            return f"{url}{quote(path)}?{query}"

        return {**body, "data": signed(body["data"], "")} if files else body


def file_response(request: Request, files: Mapping[str, bytes], now: float) -> Response:
    """What the host of the files says: the bytes, a part of them, or an error in XML."""
    if request.method != "GET":
        return _error(405, "MethodNotAllowed", now)
    if "authorization" in request.headers:
        return _error(400, "InvalidArgument", now)
    if request.path not in files:
        return _error(404, "NoSuchKey", now)
    expires, given = request.query.get("Expires", ""), request.query.get("Signature", "")
    known = expires.isdecimal() and given == _signature(request.path, int(expires), given[:8])
    if not known or int(expires) < now:
        return _error(403, "AccessDenied", now)
    content = files[request.path]
    kind = mimetypes.guess_type(request.path)[0] or "application/octet-stream"
    etag = f'"{sha256(content).hexdigest()[:32]}"'
    headers = {**_date(now), "Content-Type": kind, "ETag": etag, "Accept-Ranges": "bytes"}
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if asked is None or request.headers.get("if-range", etag) != etag:
        return Response(200, headers, content)
    first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
    if first > last:
        return _error(416, "InvalidRange", now)
    headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
    return Response(206, headers, content[first : last + 1])


def _path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:  # whatever somebody typed
        return ""
    return unquote(parts.path) if parts.hostname == FILES_HOST else ""


def _signature(path: str, expires: int, number: str) -> str:
    return number + sha256(f"{path} {expires} {number}".encode()).hexdigest()[:40]


def _error(status: int, code: str, now: float) -> Response:
    xml = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code></Error>'
    return Response(status, {**_date(now), "Content-Type": "application/xml"}, xml.encode())


def _date(now: float) -> dict[str, str]:
    return {"Date": formatdate(now, usegmt=True)}
