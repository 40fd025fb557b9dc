import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stages.reporting.plots_page import write_plot_scripts
from tests.reporting.browser import needs_chromium, visit
from tests.reporting.study.made_findings import study

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / ".dvc" / "plots" / "study_curve.json"
PIPELINE = """\
plots:
  - plots/study_curve.csv:
      template: study_curve
      x: train_rows
      y: accuracy
      title: Test accuracy
"""


def table() -> str:
    """The learning curves as the study writes them for DVC."""
    lines = ["method,train_rows,accuracy,accuracy_low,accuracy_high"]
    for curve in study().curves:
        for point in curve.points:
            told = point.accuracy
            lines.append(f'"{curve.name}",{point.samples},{told.value},{told.low},{told.high}')
    return "\n".join(lines) + "\n"


def test_methods_are_told_by_colour_and_shape_and_dash():
    layers = json.loads(TEMPLATE.read_text())
    told = {
        channel
        for layer in (layers, *layers["layer"])
        for channel, how in layer["encoding"].items()
        if isinstance(how, dict) and how.get("field") == "method"
    }
    assert {"color", "shape", "strokeDash"} <= told
    assert layers["encoding"]["x"]["scale"]["type"] == "log"


@pytest.mark.browser
@needs_chromium
def test_dvc_draws_the_curves_of_the_study_with_the_network_off(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = tmp_path / ".dvc"
    (settings / "plots").mkdir(parents=True)
    (tmp_path / "plots").mkdir()
    shutil.copy(ROOT / ".dvc" / "config", settings)
    (settings / "config.local").write_text("[core]\n    no_scm = true\n")
    shutil.copy(TEMPLATE, settings / "plots")
    shutil.copy(ROOT / ".dvc" / "plots" / "page.html", settings / "plots")
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "plots" / "study_curve.csv").write_text(table())
    write_plot_scripts()

    command = [sys.executable, "-m", "dvc", "plots", "show"]
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=120, check=True)

    page = visit(tmp_path / "dvc_plots" / "index.html", width=1366, scratch=tmp_path / "dvc_plots")
    assert [complaint for complaint in page.complaints if "current version is" not in complaint] == []
    assert page.requests == []
    assert page.figures == 1
    assert page.content_width <= page.width
