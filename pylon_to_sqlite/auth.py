"""The token: where it comes from, and the file it is kept in."""

import json
import os
import stat
from pathlib import Path
from typing import Any, NamedTuple

from pylon_to_sqlite.errors import Unauthorized, Unusable

# Other tools of the family keep their tokens in the same file.
SECTION = "pylon"


class Token(NamedTuple):
    """A token and, for people, where it came from."""

    value: str
    source: str
    warning: str = ""
    """What should be mended about where it is kept."""

    def __repr__(self) -> str:
        return f"Token(from {self.source})"


def load(path: Path) -> Token:
    """The token in `path`. Raises Unauthorized where there is none, Unusable for a broken file."""
    section = _read(path).get(SECTION)
    token = section.get("token") if isinstance(section, dict) else None
    if not isinstance(token, str) or not token:
        raise Unauthorized(
            "there is no token: set PYLON_API_TOKEN, or run pylon-to-sqlite auth, which asks for"
            f" one and keeps it in {path}"
        )
    return Token(token, str(path), _warning_of(path))


def save(path: Path, token: str) -> None:
    """Put `token` into `path`, beside what other tools keep there, readable by the owner only."""
    content = _read(path)
    section = content.get(SECTION)
    content[SECTION] = {**(section if isinstance(section, dict) else {}), "token": token}
    beside = path.resolve().with_name(f".{path.name}.new")
    try:
        beside.unlink(missing_ok=True)
        with open(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(json.dumps(content, indent=4) + "\n")
        beside.replace(path.resolve())
    except OSError as error:
        raise Unusable(f"cannot write to {path}: {error.strerror}") from None


def _warning_of(path: Path) -> str:
    try:
        is_open = os.name == "posix" and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)
    except OSError:
        return ""
    if not is_open:
        return ""
    return f"other users of this machine can read the token in {path}: chmod 600 {path}"


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.exists() and not path.is_file():
            raise Unusable(f"{path} is no regular file: name another with --auth")
        content = json.loads(path.read_text(encoding="utf-8-sig").strip() or "{}")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Unusable(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise Unusable(f"{path} is no JSON file: mend it or name another with --auth") from None
    if not isinstance(content, dict):
        raise Unusable(f"{path} holds no JSON object: mend it or name another with --auth")
    return content
