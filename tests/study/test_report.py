"""The files that a report writes."""

from stages.study.report import PLOTS, write_pages
from tests.study.made_results import made_coverage, rising, with_study


def test_a_figure_that_is_no_longer_drawn_goes_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    PLOTS.mkdir()
    for name in ("study_tuning.png", "study_tuning.pdf", "acc.pdf", "study_notes.txt"):
        (PLOTS / name).touch()

    write_pages(made_coverage(rising("lora", [250])), with_study(methods=["lora"]), with_sentences=False)

    names = {file.name for file in PLOTS.iterdir()}
    assert {"study_curve.png", "study_curve.pdf", "acc.pdf", "study_notes.txt"} <= names
    assert not {"study_tuning.png", "study_tuning.pdf"} & names
