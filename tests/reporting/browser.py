"""Open a page in Chromium with the network off and ask it how it went."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

QUIET = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

PROBE = """
<script>
const complaints = [];
for (const kind of ["error", "warn"]) console[kind] = (...words) => complaints.push(words.join(" "));
addEventListener("error", event => complaints.push("error: " + (event.message || event.target.outerHTML)), true);
addEventListener("unhandledrejection", event => complaints.push("rejected: " + event.reason));
addEventListener("securitypolicyviolation", event => complaints.push("refused: " + event.blockedURI));
addEventListener("load", () => setTimeout(() => {
  const page = document.documentElement;
  parent.postMessage(JSON.stringify({
    width: page.clientWidth,
    content_width: page.scrollWidth,
    figures: [...document.querySelectorAll("svg[viewBox], canvas")]
      .filter(figure => figure.getBoundingClientRect().width > 100).length,
    requests: performance.getEntriesByType("resource").map(entry => entry.name),
    complaints,
    text: document.body.innerText,
  }), "*");
}, 500));
</script>
"""

# A window cannot be as narrow as a phone; a frame can.
FRAME = """
<!DOCTYPE html>
<pre id="visit"></pre>
<script>addEventListener("message", event => document.getElementById("visit").textContent = event.data);</script>
<iframe src="probed.html" style="border: 0; width: %dpx; height: 900px"></iframe>
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    width: int  # of the frame it was seen in, CSS pixels
    content_width: int  # what the page needs; more than `width` means scrolling sideways
    figures: int  # SVGs and canvases that are really on show
    requests: list[str]  # every address asked for, the page itself apart
    complaints: list[str]  # errors and warnings on the console, refused resources
    text: str  # what a reader sees


def visit(page: Path, *, width: int, scratch: Path) -> Visit:
    """Open a copy of the page that carries the probe; its own policy stays, but for the probe's script."""
    source = page.read_text(encoding="utf-8")
    source = source.replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'")
    probed = scratch / "probed.html"
    probed.write_text(source.replace("<title>", PROBE + "<title>", 1), encoding="utf-8")
    frame = scratch / "frame.html"
    frame.write_text(FRAME % width, encoding="utf-8")
    command = [
        str(CHROMIUM),
        *QUIET,
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={scratch / 'profile'}",
        f"--window-size={width + 100},1000",
        "--virtual-time-budget=5000",
        "--dump-dom",
        frame.as_uri(),
    ]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    answer = re.search(r'<pre id="visit">(.*?)</pre>', dom, re.DOTALL)
    assert answer, dom
    assert answer[1], "the page never finished loading"
    return Visit(**json.loads(html.unescape(answer[1])))
