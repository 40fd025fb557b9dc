import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stages.reporting import plots_page
from stages.reporting.plots_page import main_repository, write_plots_page
from tests.reporting.browser import needs_chromium, visit
from tests.reporting.finished_experiment import write_dvc_plots

ROOT = Path(__file__).parents[2]
SETTING = "html_template = plots/page.html"


@pytest.fixture(scope="module")
def real_page(tmp_path_factory):
    """The page as it is built; building takes seconds."""
    repository = tmp_path_factory.mktemp("repository")
    (repository / ".dvc").mkdir()
    write_plots_page(repository)
    return repository / ".dvc" / "plots" / "page.html"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A DVC folder, and scripts that take no time to bundle."""
    monkeypatch.setattr(plots_page.vl_convert, "javascript_bundle", lambda snippet, **_: snippet)
    (tmp_path / ".dvc").mkdir()
    return tmp_path


def dvc(*words, cwd):
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
    command = [sys.executable, "-m", "dvc", *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_page_has_a_place_for_the_plots_and_none_for_scripts_from_elsewhere(real_page):
    page = real_page.read_text(encoding="utf-8")
    assert page.count("{plot_divs}") == 1
    assert "{scripts}" not in page
    assert "<script src" not in page
    assert "window.vegaEmbed" in page


def test_the_setting_is_added_to_a_fresh_repository(repository):
    write_plots_page(repository)
    assert (repository / ".dvc" / "config.local").read_text() == f"[plots]\n    {SETTING}\n"


def test_other_settings_stay_as_they_are(repository):
    config = repository / ".dvc" / "config.local"
    mine = (
        "['remote \"mine\"']\n    url = s3://bucket  # mine\n[plots]\n    auto_open = false\n[core]\n    remote = mine"
    )
    config.write_text(mine)
    write_plots_page(repository)
    assert config.read_text().replace(f"    {SETTING}\n", "") == mine
    assert f"[plots]\n    {SETTING}\n    auto_open" in config.read_text()


def test_a_file_that_ends_without_a_line_end_is_not_garbled(repository):
    config = repository / ".dvc" / "config.local"
    config.write_text("[core]\n    remote = mine")
    write_plots_page(repository)
    assert config.read_text() == f"[core]\n    remote = mine\n[plots]\n    {SETTING}\n"


def test_a_template_that_a_person_chose_is_kept(repository):
    config = repository / ".dvc" / "config.local"
    config.write_text("[plots]\n    html_template = mine.html\n")
    write_plots_page(repository)
    assert config.read_text() == "[plots]\n    html_template = mine.html\n"


def test_nothing_is_written_twice(repository):
    write_plots_page(repository)
    written = [repository / ".dvc" / "config.local", repository / ".dvc" / "plots" / "page.html"]
    before = [file.stat().st_mtime_ns for file in written]
    write_plots_page(repository)
    assert [file.stat().st_mtime_ns for file in written] == before


def test_a_page_of_another_version_is_replaced(repository, monkeypatch):
    write_plots_page(repository)
    monkeypatch.setattr(plots_page, "version", lambda _: "99")
    write_plots_page(repository)
    assert "vl-convert 99" in (repository / ".dvc" / "plots" / "page.html").read_text()


def test_where_there_is_no_dvc_nothing_is_written(tmp_path):
    write_plots_page(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_in_a_temporary_copy_the_persons_own_repository_is_meant(monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert main_repository() == Path()
    monkeypatch.setenv("DVC_ROOT", "/somewhere/else")
    assert main_repository() == Path("/somewhere/else")


def test_neither_page_nor_setting_is_for_git():
    ignored = (ROOT / ".dvc" / ".gitignore").read_text().split()
    assert {"/config.local", "/plots/page.html"} <= set(ignored)


@pytest.mark.browser
@needs_chromium
def test_dvc_draws_every_figure_of_the_pipeline_with_the_network_off(real_page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = tmp_path / ".dvc"
    settings.mkdir()
    (settings / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    shutil.copytree(ROOT / ".dvc" / "plots", settings / "plots", ignore=shutil.ignore_patterns("page.html"))
    shutil.copy(real_page, settings / "plots" / "page.html")
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    write_plots_page(tmp_path)
    write_dvc_plots()
    shutil.copy(ROOT / "plots" / "study_curve.csv", tmp_path / "plots")

    shown = dvc("plots", "show", cwd=tmp_path)

    assert shown.returncode == 0, shown.stderr
    assert "failed to load" not in shown.stderr
    page = visit(tmp_path / "dvc_plots" / "index.html", width=1280, scratch=tmp_path)
    # DVC's and our templates name Vega-Lite 5, the bundle runs it on Vega 6, and says so.
    assert [complaint for complaint in page.complaints if "current version is" not in complaint] == []
    assert page.requests == []
    assert page.figures == 6  # loss, accuracy, learning rate, confusion matrix, learning curve, the study's
    assert page.content_width <= page.width
