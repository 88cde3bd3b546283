"""The program beside dlt, whose REST API source is what one would write such a mirror with."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import program, workspaces
from benchmarks.program import Asked, Ran, line, progress
from benchmarks.workspaces import Counts
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import Server
from pylon_to_sqlite.sandbox.workspace import Workspace

TITLE = "Beside dlt"

ALLOWANCE, MINUTE = 120, 60.0
MESSAGES = 4
CHANGED = 0.01
REQUIREMENT = "dlt[duckdb]>=1.31,<2"
OURS = "pylon-to-sqlite"
WAYS = ("sequential", "parallel", "told")
_SCRIPT = Path(__file__).with_name("peer_dlt.py")

_CAPTION = """\
dlt {version} reads the same sandbox with its REST API source into a DuckDB file, in a process of
its own (`benchmarks/peer_dlt.py`): issues by `updated_at`, messages and threads as their children,
accounts, contacts, users, teams, tags and the custom fields of issues. {ours} reads
more (the other lists, knowledge bases, and custom fields of all kinds) and keeps a tenth of the
allowance free, as it does by default. Each endpoint allows {allowance} requests a minute of sixty
seconds and answers after {latency} s. Each tool has an allowance of its own, and the wall is that
of its process from start to end. The tools run one after the other.

- dlt, sequential: what one gets without asking for more: one request at a time.
- dlt, parallel: the source and its children are `parallelized`, with dlt's five workers.
- dlt, told: parallel, and a response action hands Pylon's `X-Retry-After` on as `Retry-After`, the
  only header that dlt's retries know; more attempts too. Without it dlt tries five times within
  fifteen seconds, and then gives up the whole load."""


@dataclass
class _Tool:
    """One tool with a sandbox server of its own over the one workspace."""

    name: str
    api: Api
    server: Server
    directory: Path
    python: Path
    is_out: bool = False
    """Whether its first load failed, after which there is nothing to go on from."""

    def run(self) -> tuple[Ran, Counts | None, str | None]:
        """Load once: the time, the rows that are there then, and the error."""
        if self.name == OURS:
            path = self.directory / "pylon.db"
            done = program.sync(self.server.url, path)
            return done, program.mirrored(path), None
        way = self.name.rpartition(" ")[2]
        variables = {"PYLON_API_TOKEN": program.TOKEN, "RUNTIME__DLTHUB_TELEMETRY": "false"}
        command = [str(self.python), str(_SCRIPT), self.server.url, way]
        done = program.timed(command, self.directory, variables)
        told = _told(done)
        rows = Counts(*told["rows"].values()) if told["rows"] else None
        return done, rows, told["error"]


def run(quick: bool, venv: Path | None = None) -> Iterator[str]:
    """The table, line by line; `venv` is where dlt is installed, or is to be."""
    issues, latency, ways = (20, 0.1, WAYS[-1:]) if quick else (300, 0.4, WAYS)
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as servers:
        directory = Path(temporary)
        python = _environment(venv or directory / "dlt")
        workspace = workspaces.workspace(issues, MESSAGES)
        tools = [
            _tool(name, workspace, directory, python, latency, servers)
            for name in (OURS, *(f"dlt, {way}" for way in ways))
        ]
        version = _version(python)
        yield _CAPTION.format(version=version, ours=OURS, allowance=ALLOWANCE, latency=latency)
        yield ""
        yield from _table(tools, workspace, wait=not quick)


def _environment(venv: Path) -> Path:
    """The Python of an environment with dlt, made if it is not there yet."""
    python = venv / "bin" / "python"
    if not python.exists():
        progress(f"installing {REQUIREMENT}")
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", REQUIREMENT]
        subprocess.run(install, check=True, stdout=sys.stderr)
    return python


def _version(python: Path) -> str:
    asked = "from importlib.metadata import version; print(version('dlt'))"
    told = subprocess.run([str(python), "-c", asked], capture_output=True, text=True, check=True)
    return told.stdout.strip()


def _tool(
    name: str,
    workspace: Workspace,
    directory: Path,
    python: Path,
    latency: float,
    servers: ExitStack,
) -> _Tool:
    own = directory / name.replace(", ", "-")
    own.mkdir()
    api = Api(workspace, allowance=ALLOWANCE, minute=MINUTE, log=False)
    server = servers.enter_context(Server(api, latency=latency))
    return _Tool(name, api, server, own, python)


def _table(tools: list[_Tool], workspace: Workspace, wait: bool) -> Iterator[str]:
    yield line(
        "tool", "run", "answered", "refused", "wall s", "÷ ours", "issues", "messages", "threads",
        "right",
    )  # fmt: skip
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|---|"
    failures: list[str] = []
    for what in ("first load", "nothing changed", "1 % changed"):
        if what == "1 % changed":
            workspaces.change(workspace, CHANGED)
            # A change in the very second in which a run begins is left to the next run.
            time.sleep(1)
        wanted = workspaces.counts(workspace)
        ours = 0.0
        for tool in (one for one in tools if not one.is_out):
            if wait and what == "first load":
                # All begin with a whole window before them.
                program.wait_for_window(MINUTE)
            progress(f"{tool.name}: {what}")
            before = Asked.so_far(tool.api)
            done, rows, error = tool.run()
            ours = ours or done.seconds
            yield _row(tool, what, before, done.seconds, ours, rows, wanted)
            if error:
                tool.is_out = True
                failures.append(f"{tool.name}, {what}: `{error}`")
    yield ""
    yield (
        f"Right are {wanted.issues:,} issues, {wanted.threads:,} threads and"
        f" {wanted.issues * MESSAGES:,} messages, {wanted.messages:,} after the change."
    )
    if failures:
        yield ""
        yield f"Failed, and loaded nothing: {'; '.join(failures)}."


def _row(
    tool: _Tool,
    what: str,
    before: Asked,
    seconds: float,
    ours: float,
    rows: Counts | None,
    wanted: Counts,
) -> str:
    made = before.until(Asked.so_far(tool.api))
    found: tuple[Any, ...] = rows or ("", "", "")
    right = "failed" if rows is None else "yes" if rows == wanted else "no"
    return line(
        tool.name, what, made.answered, made.refused, f"{seconds:.1f}", f"{seconds / ours:.2f}",
        *found, right,
    )  # fmt: skip


def _told(done: Ran) -> dict[str, Any]:
    """What the peer's script printed last."""
    printed = done.output.strip().splitlines()
    if done.status != 0 or not printed:
        said = done.errors.strip().splitlines()
        return {"rows": {}, "error": said[-1] if said else f"exit status {done.status}"}
    told: dict[str, Any] = json.loads(printed[-1])
    return told
