"""What can go wrong, cut by what happens next. The command line turns each into one line."""


class PylonError(Exception):
    """Any failure that the user, Pylon or the file can cause; `str()` is a sentence for people."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Unauthorized(PylonError):
    """The token is missing, wrong, or another organisation's: everything stops."""


class Gone(PylonError):
    """Pylon no longer has what was asked for (404, 410): an answer, not a fault."""


class Refused(PylonError):
    """Pylon understood the question and will not answer it (400, 403, 409, 422)."""


class Unavailable(PylonError):
    """The retries are spent: this stream stops, the others go on."""


class Removed(Unavailable):
    """The file is not there any more, or another one is: what was read is lost with it."""


class Unexpected(PylonError):
    """The answer has the wrong shape: this stream stops and shows where."""


class Unusable(PylonError):
    """The file or a setting cannot be used: nothing was written."""


class Busy(PylonError):
    """Another sync holds the file."""


class MoreToDo(Exception):
    """The run was stopped, or its time is up: what was read is committed, the next one goes on.
    No PylonError, for it is nobody's failure and no stream may take it for one."""
