"""The same mirror with dlt's REST API source, as its documentation tells to write it.

Runs in an environment that has dlt and nothing of ours, in the directory where the file
`pylon.duckdb` is to be:

    PYLON_API_TOKEN=… python peer_dlt.py https://api.usepylon.com WAY

WAY is `sequential` (what one gets without asking for more), `parallel` (`parallelized`, which the
documentation has for such children), or `told`: parallel too, and a response action hands the
X-Retry-After of Pylon's 429 on as the Retry-After that dlt's retries go by.

Prints one object of JSON: the rows of the large tables, dlt's version, and the error, if any.
"""

import json
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import dlt  # type: ignore[import-not-found]
from dlt.sources.helpers import requests  # type: ignore[import-not-found]
from dlt.sources.rest_api import (  # type: ignore[import-not-found]
    RESTAPIConfig,
    rest_api_source,
)

PAGE = 999
TABLES = ("issues", "issue_messages", "issue_threads")
# A worker may be refused again when others were quicker in the new minute.
ATTEMPTS = 12


def hand_on_wait(response: requests.Response, *args: Any, **kwargs: Any) -> requests.Response:
    """Give the wait that Pylon asks for the name that dlt knows."""
    if wait := response.headers.get("X-Retry-After"):
        response.headers["Retry-After"] = wait
    return response


def configuration(url: str, way: str) -> RESTAPIConfig:
    """What is read, and how."""
    actions: list[Callable[..., Any]] = [hand_on_wait] if way == "told" else []

    def plain(name: str, path: str, **params: object) -> dict[str, Any]:
        endpoint = {"path": path, "params": params, "response_actions": actions}
        return {"name": name, "endpoint": endpoint}

    def children(name: str, path: str) -> dict[str, Any]:
        return {
            **plain(name, path),
            "include_from_parent": ["id"],
            "parallelized": way != "sequential",
        }

    return {
        "client": _client(url, way),
        "resource_defaults": {
            "primary_key": "id",
            "write_disposition": "merge",
            "endpoint": {"data_selector": "data"},
        },
        "resources": [
            plain("users", "users"),
            plain("teams", "teams"),
            plain("tags", "tags"),
            plain("custom_fields", "custom-fields", object_type="issue"),
            plain("accounts", "accounts", limit=PAGE),
            plain("contacts", "contacts", limit=PAGE),
            {"name": "issues", "endpoint": {**_search(), "response_actions": actions}},
            children("issue_messages", "issues/{resources.issues.id}/messages"),
            children("issue_threads", "issues/{resources.issues.id}/threads"),
        ],
    }


def _client(url: str, way: str) -> dict[str, Any]:
    """Whom to ask, and how pages follow each other."""
    client: dict[str, Any] = {
        "base_url": url,
        "auth": {"type": "bearer", "token": os.environ["PYLON_API_TOKEN"]},
        "paginator": {
            "type": "cursor",
            "cursor_path": "pagination.cursor",
            "cursor_param": "cursor",
        },
    }
    if way == "told":
        session = requests.Client(raise_for_status=False, request_max_attempts=ATTEMPTS).session
        client["session"] = session
    return client


def _search() -> dict[str, Any]:
    """Issues by the time of their last update."""
    return {
        "path": "issues/search",
        "method": "POST",
        "json": {
            "limit": PAGE,
            "filter": {
                "field": "updated_at",
                "operator": "time_is_after",
                "value": "{incremental.start_value}",
            },
        },
        "incremental": {"cursor_path": "updated_at", "initial_value": "2000-01-01T00:00:00Z"},
        "paginator": {
            "type": "cursor",
            "cursor_path": "pagination.cursor",
            "cursor_body_path": "cursor",
        },
    }


def rows(pipeline: dlt.Pipeline) -> dict[str, int]:
    """How many rows the large tables have."""
    found = dict.fromkeys(TABLES, 0)
    with pipeline.sql_client() as client:
        for table in TABLES:
            answer = client.execute_sql(f"SELECT count(*) FROM {table}")
            found[table] = answer[0][0] if answer else 0
    return found


def main(url: str, way: str) -> dict[str, Any]:
    """Load once."""
    pipeline = dlt.pipeline(
        pipeline_name="pylon",
        pipelines_dir="pipelines",
        destination=dlt.destinations.duckdb("pylon.duckdb"),
        dataset_name="support",
    )
    told: dict[str, Any] = {"version": version("dlt"), "rows": {}, "error": None}
    try:
        # As parallel as the rest of it can be: the lists are read side by side.
        source = rest_api_source(configuration(url, way), parallelized=way != "sequential")
        pipeline.run(source)
        told["rows"] = rows(pipeline)
    except Exception as error:
        told["error"] = _in_one_line(error)
    return told


def _in_one_line(error: BaseException) -> str:
    """What went wrong in the first place; where it did, changes from run to run."""
    while error.__cause__ is not None:
        error = error.__cause__
    said = str(error).partition(" for url: ")[0].strip().splitlines()
    return f"{type(error).__name__}: {said[0] if said else ''}"


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2])))
