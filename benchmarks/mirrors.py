"""The mirror that reading is measured on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.local import engine
from benchmarks.program import progress
from benchmarks.workspaces import workspace
from pylon_to_sqlite.sandbox.api import Api

ISSUES, MESSAGES = 100_000, 10


@contextmanager
def mirrored(quick: bool) -> Iterator[tuple[Path, int]]:
    """A mirror of so many issues with so many messages each, for as long as it is looked at; few
    where it is to be quick. With how many issues it has."""
    issues = 500 if quick else ISSUES
    with TemporaryDirectory() as directory:
        path = Path(directory, "mirror.db")
        progress(f"making a mirror of {issues:,} issues")
        engine(Api(workspace(issues, MESSAGES), allowance=None, log=False), str(path))
        yield path, issues
