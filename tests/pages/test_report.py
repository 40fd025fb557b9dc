import re
from dataclasses import replace

import pytest

from stages import report
from stages.foundation import paths
from stages.foundation.errors import ParamsError
from stages.foundation.files import read_json, write_json, write_text
from tests.reporting.browser import needs_chromium, visit
from tests.reporting.finished_experiment import PARAMS, make_lengths, make_test_split, write_experiment
from tests.reporting.page import words

FILES = (paths.LOSS_FIGURE, paths.ACCURACY_FIGURE, paths.CONFUSION_FIGURE, paths.REPORT_PAGE)


@pytest.fixture(scope="module", autouse=True)
def quick_bundle():
    """Scripts that take no time to bundle."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stages.reporting.plots_page.vl_convert.javascript_bundle", lambda snippet, **_: snippet)
        yield


@pytest.fixture(scope="module")
def usual_page(tmp_path_factory):
    """The page of an experiment with nothing special about it; drawing takes a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("usual"))
        write_experiment(num_wrong=6)
        report.main()
        return paths.REPORT_PAGE.read_text(encoding="utf-8")


def test_the_same_results_give_the_same_bytes():
    write_experiment()
    report.main()
    before = [file.read_bytes() for file in FILES]
    report.main()
    assert [file.read_bytes() for file in FILES] == before


def test_the_answer_comes_first_with_its_interval(usual_page):
    answer = (
        "After 1,000 labelled samples, minilm with LoRA "
        "names the right class for 90.0 % of 60 test texts (95 % interval 87.0 to 93.0 %)."
    )
    assert words(usual_page).index(answer) < words(usual_page).index("Scores")


def test_what_to_do_next_follows_at_once(usual_page):
    text = words(usual_page)

    assert text.index("What to do next") < text.index("Scores")
    assert "longer training is not likely to help" in text


def test_the_positive_class_is_named(usual_page):
    text = words(usual_page)

    assert (
        "F1, precision and recall are of the positive class, “positive” (positive in dataset.yaml chooses it)" in text
    )


def test_made_up_data_is_called_so(usual_page):
    assert "Synthetic data." in words(usual_page)
    assert "made up by a program yes" in words(usual_page)


def test_splits_that_do_not_overlap_are_said_not_to(usual_page):
    assert "No validation row overlaps with what this model was trained on." in words(usual_page)
    assert "No test row overlaps with what this model was trained on." in words(usual_page)


def test_only_the_surest_mistakes_are_listed(usual_page):
    assert "The 3 most confident of 6 wrong test rows." in words(usual_page)
    assert re.findall(r"sentence number (\d+)", words(usual_page)) == ["5", "4", "3"]


def test_the_page_asks_for_nothing_from_elsewhere(usual_page):
    assert "default-src 'none'" in usual_page
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", usual_page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_real_data_with_overlaps_and_no_mistakes_is_told_as_such():
    write_experiment(synthetic=False, overlapping=12, num_wrong=0)
    report.main()
    assert "Synthetic data." not in words()
    assert "made up by a program no" in words()
    assert "12 (1.2 %) of the validation rows overlap" in words()
    assert "12 (20.0 %) of the test rows overlap" in words()
    assert "test, with the pool 0 0 24 24 (40.0 %)" in words()
    assert "There is none: every test row was classified rightly." in words()


def test_what_was_read_is_told_where_the_data_card_tells_it(usual_page):
    assert "What was read" not in words(usual_page)
    write_experiment()
    facts = [{"term": "texts", "told": "column review"}, {"term": "classes", "told": "no (5)"}]
    write_json(paths.DATA_CARD, read_json(paths.DATA_CARD) | {"read": facts})
    report.main()
    assert "What was read texts column review classes no (5)" in words()


def test_a_negative_number_of_mistakes_is_refused():
    write_experiment()
    write_text(paths.PARAMS, PARAMS.replace("worst_errors: 3", "worst_errors: -1"))
    with pytest.raises(ParamsError, match=r"report\.worst_errors must be 0 or more, got -1"):
        report.main()


def test_a_training_too_short_for_the_clock_is_not_said_to_take_no_time():
    write_experiment(num_epochs=1)
    cost = read_json(paths.COST_METRICS)
    write_json(paths.COST_METRICS, cost | {"train_seconds": 0.0})
    report.main()
    assert "training less than 0.1 s" in words()


def test_several_processes_are_told_with_the_machine(usual_page):
    assert "a processor, 2 cores, 2 threads libraries" in words(usual_page)
    write_experiment(num_epochs=1)
    told = read_json(paths.PROVENANCE_METRICS)
    write_json(paths.PROVENANCE_METRICS, told | {"processes_used": 2})
    report.main()
    assert "2 cores, 2 threads in 2 processes" in words()


def test_texts_that_were_cut_are_drawn_and_the_report_without_them_has_no_such_figure(usual_page):
    lengths = {"train": [9, 200], "val": [20], "test": [300, 12]}
    write_experiment(lengths={split: make_lengths(tokens) for split, tokens in lengths.items()})
    report.main()
    page = paths.REPORT_PAGE.read_text(encoding="utf-8")
    assert page.count("<figure") == usual_page.count("<figure") + 1
    assert "training 2 1 (50.0 %) 72 200" in words()


def test_of_a_mistaken_pair_both_texts_are_shown():
    split = make_test_split()
    write_experiment(split=replace(split, second=[f"answer number {row}" for row in range(len(split))]), num_wrong=2)
    report.main()
    assert "sentence number 1 answer number 1" in words()


def test_one_epoch_three_classes_and_no_mistakes_wanted_make_a_page():
    write_experiment(split=make_test_split(("world", "sports", "business")), num_epochs=1)
    write_text(paths.PARAMS, PARAMS.replace("worst_errors: 3", "worst_errors: 0"))
    report.main()
    assert "sentence number" not in words()
    assert "epochs 1 of at most 5, epoch 1 kept" in words()
    assert "means over the classes" in words()
    assert all(file.stat().st_size > 0 for file in FILES)


def test_hostile_text_is_shown_and_not_obeyed():
    names = ("<img src=x onerror=alert(1)>", '"&amp;" $title')
    split = make_test_split(names)
    split.sentences[6] = "</q></main><script>alert(1)</script> $answer ${style} &lt;"
    write_experiment(split=split)
    report.main()
    page = paths.REPORT_PAGE.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;/q&gt;&lt;/main&gt;&lt;script&gt;alert(1)&lt;/script&gt; $answer ${style} &amp;lt;" in page
    assert "&#34;&amp;amp;&#34; $title" in page


@pytest.mark.browser
@needs_chromium
@pytest.mark.parametrize(("width", "num_classes"), [(375, 2), (375, 12), (1280, 12)])
def test_the_page_opens_with_no_network_and_fits(width, num_classes, tmp_path):
    names = tuple(f"class {index} with a long name" for index in range(num_classes))
    split = make_test_split(names)
    split.sentences[6] = "unbroken" * 60 + "<script>alert(1)</script>"
    write_experiment(split=split)
    report.main()

    page = visit(paths.REPORT_PAGE.absolute(), width=width, scratch=tmp_path)

    assert page.complaints == []
    assert page.requests == []
    assert page.figures == 3
    assert page.width <= width
    assert page.content_width <= page.width
    assert "<script>alert(1)</script>" in page.text
