"""How the program ends: each error as one line on stderr, with its exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from pylon_to_sqlite.display import shown
from pylon_to_sqlite.errors import Busy, MoreToDo, PylonError, Unauthorized, Unusable

# Seconds that a worker may take to notice that the run is over.
PATIENCE = 1.0

FAILED, USAGE, NOT_AUTHORISED, BUSY, MORE_TO_DO = 1, 2, 3, 4, 5


@contextmanager
def exit_statuses(stopped: str = "Stopped.") -> Iterator[None]:
    """Turn each error into one line on stderr and its exit status."""
    try:
        yield
    except PylonError as error:
        click.echo(f"Error: {shown(str(error))}", err=True)
        statuses = {Unauthorized: NOT_AUTHORISED, Busy: BUSY, Unusable: USAGE}
        _leave(statuses.get(type(error), FAILED))
    except OSError as error:
        # Such as a full disk behind standard output, which would fail again at the very end.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - stays open to the very end
        click.echo(f"Error: {error.strerror or error}", err=True)
        _leave(FAILED)
    except (KeyboardInterrupt, MoreToDo):
        click.echo(stopped, err=True)
        _leave(MORE_TO_DO)


def _leave(status: int) -> NoReturn:
    """Exit soon, even while a worker waits for an answer that may take Pylon a minute."""
    import threading
    import time

    end = time.monotonic() + PATIENCE
    workers = [thread for thread in threading.enumerate() if thread.name.startswith("lane ")]
    for worker in workers:
        worker.join(max(0, end - time.monotonic()))
    if any(worker.is_alive() for worker in workers):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
