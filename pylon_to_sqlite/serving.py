"""Datasette over a mirror, which its plugin describes; and that as metadata, for a file."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pylon_to_sqlite import file
from pylon_to_sqlite.errors import Unusable
from pylon_to_sqlite.metadata import metadata_for, withheld
from pylon_to_sqlite.views import SCHEMA

# Not `-m`: that would run a datasette.py of the directory one stands in.
DATASETTE = "import sys; sys.path.remove(''); from pylon_to_sqlite.opening import main; main()"

TOKEN = "PYLON_API_TOKEN"


def metadata_of(path: Path) -> dict[str, Any]:
    """Metadata for the file at `path`, which need not be a mirror yet; of what is the user's own
    in it, nothing is told, nor of queries that it has no tables for."""
    names: set[str] = set()
    with suppress(Unusable), file.reading(path) as connection:
        names = withheld(connection.execute(SCHEMA))
    return metadata_for([path.stem], names)


def serve(path: Path, arguments: Sequence[str]) -> int:
    """Run `datasette serve` on the mirror at `path` until it is stopped. Gives 0, or 1 where
    Datasette failed, for its own exit statuses mean other things than ours."""
    with file.reading(path):
        pass
    command = [sys.executable, "-c", DATASETTE, str(path.resolve()), *arguments]
    # A session of its own, so that a signal reaches it once, whoever it was sent to.
    # Without the token, which neither it nor the browser that it opens has a use for.
    kept = {name: value for name, value in os.environ.items() if name != TOKEN}
    process = subprocess.Popen(command, start_new_session=True, env=kept)
    is_ended: list[int] = []

    def end(number: int, _: object) -> None:
        is_ended.append(number)
        process.terminate()

    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, end)
    status = process.wait()
    return 0 if is_ended or status == 0 else 1
