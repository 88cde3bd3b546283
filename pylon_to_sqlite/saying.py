"""What is said on stderr, whatever becomes of that: a reader that goes, a disk that is full."""

import os
import sys
from typing import TextIO


class Voice:
    """Writes to stderr, and is silent where it cannot: that is no reason to stop the work. A disk
    that was full may have room again, so the stream is kept and tried with each word."""

    def __init__(self) -> None:
        self._full: TextIO | None = None

    def say(self, text: str) -> None:
        """Write it, and at once."""
        stream = self._full or sys.stderr
        if stream is None:
            return
        try:
            # Python keeps some of what found no room, and writes it first.
            stream.write(text)
            stream.flush()
        except (OSError, ValueError) as error:
            if self._full is None:
                # Else Python fails at the very end, when it flushes what is left.
                sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - stays open to the very end
            is_gone = isinstance(error, BrokenPipeError | ValueError)
            self._full = None if is_gone else stream
        else:
            sys.stderr, self._full = stream, None
