"""What the pages of our own share: reading a mirror as far as the actor may, and answering with
nothing in the page that could run, load or lead astray."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from datasette import Forbidden, NotFound, Response
from datasette.utils import tilde_decode, tilde_encode

from pylon_to_sqlite.metadata import metadata_for
from pylon_to_sqlite.plugin.access import is_offered, may
from pylon_to_sqlite.plugin.mirrors import is_mirror
from pylon_to_sqlite.text import clean

# No script at all, no picture, and no style but that of our file: what strangers wrote is in here.
POLICY = (
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "private, no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_STYLE = Path(__file__).parent / "static" / "pages.css"

Row = dict[str, Any]
ResultType = TypeVar("ResultType")


@cache
def _queries() -> dict[str, dict[str, Any]]:
    """The canned queries as Datasette is told of them."""
    queries: dict[str, dict[str, Any]] = metadata_for(["it"])["databases"]["it"]["queries"]
    return queries


class Mirror:
    """One mirror, as far as whoever asks may see it."""

    def __init__(self, datasette: Any, request: Any, name: str) -> None:
        self.datasette = datasette
        self.request = request
        self.name = name
        self._database = datasette.get_database(name)
        self._tables: set[str] = set()
        self._allowed: dict[str, bool] = {}
        self._questions: dict[str, bool] = {}

    @classmethod
    async def of(cls, datasette: Any, request: Any, needed: Sequence[str]) -> "Mirror":
        """The mirror that the address names. Not found where there is none; forbidden where a
        table that the page is made of is."""
        name = tilde_decode(request.url_vars["database"])
        if name not in datasette.databases:
            raise NotFound(f"Database not found: {name}")
        mirror = cls(datasette, request, name)
        if not await is_mirror(mirror._database):
            raise NotFound("This is no mirror of a Pylon workspace")
        mirror._tables = {one.lower() for one in await mirror._database.table_names()}
        for table in needed:
            if not await may(datasette, request.actor, "view-table", name, table):
                raise Forbidden("view-table")
        return mirror

    async def has(self, *tables: str) -> bool:
        """Whether these tables are there, and may be seen. An earlier version has fewer."""
        for table in tables:
            if table not in self._allowed:
                self._allowed[table] = table in self._tables and await may(
                    self.datasette, self.request.actor, "view-table", self.name, table
                )
        return all(self._allowed[table] for table in tables)

    async def rows(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        """The rows of a question; tables in it are to be asked for with `has` first."""
        found = await self._database.execute(sql, dict(params or {}))
        return [dict(zip(found.columns, tuple(row), strict=True)) for row in found.rows]

    async def in_thread(self, work: Callable[[], ResultType]) -> ResultType:
        """The result of work that would hold up other requests."""
        return await asyncio.to_thread(work)

    def table(self, table: str, **filters: str) -> str:
        """The address of a table's page."""
        path = str(self.datasette.urls.table(self.name, table))
        return f"{path}?{urlencode(filters)}" if filters else path

    def row(self, table: str, key: str) -> str:
        """The address of a row's page."""
        return f"{self.table(table)}/{tilde_encode(key)}"

    async def query(self, name: str, **given: str) -> str:
        """The address of a canned query, with its chart where it has one, and with what is given
        of its parameters; "" where there is none of this name, or it may not be seen."""
        told = _queries().get(name)
        if told is None:
            return ""
        if name not in self._questions:
            actor = self.request.actor
            self._questions[name] = await is_offered(
                self.datasette, actor, self.name, name
            ) and await may(self.datasette, actor, "view-query", self.name, name)
        if not self._questions[name]:
            return ""
        fragment = told.get("fragment")
        path = str(self.datasette.urls.query(self.name, name))
        known = {key: value for key, value in given.items() if f":{key}" in told["sql"]}
        path = f"{path}?{urlencode(known)}" if known else path
        return f"{path}#{fragment}" if fragment else path

    async def answer(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """A page about the mirror."""
        url = self.datasette.urls.database(self.name)
        shared = {
            "database_name": self.name,
            "database_url": url,
            "overview_url": f"{url}/-/pylon",
        }
        return await answer(
            self.datasette, self.request, template, status=status, **{**shared, **context}
        )


async def answer(
    datasette: Any, request: Any, template: str, *, status: int = 200, **context: Any
) -> Response:
    """A page."""
    style = datasette.urls.static_plugins("pylon-to-sqlite", "pages.css")
    shared = {
        "style": f"{style}?{int(_STYLE.stat().st_mtime)}",
        "home": datasette.urls.instance(),
    }
    page = await datasette.render_template(template, {**shared, **context}, request=request)
    # JSON in a column may hold what UTF-8 cannot.
    return Response.html(clean(page), status=status, headers=dict(HEADERS))
