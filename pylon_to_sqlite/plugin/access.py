"""What an actor may see, asked in the way of each of Datasette's two lines."""

from typing import Any

from datasette import Forbidden


async def may(datasette: Any, actor: Any, action: str, database: str, table: str) -> bool:
    """Whether the actor may do `action` (view-table, view-query) with a table or query. What is
    said of the database, and of the whole, holds where nothing is said of it."""
    if hasattr(datasette, "allowed"):
        return bool(
            await datasette.allowed(
                action=action, resource=_resource(action, database, table), actor=actor
            )
        )
    permissions = [(action, (database, table)), ("view-database", database), "view-instance"]
    try:
        await datasette.ensure_permissions(actor, permissions)
    except Forbidden:
        return False
    return True


def _resource(action: str, database: str, name: str) -> Any:
    # Datasette 1.0 only.
    from datasette import resources

    if action == "view-query":
        return resources.QueryResource(database, name)
    return resources.TableResource(database, name)


async def is_offered(datasette: Any, actor: Any, database: str, query: str) -> bool:
    """Whether there is a canned query of this name: a file may lack the tables of one of ours, and
    may have become a mirror after Datasette's start. Of others nobody may be asked."""
    if hasattr(datasette, "get_canned_query"):
        return await datasette.get_canned_query(database, query, actor) is not None
    return await datasette.get_query(database, query) is not None
