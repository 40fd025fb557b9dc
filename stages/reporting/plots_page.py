"""Let `dvc plots show` and `dvc plots diff` draw without a network.

DVC's own page loads its scripts from a CDN. Ours, `.dvc/plots/page.html`, to which `.dvc/config` points, takes the same
scripts from `plots/vega.js` first. They come out of the installed vl-convert-python, and weigh too much for Git:
report writes them as a cached output; before anything ran, this does: `python -m stages.reporting.plots_page`.
"""

import hashlib
from importlib.metadata import version

import vl_convert

from stages.foundation import paths
from stages.foundation.files import write_text

VEGA_LITE = "5.20"  # the templates in .dvc/plots are written for version 5

# The menu keeps what works without a network: saving the figure as a picture.
SNIPPET = """
const actions = {export: true, source: false, compiled: false, editor: false};
window.vegaEmbed = (element, spec) => vegaEmbed(element, spec, {actions});
"""


def write_plot_scripts() -> None:
    """Write the scripts, unless those of this version are there: bundling takes a second or two, comparing does not."""
    stamp = _stamp()
    if paths.PLOT_SCRIPTS.is_file() and paths.PLOT_SCRIPTS.read_text(encoding="utf-8").startswith(stamp):
        return
    write_text(paths.PLOT_SCRIPTS, stamp + vl_convert.javascript_bundle(SNIPPET, vl_version=VEGA_LITE))


def _stamp() -> str:
    """Names what the scripts are made from."""
    snippet = hashlib.sha256(SNIPPET.encode()).hexdigest()[:16]
    return f"/* vl-convert {version('vl-convert-python')}, Vega-Lite {VEGA_LITE}, menu {snippet} */\n"


if __name__ == "__main__":
    write_plot_scripts()
