"""How the program ends: each error as one line on stderr, with its exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import click

from pylon_to_sqlite.display import Display
from pylon_to_sqlite.endings import FAILED, MORE_TO_DO, ending_of
from pylon_to_sqlite.errors import MoreToDo, PylonError
from pylon_to_sqlite.secrecy import Secret

# As a shell tells of a program that SIGPIPE ended.
READER_LEFT = 128 + 13

# Seconds that a worker may take to notice that the run is over.
PATIENCE = 1.0

Tell = Callable[[str, int], None]
"""Takes a sentence and the exit status that goes with it."""


@contextmanager
def exit_statuses(stopped: str = "Stopped.", tell: Tell | None = None) -> Iterator[None]:
    """Turn each error into a sentence, told on stderr unless to another, and its exit status."""
    told = tell or Display(False, False).ended

    def tell_(sentence: str, status: int) -> None:
        told(without_secrets(sentence), status)

    try:
        yield
    except (click.ClickException, click.exceptions.Exit):
        raise
    except PylonError as error:
        status = ending_of(error).exit_status
        tell_(str(error), status)
        leave(status)
    except BrokenPipeError:
        # Who reads has read enough, as head has: no error, but not all was told either. The rest
        # would fail again at the very end.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - stays open to the very end
        leave(READER_LEFT)
    except OSError as error:
        # Such as a full disk behind standard output, which would fail again at the very end.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - stays open to the very end
        tell_(error.strerror or str(error), FAILED)
        leave(FAILED)
    except (KeyboardInterrupt, click.Abort, MoreToDo):
        tell_(stopped, MORE_TO_DO)
        leave(MORE_TO_DO)
    except MemoryError:
        tell_("there is not enough memory. What was committed stays", FAILED)
        leave(FAILED)
    except Exception as error:
        if _is_interrupt(error):
            tell_(stopped, MORE_TO_DO)
            leave(MORE_TO_DO)
        tell_(mistake(error), FAILED)
        leave(FAILED)


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether it was Ctrl-C before Python made another error of it, as it does where one comes
    while a class is being made."""
    while error and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def mistake(error: Exception) -> str:
    """A mistake of this program's own as a sentence, with all that its traceback tells of where.
    Not with what: the words of an error, as variables, may be a customer's."""
    from traceback import extract_tb

    frames = extract_tb(error.__traceback__)
    where = ", ".join(f"{os.path.basename(one.filename)}:{one.lineno}" for one in frames)
    what = f"{type(error).__name__} (at {where})"
    return f"{what}. This is a mistake in pylon-to-sqlite: please report this line"


_secrets: list[Secret] = []


def keep_secret(token: str) -> None:
    """From here on, nothing that ends the program shows this: an error may come from anywhere, and
    who tells of it does not know what is in it."""
    _secrets[:] = [Secret(token)]


def without_secrets(text: str) -> str:
    """`text`, fit to be shown."""
    for secret in _secrets:
        text = secret.hide(text)
    return text


def leave(status: int) -> NoReturn:
    """Exit soon, even while a worker waits for an answer that may take Pylon a minute."""
    import threading
    import time

    end = time.monotonic() + PATIENCE
    workers = [thread for thread in threading.enumerate() if thread.name.startswith("lane ")]
    for worker in workers:
        # One that Ctrl-C kept from starting has nothing to end.
        with suppress(RuntimeError):
            worker.join(max(0, end - time.monotonic()))
    if any(worker.is_alive() for worker in workers):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
