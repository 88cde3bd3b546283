"""One command for the benchmarks: `python -m benchmarks`, see README.md."""

import argparse
import importlib
import importlib.util
import os
import platform
import shlex
import sqlite3
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from benchmarks.program import progress

PARTS = ("bound", "peer", "local", "reading", "pages", "upkeep", "left_out")
RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> int:
    """Run the parts that were asked for, print their tables, and write them if that is wished."""
    options = _options()
    names = options.parts or [name for name in PARTS if _is_there(name)]
    for name in names:
        part = importlib.import_module(f"benchmarks.{name}")
        progress(f"{name}: {part.TITLE}")
        section = _printed(part, name, options)
        if options.write:
            # At once: a part that fails later takes nothing of this one away.
            everything = _command(options.parts, options.quick)
            text = _results(part.TITLE, section, everything)
            RESULTS.write_text(text, encoding="utf-8")
            progress(f"written to {RESULTS.name}")
    return 0


def _printed(part: ModuleType, name: str, options: argparse.Namespace) -> str:
    """Run a part and print its section line by line; answers the whole of it."""
    lines = [f"## {part.TITLE}", "", _stamp(_command([name], options.quick)), ""]
    print("\n".join(lines), flush=True)
    for line in _lines(part, name, options):
        print(line, flush=True)
        lines.append(line)
    print(flush=True)
    return "\n".join(lines).strip()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="small versions, for a try")
    parser.add_argument("--write", action="store_true", help=f"into {RESULTS.name} too")
    parser.add_argument(
        "--peer-venv", type=Path, metavar="DIRECTORY", help="keep the peer's environment there"
    )
    options = parser.parse_args()
    for name in options.parts:
        if name not in PARTS:
            parser.error(f"there is no part {name!r}, only {', '.join(PARTS)}")
        if not _is_there(name):
            parser.error(f"the part {name!r} is not there")
    return options


def _is_there(name: str) -> bool:
    return importlib.util.find_spec(f"benchmarks.{name}") is not None


def _lines(part: ModuleType, name: str, options: argparse.Namespace) -> Iterator[str]:
    if name == "peer":
        yield from part.run(options.quick, options.peer_venv)
    else:
        yield from part.run(options.quick)


def _command(parts: list[str], quick: bool) -> str:
    """What to type for the same again."""
    return shlex.join(["python", "-m", "benchmarks", *parts, *(["--quick"] if quick else [])])


def _stamp(command: str) -> str:
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return f"{now}, pylon-to-sqlite {version('pylon-to-sqlite')}: `{command}`"


def _results(title: str, section: str, command: str) -> str:
    """The whole of RESULTS.md with this section, and of the others what stands in it."""
    kept = _sections(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    head = f"# Results\n\n{_stamp(command)}\n\n{_machine()}"
    return "\n\n".join([head, *{**kept, title: section}.values()]) + "\n"


def _sections(text: str) -> dict[str, str]:
    """The sections of a RESULTS.md by their titles."""
    parts = [part.strip() for part in ("\n" + text).split("\n## ")[1:]]
    return {part.partition("\n")[0].strip(): f"## {part}" for part in parts}


def _machine() -> str:
    facts = [
        f"{os.cpu_count()} cores ({_processor()}), {_memory()} of memory",
        f"{platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
    ]
    return "; ".join(facts)


def _processor() -> str:
    try:
        known = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        known = []
    models = [line.partition(":")[2].strip() for line in known if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"


def _memory() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return "unknown size"
    return f"{total / 2**30:.1f} GiB"


if __name__ == "__main__":
    sys.exit(main())
