"""The sample workspace, served on this machine for `pylon-to-sqlite demo`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pylon_to_sqlite.errors import Unusable
from pylon_to_sqlite.file import held, inspect, is_empty
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.sample import fill
from pylon_to_sqlite.sandbox.server import Server
from pylon_to_sqlite.sandbox.workspace import Workspace

TOKEN = "pylon_api_sandbox"
NAME = "Pylon sample workspace"
CUSTOM_OBJECTS = ("gateways",)
"""The kinds of custom objects in it, which no API lists."""
ORGANIZATION = "5a3b1e00-0000-4000-8000-706c796f6e31"


def remove_old_sample(path: Path) -> None:
    """Make room for the sample at `path`: one made on another day has other issues. Raises
    Unusable for a file that holds anything else."""
    mirror = inspect(path)
    if not path.exists() or is_empty(path):
        return
    if mirror is None or mirror.organization_id != ORGANIZATION or mirror.other_tables:
        raise Unusable(f"{path} holds something else than the sample: name another file")
    with held(path):
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)


@contextmanager
def sample_server() -> Iterator[tuple[str, str]]:
    """The address of the sample's API and a token for it, while the block lasts."""
    workspace = Workspace(name=NAME, organization_id=ORGANIZATION)
    fill(workspace, now=time.time())
    with Server(Api(workspace, token=TOKEN, allowance=None, log=False)) as server:
        yield server.url, TOKEN
