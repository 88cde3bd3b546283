"""The package as a Datasette plugin: the hooks only. Whatever a hook needs is imported when it is
called, for every `datasette` command imports this."""

from __future__ import annotations

from typing import Any

from datasette import hookimpl

# Some hooks are there in one of Datasette's two lines only: get_metadata and canned_queries in
# 0.65, top_homepage and top_database in 1.0.


@hookimpl(optionalhook=True)
def startup(datasette: Any) -> Any:
    """Find the mirrors among the files, and tell Datasette 1.0 what they hold."""
    from pylon_to_sqlite.plugin.described import describe

    return lambda: describe(datasette)


@hookimpl(optionalhook=True)
def get_metadata(datasette: Any, key: str | None) -> dict[str, Any]:
    """What Datasette 0.65 asks for."""
    from pylon_to_sqlite.plugin.described import metadata

    return metadata(datasette, key)


@hookimpl(optionalhook=True)
def canned_queries(datasette: Any, database: str) -> dict[str, Any]:
    """What Datasette 0.65 asks for."""
    from pylon_to_sqlite.plugin.described import canned

    return canned(datasette, database)


@hookimpl(optionalhook=True)
def register_routes() -> list[tuple[str, Any]]:
    """The pages of our own, below each database, and the way to them."""
    from pylon_to_sqlite.plugin.views import conversation, overview, overviews

    return [
        (r"^/-/pylon$", overviews),
        (r"^/(?P<database>[^/]+)/-/pylon$", overview),
        (r"^/(?P<database>[^/]+)/-/conversation/(?P<issue>[^/]+)$", conversation),
    ]


@hookimpl(optionalhook=True)
def render_cell(
    row: Any, value: Any, column: str, table: str | None, database: str, datasette: Any
) -> Any:
    """Links to conversations, in the rows of issues and messages."""
    from pylon_to_sqlite.plugin.links import cell

    return cell(datasette, database, table, column, value, row)


@hookimpl(optionalhook=True)
def menu_links(datasette: Any, actor: Any) -> Any:
    """The overviews, in the menu of every page."""
    from pylon_to_sqlite.plugin.links import overviews

    return lambda: overviews(datasette, actor)


@hookimpl(optionalhook=True)
def database_actions(datasette: Any, actor: Any, database: str) -> Any:
    """The overview, in the menu of its database."""
    from pylon_to_sqlite.plugin.links import overviews

    return lambda: overviews(datasette, actor, database)


@hookimpl(optionalhook=True)
def top_homepage(datasette: Any, request: Any) -> Any:
    """The overviews, on top of the first page of Datasette 1.0."""
    from pylon_to_sqlite.plugin.links import banner

    return lambda: banner(datasette, request)


@hookimpl(optionalhook=True)
def top_database(datasette: Any, request: Any, database: str) -> Any:
    """The overview, on top of a database's page of Datasette 1.0."""
    from pylon_to_sqlite.plugin.links import banner

    return lambda: banner(datasette, request, database)
