"""Datasette over a mirror, with its metadata."""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from pylon_to_sqlite import file
from pylon_to_sqlite.metadata import metadata_for


def serve(path: Path, arguments: Sequence[str]) -> int:
    """Run `datasette serve` on the mirror at `path` until it ends; gives its exit status."""
    with file.reading(path):
        pass
    with TemporaryDirectory(prefix="pylon-to-sqlite-") as directory:
        metadata = Path(directory) / "metadata.json"
        metadata.write_text(json.dumps(metadata_for([path.stem])), encoding="utf-8")
        command = [sys.executable, "-m", "datasette", "serve", str(path), "-m", str(metadata)]
        if int(version("datasette").partition(".")[0]) >= 1:
            # Datasette 1.0 reads canned queries from its configuration only.
            command += ["-c", str(metadata)]
        process = subprocess.Popen([*command, *arguments])
        # Datasette ends on Ctrl-C by itself, and what is sent to us is meant for it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        return process.wait()
