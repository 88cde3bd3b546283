"""The directory that contents of files are kept in, each under its hash. Knows no HTTP, no SQL.

Nothing that a stranger typed becomes a path, but for a few letters and digits at its end.
"""

import os
import re
import secrets
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from pylon_to_sqlite.errors import Unusable
from pylon_to_sqlite.file import settle

MARK = ".pylon-to-sqlite"

_NAME = re.compile(r"([0-9a-f]{2})/\1[0-9a-f]{62}(\.[a-z0-9]{1,8})?")
_EXTENSION = re.compile(r".*(\.[A-Za-z0-9]{1,8})", re.DOTALL)
_INNER = re.compile(r"[0-9a-f]{2}")
_PART = re.compile(r"[0-9a-f]{32}\.part")


def name_of(content_hash: str, file_name: str | None) -> str:
    """Where contents belong, below the directory."""
    match = _EXTENSION.fullmatch(file_name or "")
    return f"{content_hash[:2]}/{content_hash}{match[1].lower() if match else ''}"


def hash_of(name: str) -> str:
    """The hash of the contents that are at `name`."""
    return name[3:67]


class Folder:
    """The directory at `path`, for one organisation's files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def claim(self, organization: str) -> None:
        """Make it, or take it over where it is empty of ours. Raises Unusable where it cannot be
        written to, or holds another organisation's files."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path = self.path.resolve()
            mark = self.path / MARK
            if not mark.exists():
                if any(map(_NAME.fullmatch, self._names())):
                    raise Unusable(f"{self.path} holds another program's files: use another")
                _write(part := self._part(), organization.encode())
                os.replace(part, mark)
            elif mark.read_text(encoding="utf-8", errors="replace") != organization:
                raise Unusable(f"{self.path} holds files of another organisation: use another")
            _write(part := self._part(), b"")
            part.unlink()
        except OSError as error:
            raise Unusable(f"cannot write to {self.path}: {error.strerror}") from None

    def check(self, organization: str) -> None:
        """Raise Unusable where it is no directory that was claimed for this organisation."""
        self.path = self.path.resolve()
        mark = self.path / MARK
        try:
            claimed = mark.read_text(encoding="utf-8", errors="replace") if mark.exists() else None
        except OSError as error:
            raise Unusable(f"cannot read {self.path}: {error.strerror}") from None
        if claimed != organization:
            raise Unusable(f"{self.path} is no directory that this mirror's files were kept in")

    def sweep(self, kept: Collection[str]) -> dict[str, int]:
        """Remove what an ended run left half done, and contents that are nobody's any more. Gives
        the sizes of those that are kept, by their names."""
        there: dict[str, int] = {}
        for name in filter(_PART.fullmatch, os.listdir(self.path)):
            os.unlink(self.path / name)
        for name in filter(_NAME.fullmatch, self._names()):
            status = os.lstat(self.path / name)
            if name in kept and stat.S_ISREG(status.st_mode):
                there[name] = status.st_size
            elif not stat.S_ISDIR(status.st_mode):
                os.unlink(self.path / name)
        return there

    def remove(self, names: Collection[str]) -> None:
        """Remove these contents. Raises Unusable where that is not possible."""
        for name in filter(_NAME.fullmatch, names):
            try:
                (self.path / name).unlink(missing_ok=True)
            except OSError as error:
                raise Unusable(f"cannot remove {self.path / name}: {error.strerror}") from None

    def begin(self) -> tuple[int, Path]:
        """A new file, half done, that only its owner can read: open for writing, and its path."""
        part = self._part()
        return os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), part

    def keep(self, part: Path, name: str) -> None:
        """Contents are whole, and on the disk: put them where they belong."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of contents")
        inner = self.path / name[:2]
        inner.mkdir(mode=0o700, exist_ok=True)
        if not stat.S_ISDIR(os.lstat(inner).st_mode):
            raise NotADirectoryError(20, f"{inner} is no directory of its own")
        os.replace(part, self.path / name)
        for directory in (inner, self.path):
            # Its name is to outlive a power cut, where that can be asked for.
            with suppress(OSError):
                settle(directory)

    def _names(self) -> Iterator[str]:
        """What is in the inner directories."""
        for entry in list(os.scandir(self.path)):
            if _INNER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                yield from (f"{entry.name}/{name}" for name in os.listdir(entry.path))

    def _part(self) -> Path:
        return self.path / f"{secrets.token_hex(16)}.part"


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        os.write(handle, content)
    finally:
        os.close(handle)
