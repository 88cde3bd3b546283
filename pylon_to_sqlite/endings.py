"""How a run can end: its exit status, and the words that its record keeps of it."""

from dataclasses import dataclass

from pylon_to_sqlite.errors import Busy, MoreToDo, PylonError, Unauthorized, Unusable

FAILED, USAGE, NOT_AUTHORISED, BUSY, MORE_TO_DO = 1, 2, 3, 4, 5

_STATUSES = {Unauthorized: NOT_AUTHORISED, Busy: BUSY, Unusable: USAGE}


@dataclass(frozen=True)
class Ending:
    """How a run ended. `error` tells why, or what else went wrong, but for the failures of single
    streams, which have records of their own."""

    outcome: str = "ok"
    exit_status: int = 0
    error: str | None = None


INTERRUPTED = Ending("interrupted", MORE_TO_DO)


def ending_of(error: BaseException) -> Ending:
    """How a run ends that this ends."""
    import sqlite3

    if isinstance(error, PylonError):
        return Ending("failed", _STATUSES.get(type(error), FAILED), str(error))
    if isinstance(error, sqlite3.Error | OSError):
        return Ending("failed", FAILED, str(error))
    # Only what was asked for has a status of its own: of anything else Python gives 1.
    is_asked_for = isinstance(error, KeyboardInterrupt | MoreToDo)
    return INTERRUPTED if is_asked_for else Ending("interrupted", FAILED)
