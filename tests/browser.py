"""A page in headless Chromium, asked through its DevTools protocol, without further packages."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
OPTIONS = ("--headless", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe")
WRITTEN, READ = 3, 4  # the descriptors that Chromium reads commands from and writes answers to

# Another process puts pipes in these places: this one may have threads that do not bear a fork.
LAUNCH = f"""
import os, sys
ends = [os.dup(int(number)) for number in sys.argv[1:3]]
for end, place in zip(ends, ({WRITTEN}, {READ})):
    os.dup2(end, place)
    os.set_inheritable(place, True)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """Sends commands to Chromium and gathers what it tells meanwhile.

    Attributes:
        events: (method, parameters) of what was told and not asked for.
    """

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[tuple[str, dict[str, Any]]] = []

    def attach(self) -> None:
        """Open an empty page and speak to it from now on."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        answer = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = answer["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give a command and return its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append((answer["method"], answer["params"]))
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._answers, 1 << 16)
            assert part, "Chromium ended."
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def open(self, path: Path, width: int, height: int) -> None:
        """Open a file from disk on a screen of a size in CSS pixels, and wait until it is drawn."""
        self.events.clear()
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not any(method == "Page.loadEventFired" for method, _ in self.events):
            message = self._next()
            self.events.append((message["method"], message["params"]))

    def value(self, expression: str) -> Any:
        """Return what an expression of JavaScript gives on the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def complaints(self) -> list[str]:
        """Return errors and warnings of the console, and what was not loaded from the file."""
        found = []
        for method, told in self.events:
            if method == "Runtime.exceptionThrown":
                found.append(str(told["exceptionDetails"]))
            if method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
                found.append(told["entry"]["text"])
            if method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"):
                found.append(str(told["args"]))
            if method == "Network.requestWillBeSent":
                url = told["request"]["url"]
                found += [] if url.startswith(("file:", "data:")) else [f"asks for {url}"]
        return found

    def picture(self, path: Path) -> None:
        """Write the whole page as a PNG."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))


@contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium with an empty profile, and end it."""
    assert CHROMIUM is not None
    to_it, commands = os.pipe()
    answers, from_it = os.pipe()

    sandbox = () if os.geteuid() else ("--no-sandbox",)  # it refuses root otherwise
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", LAUNCH, str(to_it), str(from_it)),
                *(CHROMIUM, *OPTIONS, *sandbox, f"--user-data-dir={profile}", "about:blank"),
            ],
            pass_fds=(to_it, from_it),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_it)
        os.close(from_it)
        try:
            own = Browser(commands, answers)
            own.attach()
            yield own
        finally:
            os.close(commands)
            os.close(answers)
            process.terminate()
            process.wait(timeout=30)


needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason=f"needs Chromium on the PATH, as one of {', '.join(NAMES)}"
)
SCREENS = {"laptop": (1366, 768), "phone": (390, 844)}
LOADED = "[...document.images].every(i => i.complete && i.naturalWidth > 0 && i.clientWidth > 40)"
DRAWN = "[...document.querySelectorAll('table')].every(t => t.clientHeight > 20)"
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Of all elements that hold text themselves; pictures have their own.
SMALLEST = """Math.min(...[...document.querySelectorAll('body *')]
    .filter(e => [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()))
    .map(e => parseFloat(getComputedStyle(e).fontSize)))"""


def assert_opens(page: Path, pictures: int, tables: int) -> None:
    """Hold a page to what a reader expects of it, on each screen, with all its details open.

    Args:
        page: the file; it is opened from disk.
        pictures: the least number of them.
        tables: likewise.
    """
    with browser() as own:
        for name, (width, height) in SCREENS.items():
            own.open(page, width, height)
            own.value("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert own.complaints() == [], name
            assert own.value("document.images.length") >= pictures and own.value(LOADED), name
            assert own.value("document.querySelectorAll('table').length") >= tables, name
            assert own.value(DRAWN) and own.value(TOO_WIDE) == 0, name
            assert own.value(SMALLEST) >= 12, name
