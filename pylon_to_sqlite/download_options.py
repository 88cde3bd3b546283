"""The options of sync that are about the contents of files, and what they ask for."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pylon_to_sqlite.client import Client
    from pylon_to_sqlite.downloads import Downloads

_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*([KMGT]?)B?", re.ASCII)


def size_of(ctx: click.Context, param: click.Parameter, value: str) -> int:
    """A number of bytes, such as 500KB, 100MB or 2GB."""
    match = _SIZE.fullmatch(value.strip().upper())
    size = float(match[1]) * 1000 ** " KMGT".index(match[2] or " ") if match else 0
    if size < 1:
        raise click.BadParameter(f"{value!r} is no size: write 500KB, 100MB or 2GB")
    return int(size)


def downloads(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options, for a command that takes download_attachments and attachment_limit."""
    where = click.option(
        "--download-attachments",
        metavar="DIR",
        type=click.Path(file_okay=False, path_type=Path),
        help="At the end, fetch the contents of files into DIR, once each, named by their hash;"
        " those of deleted files are removed from it. Give DIR in every run that is to do so.",
    )
    limit = click.option(
        "--attachment-limit",
        metavar="SIZE",
        default="100MB",
        callback=size_of,
        show_default=True,
        help="Leave out files that are larger.",
    )
    return where(limit(command))


def downloads_of(client: Client, directory: Path | None, limit: int) -> Downloads | None:
    """What fetches files into the directory, if there is one."""
    if directory is None:
        return None
    from pylon_to_sqlite.downloads import Downloads
    from pylon_to_sqlite.folder import Folder

    return Downloads(Folder(directory), limit, is_local=client.api_url.startswith("http://"))
