"""The views of the file, one a `views/NAME.sql`: what describes them stands beside their SQL."""

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from typing import NamedTuple

# A column of the answer ends its line with what it is, after its name.
_COLUMN = re.compile(r"(?:\.|\bAS )(\w+),? -- (.+)$", re.MULTILINE)


class View(NamedTuple):
    """A view: the first comment of its file describes it, a comment each of its columns."""

    name: str
    description: str
    columns: Mapping[str, str]
    query: str

    @property
    def sql(self) -> str:
        """What creates it."""
        return f"CREATE VIEW {self.name} AS {mark_of(self.name)}\n{self.query}"


# Whatever can be in the way of a view: a trigger is in nobody's.
SCHEMA = "SELECT name, coalesce(sql, '') FROM sqlite_master WHERE type != 'trigger'"


def taken(schema: Iterable[tuple[str, str]]) -> set[str]:
    """The names of views that bear something of the user's own, in a file of this SCHEMA."""
    return {name.lower() for name, sql in schema if mark_of(name) not in sql} & {*VIEWS}


def mark_of(name: str) -> str:
    """What stands in the SQL of a view of this name that is ours, whichever version made it."""
    return f"-- The view {name} of pylon-to-sqlite; made anew where a version has another."


def _views() -> Iterator[View]:
    folder = files("pylon_to_sqlite") / "views"
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.name.endswith(".sql"):
            name, lines = path.name.removesuffix(".sql"), path.read_text("utf-8").splitlines()
            described = []
            while lines[0].startswith("--"):
                described.append(lines.pop(0).removeprefix("--").strip())
            query = "\n".join(lines).strip()
            yield View(name, " ".join(described), dict(_COLUMN.findall(query)), query)


VIEWS: Mapping[str, View] = {view.name: view for view in _views()}
