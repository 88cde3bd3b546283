"""A real browser without a window, spoken to in Chromium's own protocol over a pipe; and a real
`pylon-to-sqlite serve` for it to look at."""

import base64
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--remote-debugging-pipe",
)


class Browser:
    """One page. `requests` are the addresses it has asked for, `complaints` what the browser has
    said of them, such as what a policy forbids; `dialogs` are the windows that scripts opened."""

    def __init__(self, ours: IO[bytes], theirs: IO[bytes]) -> None:
        self._ours, self._theirs = ours, theirs
        self._last = 0
        self._session: str | None = None
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.dialogs: list[str] = []
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        session = self.tell("Target.attachToTarget", targetId=target, flatten=True)
        self._session = session["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.tell(f"{domain}.enable")

    def tell(self, method: str, **params: Any) -> dict[str, Any]:
        """Have something done; gives its result."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._ours.write(json.dumps(message).encode() + b"\0")
        self._ours.flush()
        while True:
            told = self._read()
            if told.get("id") == self._last:
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result

    def open(self, url: str) -> None:
        """Go to an address, and wait until all of it is there."""
        self.tell("Page.navigate", url=url)
        self.wait()

    def wait(self) -> None:
        """Wait until a page is there."""
        while self._read().get("method") != "Page.loadEventFired":
            pass

    def wait_for(self, selector: str) -> None:
        """Wait until a script has made something, for a minute at most."""
        found = self.ask(
            "new Promise(found => { let tries = 1200; const look = () =>"
            f" document.querySelector({json.dumps(selector)}) ? found(true)"
            " : tries-- ? setTimeout(look, 50) : found(false); look(); })"
        )
        assert found, selector

    def submit(self, form: str, **fields: str) -> None:
        """Fill in a form, by its selector, as somebody who types does, and send it off."""
        for name, value in fields.items():
            self.ask(f"document.querySelector('{form} [name={name}]').value = {json.dumps(value)}")
        self.ask(f"document.querySelector('{form} button').click()")
        self.wait()

    def click(self, selector: str) -> None:
        """Follow a link."""
        self.ask(f"document.querySelector({json.dumps(selector)}).click()")
        self.wait()

    def ask(self, expression: str) -> Any:
        """The value of an expression in the page; of a promise, what it comes to."""
        told = self.tell(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def show(self, width: int, height: int, *, is_dark: bool = False) -> None:
        """Be a screen of this size."""
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.tell("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self) -> bytes:
        """What is on the screen, as PNG."""
        return base64.b64decode(self.tell("Page.captureScreenshot", format="png")["data"])

    def _read(self) -> dict[str, Any]:
        parts = bytearray()
        while (byte := self._theirs.read(1)) != b"\0":
            assert byte, "the browser went away"
            parts += byte
        told: dict[str, Any] = json.loads(parts)
        params = told.get("params") or {}
        if told.get("method") == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif told.get("method") == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])
        elif told.get("method") == "Page.javascriptDialogOpening":
            self.dialogs.append(params["message"])
        return told


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser of its own, that remembers nothing."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        to_read, to_write = os.pipe(), os.pipe()
        # Chromium reads from 3 and writes to 4: out of their way first.
        read, write = (
            fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in (to_read[0], to_write[1])
        )
        os.close(to_read[0])
        os.close(to_write[1])
        null = os.open(os.devnull, os.O_RDWR)
        process = os.posix_spawn(
            CHROMIUM,
            [CHROMIUM, *FLAGS, f"--user-data-dir={profile}"],
            dict(os.environ),
            file_actions=[
                *((os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)),
                (os.POSIX_SPAWN_DUP2, read, 3),
                (os.POSIX_SPAWN_DUP2, write, 4),
            ],
        )
        for fd in (read, write, null):
            os.close(fd)
        with os.fdopen(to_read[1], "wb") as ours, os.fdopen(to_write[0], "rb") as theirs:
            page = Browser(ours, theirs)
            try:
                yield page
            finally:
                page._session = None
                page.tell("Browser.close")
        os.waitpid(process, 0)


@contextmanager
def served(path: Path, *arguments: str) -> Iterator[str]:
    """The address of the mirror at `path`, as `pylon-to-sqlite serve` serves it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pylon_to_sqlite", "serve", str(path), "-p", "0", *arguments],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    try:
        said = ""
        for line in process.stderr:
            said += line
            if found := re.search(r"running on (http://\S+)", line):
                yield found[1]
                break
        else:
            raise AssertionError(f"it did not start: {said}")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
