"""One question to Pylon and one answer, as all that stands between them sees it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import quote

from pylon_to_sqlite.errors import Unexpected

# Keys are UUIDs; an address has room for no more than some thousand signs.
LONGEST_KEY = 500
# Where the endpoint decides how many records there are, and they are too many for one answer.
FEWER = 100


@dataclass(frozen=True)
class Request:
    """One question to Pylon. `template` is the endpoint whose allowance it draws on."""

    method: Literal["GET", "POST"]
    path: str
    template: str
    params: Mapping[str, str | list[str]] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    cursor: str | None = None
    is_for_one: bool = False
    """Whether a single record answers it, which then is a page of one."""
    limit: int = 0
    """Records a page that were asked for, 0 where the endpoint decides."""
    is_cut_off: bool = False
    """Whether a full page is all that is given, without a word of more."""

    @property
    def most(self) -> int:
        """Records that an answer can hold, 0 where the endpoint decides."""
        return 1 if self.is_for_one else self.limit


@dataclass(frozen=True)
class Page:
    """One answer: its records as they came, and the cursor of the next page, if there is one."""

    records: list[Any]
    cursor: str | None = None
    told_at: str | None = None
    """When Pylon gave it, by its own clock: a cache can answer with an old one."""
    is_silent: bool = False
    """Whether it held no list at all, which may mean an empty one or a passing fault."""
    is_bare: bool = False
    """Whether it did not even say so, but had no word of data."""


def smaller(request: Request) -> Request | None:
    """The same question for fewer records a page; None where fewer would not be all there are, or
    cannot be asked for."""
    if request.is_for_one or request.is_cut_off or request.limit == 1:
        return None
    limit = max(1, request.limit // 4) if request.limit else FEWER
    if request.body is not None:
        return replace(request, limit=limit, body={**request.body, "limit": limit})
    return replace(request, limit=limit, params={**request.params, "limit": str(limit)})


def path_segment(key: str | None) -> str:
    """A key as one segment of a path. Raises Unexpected where it could name another path: many
    servers take %2F for a slash."""
    is_odd = not key or key in (".", "..") or len(key) > LONGEST_KEY
    if not key or is_odd or not key.isprintable() or set(key) & set("/\\"):
        raise Unexpected(f"a key that cannot be asked for: {str(key)[:80]!r}")
    return quote(key, safe="")
