"""From the options that say whose workspace it is to a client."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pylon_to_sqlite.display import Display
from pylon_to_sqlite.errors import Unauthorized
from pylon_to_sqlite.exits import keep_secret

if TYPE_CHECKING:
    from pylon_to_sqlite.client import Client


def client_of(
    token: str | None,
    auth: Path,
    api_url: str | None,
    warn: Callable[[str], None] | None = None,
) -> tuple[Client, str]:
    """A client, and where its token came from. What should be mended about that, `warn` takes."""
    from pylon_to_sqlite.auth import load

    if token == "" and is_given("token"):
        raise Unauthorized("--token is empty")
    if token:
        source = "--token" if is_given("token") else "PYLON_API_TOKEN"
    else:
        token, source, warning = load(auth)
        if warning:
            (warn or Display(False, False).warning)(warning)
    return connected(token, api_url), source


def connected(token: str, api_url: str | None) -> Client:
    """A client that tells why it waits."""
    from pylon_to_sqlite.address import url_of
    from pylon_to_sqlite.client import Client

    token = token.strip()
    keep_secret(token)
    client = Client(token, api_url or url_of(token))
    client.on_wait = Display(False, False).waiting
    return client


def is_given(option: str) -> bool:
    """Whether an option stands on the command line, and not in the environment."""
    source = click.get_current_context().get_parameter_source(option)
    return source is click.core.ParameterSource.COMMANDLINE


def asked_for() -> str:
    """A token, typed without being shown or from a pipe."""
    if sys.stdin and sys.stdin.isatty():
        return str(click.prompt("Pylon API token", hide_input=True))
    if token := sys.stdin.readline().strip() if sys.stdin else "":
        return token
    raise click.Abort
