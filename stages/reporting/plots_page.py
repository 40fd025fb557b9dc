"""Let `dvc plots show` and `dvc plots diff` draw without a network.

DVC's own page loads its scripts from a CDN. This builds a page with the same scripts inside, out of the
installed vl-convert-python, and points DVC at it; both files are this machine's and stay out of Git:

    .dvc/plots/page.html    the page
    .dvc/config.local       plots.html_template = plots/page.html

report does it each time; by hand: `python -m stages.reporting.plots_page`.
"""

import hashlib
import os
import re
from importlib.metadata import version
from pathlib import Path

import vl_convert

from stages.foundation.files import write_text

VEGA_LITE = "5.20"  # the templates in .dvc/plots are written for version 5
SKELETON = Path(__file__).with_name("plots_page.html")
SETTING = "    html_template = plots/page.html\n"

# The menu keeps what works without a network: saving the figure as a picture.
SNIPPET = """
const actions = {export: true, source: false, compiled: false, editor: false};
window.vegaEmbed = (element, spec) => vegaEmbed(element, spec, {actions});
"""


def main_repository() -> Path:
    """The repository that a person works in, also when DVC runs the stage in a temporary copy of it."""
    return Path(os.environ.get("DVC_ROOT", "."))


def write_plots_page(repository: Path) -> None:
    """Write page and setting where they are not yet as they should be; without a `.dvc` folder, nothing."""
    settings = repository / ".dvc"
    if not settings.is_dir():
        return
    page, stamp = settings / "plots" / "page.html", _stamp()
    if not page.is_file() or stamp not in page.read_text(encoding="utf-8"):
        write_text(page, build_page(stamp))
    _point_to_page(settings / "config.local")


def build_page(stamp: str) -> str:
    """The page for DVC to fill: it replaces `{plot_divs}` and must find no `{scripts}`."""
    scripts = vl_convert.javascript_bundle(SNIPPET, vl_version=VEGA_LITE)
    skeleton = SKELETON.read_text(encoding="utf-8")
    return skeleton.replace("<!-- stamp -->", stamp).replace("/* scripts */", scripts)


def _stamp() -> str:
    """Names what the page was built from; building takes seconds, comparing does not."""
    sources = hashlib.sha256(SKELETON.read_bytes() + SNIPPET.encode()).hexdigest()[:16]
    return f"<!-- vl-convert {version('vl-convert-python')}, Vega-Lite {VEGA_LITE}, page {sources} -->"


def _point_to_page(config: Path) -> None:
    """Add the setting, every other line kept; a template that a person chose stays."""
    text = config.read_text(encoding="utf-8") if config.is_file() else ""
    if re.search(r"^\s*html_template\s*=", text, re.MULTILINE):
        return
    section = re.search(r"^\s*\[plots\]\s*\n", text, re.MULTILINE)
    if section:
        write_text(config, text[: section.end()] + SETTING + text[section.end() :])
    else:
        separator = "" if not text or text.endswith("\n") else "\n"
        write_text(config, f"{text}{separator}[plots]\n{SETTING}")


if __name__ == "__main__":
    write_plots_page(main_repository())
