"""How the program ends: each error as one line on stderr, with its exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from pylon_to_sqlite.display import Display
from pylon_to_sqlite.endings import (
    BUSY,
    FAILED,
    MORE_TO_DO,
    NOT_AUTHORISED,
    USAGE,
    ending_of,
)
from pylon_to_sqlite.errors import MoreToDo, PylonError

__all__ = ["BUSY", "FAILED", "MORE_TO_DO", "NOT_AUTHORISED", "USAGE", "exit_statuses", "leave"]

# Seconds that a worker may take to notice that the run is over.
PATIENCE = 1.0

Tell = Callable[[str, int], None]
"""Takes a sentence and the exit status that goes with it."""


@contextmanager
def exit_statuses(
    stopped: str = "Stopped.",
    tell: Tell | None = None,
    crashed: Callable[[Exception], None] | None = None,
) -> Iterator[None]:
    """Turn each error into a sentence, told on stderr unless to another, and its exit status;
    `crashed` is told what should not be, of which Python else tells."""
    tell = tell or Display(False, False).ended
    try:
        yield
    except PylonError as error:
        status = ending_of(error).exit_status
        tell(str(error), status)
        leave(status)
    except OSError as error:
        # Such as a full disk behind standard output, which would fail again at the very end.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - stays open to the very end
        tell(error.strerror or str(error), FAILED)
        leave(FAILED)
    except (KeyboardInterrupt, MoreToDo):
        tell(stopped, MORE_TO_DO)
        leave(MORE_TO_DO)
    except (click.ClickException, click.Abort, click.exceptions.Exit):
        raise
    except Exception as error:
        if crashed is None:
            raise
        crashed(error)
        leave(FAILED)


def leave(status: int) -> NoReturn:
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
