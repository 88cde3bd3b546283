"""The `datasette serve` that serving.py runs as a process of its own: it tells where the overview
is, and --open leads there."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from datasette import cli as datasette
from datasette.utils import tilde_encode


def main() -> None:
    """Run Datasette with the arguments of this process, of which the first one is the mirror."""
    arguments = sys.argv[1:]
    name = Path(arguments[0]).stem
    # Else it would be a page of its own choice that is opened.
    datasette.initial_path_for_datasette = _overview_of(name)
    address = _address(name, arguments)
    if address:
        click.echo(f"Overview: {address}", err=True)
    datasette.cli(["serve", *arguments], prog_name="datasette")


def _address(name: str, arguments: Sequence[str]) -> str:
    """Where the overview will be; "" where that cannot be told, or nothing will be served."""
    try:
        given = datasette.serve.make_context("serve", list(arguments)).params
    except (click.ClickException, click.exceptions.Exit):
        # What is wrong Datasette itself tells.
        return ""
    if not given["port"] or any(given.get(one) for one in ("uds", "get", "help_settings")):
        return ""
    # Datasette 1.0 puts a prefix before the names of settings.
    settings = {key.removeprefix("settings."): value for key, value in given["settings"]}
    base = str(settings.get("base_url") or "/").rstrip("/")
    scheme = "https" if given["ssl_keyfile"] else "http"
    return f"{scheme}://{given['host']}:{given['port']}{base}/{tilde_encode(name)}/-/pylon"


def _overview_of(name: str) -> Any:
    async def path(served: Any) -> str:
        return f"{served.urls.database(name)}/-/pylon"

    return path
