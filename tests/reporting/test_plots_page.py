import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stages.foundation import paths
from stages.foundation.files import read_yaml, write_text
from stages.reporting import plots_page
from stages.reporting.plots_page import write_plot_scripts
from tests.reporting.browser import needs_chromium, visit
from tests.reporting.finished_experiment import write_dvc_plots

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def quick_bundle(monkeypatch):
    """Scripts that take no time to bundle."""
    monkeypatch.setattr(plots_page.vl_convert, "javascript_bundle", lambda snippet, **_: snippet)


@pytest.fixture
def checkout(workspace):
    """What a clone has of the pipeline and of DVC's settings, and the figures of a finished experiment."""
    settings = workspace / ".dvc"
    settings.mkdir()
    shutil.copy(ROOT / ".dvc" / "config", settings)
    (settings / "config.local").write_text("[core]\n    no_scm = true\n")
    shutil.copytree(ROOT / ".dvc" / "plots", settings / "plots")
    for name in (paths.PIPELINE, paths.PARAMS):
        shutil.copy(ROOT / name, workspace)
    write_dvc_plots()
    shutil.copy(ROOT / "plots" / "study_curve.csv", workspace / "plots")
    return workspace


def show(cwd):
    """The page that `dvc plots show` writes, as a browser without a network sees it."""
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
    command = [sys.executable, "-m", "dvc", "plots", "show"]
    shown = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "failed to load" not in shown.stderr
    return visit(cwd / "dvc_plots" / "index.html", width=1280, scratch=cwd / "dvc_plots")


@pytest.mark.usefixtures("quick_bundle")
def test_nothing_is_written_twice():
    write_plot_scripts()
    before = paths.PLOT_SCRIPTS.stat().st_mtime_ns
    write_plot_scripts()
    assert paths.PLOT_SCRIPTS.stat().st_mtime_ns == before


@pytest.mark.usefixtures("quick_bundle")
def test_scripts_of_another_version_are_replaced(monkeypatch):
    write_plot_scripts()
    monkeypatch.setattr(plots_page, "version", lambda _: "99")
    write_plot_scripts()
    assert paths.PLOT_SCRIPTS.read_text().startswith("/* vl-convert 99, ")


@pytest.mark.usefixtures("quick_bundle")
def test_nothing_else_is_touched(checkout):
    before = {file: file.read_bytes() for file in checkout.rglob("*") if file.is_file()}
    write_plot_scripts()
    after = {file: file.read_bytes() for file in checkout.rglob("*") if file.is_file()}
    assert after.pop(checkout / paths.PLOT_SCRIPTS)
    assert after == before


def test_the_scripts_are_an_output_of_report_that_dvc_keeps_and_git_does_not():
    outs = read_yaml(ROOT / paths.PIPELINE)["stages"]["report"]["outs"]
    ignored = (ROOT / "plots" / ".gitignore").read_text().split()
    assert {str(paths.PLOT_SCRIPTS): {"persist": True}} in outs
    assert f"/{paths.PLOT_SCRIPTS.name}" in ignored


@pytest.mark.browser
@needs_chromium
def test_dvc_draws_every_figure_of_the_pipeline_with_the_network_off(checkout):
    write_plot_scripts()

    page = show(checkout)

    # DVC's and our templates name Vega-Lite 5, the bundle runs it on Vega 6, and says so.
    assert [complaint for complaint in page.complaints if "current version is" not in complaint] == []
    assert page.requests == []
    assert page.figures == 6  # loss, accuracy, learning rate, confusion matrix, learning curve, the study's
    assert page.content_width <= page.width


@pytest.mark.browser
@needs_chromium
def test_without_scripts_the_page_asks_for_dvcs_own_and_says_what_to_do_where_there_is_no_network(checkout):
    page = show(checkout)

    assert any(request.startswith("https://") for request in page.requests)
    assert "run python -m stages.reporting.plots_page or dvc repro, then load this page again" in page.text


@pytest.mark.browser
@needs_chromium
def test_a_class_that_is_a_script_is_a_label(checkout):
    name = "</script></div></plaintext></template><script>noSuchFunction()</script>"
    write_text(paths.CONFUSION_PLOT, f"actual,predicted\n{name},{name}\n{name},other\nother,other\n")
    write_plot_scripts()

    page = show(checkout)

    assert [complaint for complaint in page.complaints if "current version is" not in complaint] == []
    assert page.requests == []
    assert page.figures == 6
