"""How the package is built: imports point down, and each thing is known in one place."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import pylon_to_sqlite

PACKAGE = Path(pylon_to_sqlite.__file__).parent
NAME = PACKAGE.name

# What the writer is made of, which speaks SQL.
SQL = (
    "attachments",
    *("drift", "erase", "forget", "forgotten", "history", "holding", "issue_bodies", "layout"),
    *("memory", "migrations"),
    *("purge", "requesters", "runs", "stale", "subjects", "tables", "tombstones"),
    *("transactions", "unlisted", "withdraw"),
)

# From the top; whatever stands on one floor does not know the others there.
FLOORS = (
    ("__main__",),
    (
        *("cli", "connecting", "display", "download_options", "exits", "journal", "opening"),
        *("forget_command", "options", "running", "saying", "upkeep"),
    ),
    (
        *("estimate", "run", "sync", "children", "walks", "lookups", "reconcile", "reading"),
        *("withheld", "forgetting", "gather", "status", "serving", "raw", "rounds", "backup"),
        *("doctor", "examine", "mend", "readable"),
    ),
    ("client", "downloads", "folder", "answers", "lanes", "file", "auth", "metadata", "store"),
    SQL,
    (
        *("address", "addresses", "choice", "endings", "full_text", "limits", "plan", "reach"),
        *("belonging", "decoding", "exchange", "mentions", "meta", "privacy", "pseudonyms", "rows"),
        *("secrecy", "views"),
    ),
    (
        *("schema", "streams", "support_streams", "further_streams", "optional_streams", "stream"),
        *("errors", "values", "text", "unsigned"),
    ),
)
FLOOR = {module: len(FLOORS) - at for at, floor in enumerate(FLOORS) for module in floor}

# On the same floor: the command line has options and shows what happens, a run holds the engine,
# whose parts share one reading, the client reads answers, the parts of the writer share their
# transactions and their tables, which derive from the streams, which are made of what a stream is
# and of values.
BESIDE = {
    ("cli", "connecting"),
    ("cli", "display"),
    ("cli", "exits"),
    ("cli", "forget_command"),
    ("cli", "journal"),
    ("cli", "running"),
    ("cli", "upkeep"),
    ("connecting", "display"),
    ("forget_command", "display"),
    ("forget_command", "exits"),
    ("connecting", "exits"),
    ("display", "saying"),
    ("journal", "saying"),
    ("running", "display"),
    ("running", "journal"),
    ("upkeep", "connecting"),
    ("upkeep", "display"),
    ("upkeep", "exits"),
    ("upkeep", "options"),
    ("doctor", "examine"),
    ("doctor", "mend"),
    ("mend", "examine"),
    ("mend", "readable"),
    ("examine", "readable"),
    ("exits", "display"),
    ("cli", "options"),
    ("cli", "download_options"),
    ("client", "answers"),
    ("run", "gather"),
    ("estimate", "reading"),
    ("estimate", "reconcile"),
    ("estimate", "run"),
    ("estimate", "sync"),
    ("run", "reading"),
    ("run", "sync"),
    ("gather", "reading"),
    ("forgetting", "reading"),
    ("downloads", "folder"),
    ("folder", "file"),
    ("lookups", "children"),
    ("lookups", "reading"),
    ("sync", "children"),
    ("sync", "lookups"),
    ("sync", "reading"),
    ("sync", "reconcile"),
    ("sync", "walks"),
    ("run", "reconcile"),
    ("attachments", "purge"),
    ("attachments", "transactions"),
    ("reconcile", "reading"),
    ("children", "reading"),
    ("walks", "reading"),
    ("choice", "plan"),
    ("choice", "privacy"),
    ("choice", "pseudonyms"),
    ("mentions", "addresses"),
    ("pseudonyms", "addresses"),
    ("privacy", "pseudonyms"),
    ("privacy", "rows"),
    ("issue_bodies", "purge"),
    ("issue_bodies", "stale"),
    ("withdraw", "drift"),
    ("withdraw", "attachments"),
    ("withdraw", "issue_bodies"),
    ("withdraw", "history"),
    ("withdraw", "layout"),
    ("withdraw", "memory"),
    ("withdraw", "purge"),
    ("unlisted", "tombstones"),
    ("holding", "issue_bodies"),
    ("holding", "stale"),
    ("holding", "unlisted"),
    ("sync", "withheld"),
    ("withheld", "reading"),
    ("plan", "exchange"),
    ("memory", "transactions"),
    ("forget", "attachments"),
    ("forget", "erase"),
    ("forget", "layout"),
    ("forget", "purge"),
    ("forgotten", "forget"),
    ("subjects", "forget"),
    ("subjects", "forgotten"),
    ("erase", "drift"),
    ("erase", "layout"),
    ("erase", "purge"),
    ("layout", "attachments"),
    ("layout", "drift"),
    ("layout", "migrations"),
    ("purge", "transactions"),
    ("runs", "transactions"),
    ("tables", "drift"),
    ("tables", "layout"),
    ("tombstones", "tables"),
    ("schema", "streams"),
    ("schema", "stream"),
    ("streams", "stream"),
    ("streams", "support_streams"),
    ("streams", "further_streams"),
    ("streams", "optional_streams"),
    ("optional_streams", "further_streams"),
    ("optional_streams", "support_streams"),
    ("optional_streams", "stream"),
    ("support_streams", "stream"),
    ("further_streams", "stream"),
    ("values", "stream"),
    ("values", "errors"),
    ("values", "text"),
    ("values", "unsigned"),
}

# Who may know what is outside: one place for HTTP with Pylon and one for the hosts of files, which
# must have nothing of the other's, few for SQL, one floor that prints.
OUTSIDE = {
    "httpx": {"client", "downloads"},
    "sqlite_utils": {*SQL, "store"} - {"transactions"},
    "sqlite3": {
        *("file", "forgetting", "purge", "run", "status", "store", "transactions"),
        *("backup", "doctor", "examine", "full_text", "endings", "mend", "readable", "withdraw"),
    },
    "click": {
        *("cli", "connecting", "download_options", "exits", "opening", "options"),
        *("forget_command", "upkeep"),
    },
    "datasette": {"opening"},
    "subprocess": {"serving"},
}

# The plugin is a house of its own, from the top; of the rest it knows what describes a mirror.
PLUGIN_FLOORS = (
    ("__init__",),
    ("views", "described"),
    ("overview", "facts"),
    ("figures", "conversation"),
    ("pages", "links"),
    ("access", "mirrors", "charts", "told", "words"),
    ("sanitise",),
)
PLUGIN_FLOOR = {
    module: len(PLUGIN_FLOORS) - at for at, floor in enumerate(PLUGIN_FLOORS) for module in floor
}
PLUGIN_KNOWS = {"full_text", "meta", "metadata", "schema", "text", "views"}

LONGEST = 400

MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")
SANDBOX = sorted((PACKAGE / "sandbox").rglob("*.py"))
PLUGIN = sorted((PACKAGE / "plugin").glob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Dotted names that a module imports, wherever it does so; relative ones made absolute."""
    package = [NAME, *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            outer = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*outer, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{one.name}" for one in node.names)


def ours(path: Path) -> set[str]:
    """The parts of the package that a module imports: modules by name, or "sandbox"."""
    names = (name.split(".") for name in imported(path))
    found = {name[1] for name in names if name[0] == NAME and len(name) > 1}
    return found & {*MODULES, "plugin", "sandbox"}


def test_every_module_has_its_floor() -> None:
    assert sorted(FLOOR) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    for other in ours(PACKAGE / f"{module}.py") - {"plugin", "sandbox", module}:
        below = FLOOR[other] < FLOOR[module]
        assert below or (module, other) in BESIDE, f"{module} imports {other}"


def test_no_exception_is_out_of_date() -> None:
    for module, other in BESIDE:
        assert FLOOR[module] == FLOOR[other]
        assert other in ours(PACKAGE / f"{module}.py")


def test_client_and_store_do_not_know_each_other() -> None:
    assert "store" not in ours(PACKAGE / "client.py")
    assert "client" not in ours(PACKAGE / "store.py")


@pytest.mark.parametrize("module", MODULES)
def test_the_outside_is_known_in_one_place(module: str) -> None:
    tops = {name.partition(".")[0] for name in imported(PACKAGE / f"{module}.py")}
    for library in tops & set(OUTSIDE):
        assert module in OUTSIDE[library], f"{module} imports {library}"


@pytest.mark.parametrize("path", SANDBOX, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_sandbox_stands_alone(path: Path) -> None:
    # A Pylon that shared code with its mirror would share its mistakes. The demo's own module
    # looks at the file that it is to make.
    allowed = {"errors", "file"} if path.stem == "demo" else set()
    assert ours(path) <= {"sandbox", *allowed}


@pytest.mark.parametrize("path", PLUGIN, ids=lambda path: path.stem)
def test_the_plugin_is_built_so_too(path: Path) -> None:
    names = (name.split(".") for name in imported(path))
    inside = {name[2] for name in names if name[:2] == [NAME, "plugin"] and len(name) > 2}
    for other in inside & set(PLUGIN_FLOOR):
        assert PLUGIN_FLOOR[other] < PLUGIN_FLOOR[path.stem], f"{path.stem} imports {other}"
    assert ours(path) <= {"plugin", *PLUGIN_KNOWS}


def test_every_part_of_the_plugin_has_its_floor() -> None:
    assert sorted(PLUGIN_FLOOR) == [path.stem for path in PLUGIN]


def test_nothing_but_datasette_knows_the_plugin() -> None:
    assert [module for module in MODULES if "plugin" in ours(PACKAGE / f"{module}.py")] == []


def test_only_the_command_line_knows_the_sandbox() -> None:
    assert [module for module in MODULES if "sandbox" in ours(PACKAGE / f"{module}.py")] == ["cli"]


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_each_module_says_what_it_knows_and_is_short(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(source))
    assert path.stem not in {"utils", "helpers", "base", "manager"}
    assert len(source.splitlines()) <= LONGEST


@pytest.mark.parametrize("name", ["bound", "local", "peer", "reading", "upkeep"])
def test_a_benchmark_has_what_it_measures(name: str) -> None:
    """They are run by hand, so nobody else would notice what was renamed."""
    assert callable(importlib.import_module(f"benchmarks.{name}").run)
