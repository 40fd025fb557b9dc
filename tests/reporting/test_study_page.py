import html
import re
import subprocess
from dataclasses import fields, replace

import pytest
from markdown_it import MarkdownIt

from stages.reporting.blocks import Grid, Points, Prose
from stages.reporting.study_figures import draw_study
from stages.reporting.study_markdown import escaped, study_markdown
from stages.reporting.study_page import study_page
from stages.reporting.study_sections import study_sections
from stages.reporting.study_words import NONE
from tests.reporting.browser import CHROMIUM, QUIET, needs_chromium, visit
from tests.reporting.page import words
from tests.reporting.study_findings import SEEDS, SIZES, bare, curve, hard_rows, one_seed, study

HOSTILE = "<script>alert(1)</script> | **x** [y](http://z.example) `q` @someone #1 $a$ _b_ & \\ ~~c~~ www.z.example"
FIGURES = 6
MINUS = "\N{MINUS SIGN}"
LAPTOP, PHONE = 1366, 390


@pytest.fixture(scope="module")
def page():
    return study_page(study(), draw_study(study()))


def said(findings) -> str:
    return words(study_page(findings, {}))


def hostile():
    """Every text that comes from outside, at its worst."""
    found = study()
    return replace(
        found,
        title=HOSTILE,
        answers=(HOSTILE, HOSTILE),
        caveats=(HOSTILE,),
        curves=tuple(replace(each, name=f"{each.name} {HOSTILE}", refusal=HOSTILE) for each in found.curves),
        differences=tuple(replace(each, first=HOSTILE, second=HOSTILE) for each in found.differences[:2]),
        slices=tuple(replace(each, name=HOSTILE) for each in found.slices[:1]),
        hard_rows=tuple(replace(each, sentence=HOSTILE, actual=HOSTILE, predicted=HOSTILE) for each in found.hard_rows),
        protocol=((HOSTILE, HOSTILE),),
        missing=(HOSTILE,),
        stale=(HOSTILE,),
    )


def letters(page: str) -> str:
    """What a page says, without markup and spaces."""
    return "".join(html.unescape(re.sub(r"<[^>]*>", "", page)).split())


def test_the_answer_comes_first_and_then_its_caveats(page):
    text = words(page)
    order = [
        text.index(piece)
        for piece in (
            "At 56,000 labels LoRA is 0.4 points below",
            "90 % is not reachable",
            "872 test rows resolve",
            "Is LoRA as good as full fine-tuning? rows",
            "How many labels does a target take?",
            "Learning curve",
            "Paired differences",
            "Fixed epochs or fixed steps?",
            "Can its probabilities be believed?",
            "What does it cost?",
            "Which test rows are hard?",
            "The surest mistakes",
            "What a leaking split would have said",
            "How it was made data set",
        )
    ]
    assert order == sorted(order)


def test_the_claim_has_its_margin_interval_verdict_and_the_rows_that_would_settle_it(page):
    assert "56,000\N{NO-BREAK SPACE}*" in page
    assert f"1.0 inconclusive {MINUS}0.4 [{MINUS}1.8, +0.9] 3 6,059" in words(page)


def test_no_verdict_is_called_a_match(page):
    assert "matches" not in words(page)
    assert "inconclusive" in words(page)


def test_rows_needed_are_told_only_where_the_question_is_open():
    text = said(study())
    assert f"2.0 non-inferior {MINUS}0.4 [{MINUS}1.8, +0.9] 3 {NONE}" in text
    assert f"1.0 inferior {MINUS}2.5 [{MINUS}3.9, {MINUS}1.2] 3 {NONE}" in text


def test_labels_to_a_target_are_an_interval_or_out_of_reach(page):
    text = words(page)
    assert "lora 80 % 810 to 2,000 1,200" in text
    assert "lora 85 % 9,100 at the earliest, no upper bound 22,000" in text
    assert "lora 90 % not reached within the 95 % band not up to 224,000" in text


def test_below_the_smallest_size_the_curve_says_nothing():
    found = study()
    low = replace(found.targets[0], target=0.6, low=250.0, value=250.0, high=250.0)
    assert "lora 60 % 250 or fewer 250 or fewer" in said(replace(found, targets=(low,)))


def test_beside_every_fit_stands_its_backtest_and_the_last_value(page):
    text = words(page)
    for method in ("lora", "head", "tfidf"):
        assert re.search(rf"{method} 8,000 56,000 \d\d\.\d % \[\d\d\.\d, \d\d\.\d\] \d\d\.\d % \+0\.7 \d\d\.\d %", text)


def test_a_fit_that_could_not_be_tested_says_so():
    found = study()
    first = replace(found.curves[0], fit=replace(found.curves[0].fit, backtest=None))
    assert f"lora too few sizes {NONE}" in said(replace(found, curves=(first, *found.curves[1:])))


def test_a_curve_without_a_fit_says_why(page):
    assert "full: 2 sizes are too few for a fit, which takes six." in words(page)


def test_fixed_epochs_and_fixed_steps_stand_side_by_side(page):
    assert re.search(r"8,000 83\.5 % \[[^]]*\] 1,082 84\.1 % \[[^]]*\] 1,750 \+0\.6", words(page))


def test_calibration_has_a_temperature_and_values_before_and_after(page):
    assert "lora 1.54 8.2 [6.7, 9.7] 2.1 [1.0, 3.2] 3.0 0.410 → 0.352 0.119 → 0.111" in words(page)


def test_the_leak_is_told_with_its_share_and_its_effect(page):
    assert "0.0 % → 99.3 % 87.8 % → 91.6 %" in words(page)


def test_made_up_data_are_called_so():
    assert "Synthetic data. These texts were put together by a program" in said(one_seed())
    assert "Synthetic data." not in said(study())
    assert "> **Synthetic data.**" in study_markdown(one_seed(), {})


def test_one_seed_is_called_one_seed():
    assert "One seed, 872 test rows." in said(one_seed())


def test_a_point_with_fewer_seeds_than_the_others_says_so():
    found = study()
    fewer = tuple(replace(point, seeds=SEEDS[:1]) for point in found.curves[1].points)
    curves = (found.curves[0], replace(found.curves[1], points=fewer))
    assert "[81.7, 85.9], 1 seed" in said(replace(found, curves=curves))


def test_where_full_was_not_run_the_question_stays_open():
    assert "No size has finished cells of both lora and full" in said(one_seed())


def test_a_study_without_a_finished_cell_reads_well():
    text = said(bare())
    assert "No experiment of this study is finished yet." in text
    assert "12 cells of the grid are not finished" in text
    assert "nan" not in text
    assert "None " not in text.replace("None is listed.", "")


def test_a_long_list_of_missing_cells_is_shortened_and_counted():
    missing = tuple(f"cell-{number}" for number in range(50))
    text = said(replace(study(), missing=missing))
    assert "Not finished, of the grid: 50." in text
    assert "cell-7 and 42 more" in text
    assert "cell-8" not in text


def test_a_finished_grid_says_so():
    assert "Every cell of the grid is finished." in said(replace(study(), missing=()))


def test_text_that_is_not_at_hand_leaves_its_row_number():
    assert "(the text is not at hand) labelled “negative”" in said(study())


def test_that_no_text_is_at_hand_is_said_once():
    found = study()
    text = said(replace(found, hard_rows=tuple(replace(row, sentence="") for row in found.hard_rows)))
    assert "Their texts are not at hand here. labelled “negative”" in text
    assert "(the text is not at hand)" not in text


@pytest.mark.parametrize("findings", [study(), one_seed(), bare()], ids=["study", "one seed", "bare"])
def test_page_and_markdown_say_the_same(findings):
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table").render(study_markdown(findings, {}))
    page = study_page(findings, {})
    assert letters(markdown) == letters(page[page.index("<main>") :])


def test_the_markdown_shows_each_picture_with_a_description():
    pictures = {name: f"study_{name}.png" for name in draw_study(study())}
    markdown = study_markdown(study(), pictures)
    assert len(re.findall(r"!\[[^\]]{40,}\]\(<study_\w+\.png>\)", markdown)) == FIGURES
    assert "![" not in study_markdown(study(), {})


def test_rows_of_a_markdown_table_have_as_many_cells_as_its_head():
    tables = re.findall(r"(?:^\|.*\n)+", study_markdown(hostile(), {}), re.MULTILINE)
    assert len(tables) > 8
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1


def test_nothing_from_outside_becomes_markup_on_the_page():
    page = study_page(hostile(), draw_study(hostile()))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_nothing_from_outside_becomes_markup_in_markdown():
    page = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")
    plain, attacked = (page.render(study_markdown(each, {})) for each in (study(), hostile()))
    for tag in ("<script", "<a ", "<em>", "<code>", "<s>", "<img"):
        assert tag not in attacked
    assert attacked.count("<strong>") == plain.count("<strong>")
    for mention in ("@someone", "#1 ", "://z", "www.z"):
        assert mention not in study_markdown(hostile(), {})


STARTS = ("1. one", "- one", "+ one", "2) two", "# head", "> quote", "---", "===", "*", "| a |", "~~~", "+", "3.")


@pytest.mark.parametrize("text", STARTS)
def test_a_text_is_one_paragraph_however_it_starts(text):
    page = MarkdownIt("commonmark").enable("table").render(escaped(text))
    assert re.sub(r"<!-- -->|&lt;!-- --&gt;", "", page) == f"<p>{html.escape(text)}</p>\n"


def test_sections_are_neutral_text():
    for section in study_sections(study()):
        for block in section.blocks:
            if isinstance(block, Prose):
                assert "<" not in block.text
            if isinstance(block, Points | Grid):
                assert fields(block)


def test_more_classes_make_more_slices_and_nothing_else():
    found = study()
    extra = tuple(replace(found.slices[0], name=f"class number {index}") for index in range(30))
    assert "class number 29 (128)" in said(replace(found, slices=extra))


def test_every_size_has_its_row():
    found = replace(study(), curves=(curve("lora"),))
    for size in SIZES:
        assert re.search(rf" {size:,} \d\d\.\d % \[", said(found))


def test_mistakes_keep_their_letters():
    assert html.escape(hard_rows()[0].sentence) in study_page(study(), {})


@pytest.mark.browser
@needs_chromium
@pytest.mark.parametrize("width", [LAPTOP, PHONE])
@pytest.mark.parametrize("kind", ["full", "hostile"])
def test_the_page_fits_the_screen_shows_every_figure_and_asks_for_nothing(page, kind, width, tmp_path):
    text = page if kind == "full" else study_page(hostile(), draw_study(hostile()))
    (tmp_path / "study.html").write_text(text, encoding="utf-8")
    seen = visit(tmp_path / "study.html", width=width, scratch=tmp_path)
    assert seen.content_width <= seen.width
    assert seen.complaints == []
    assert seen.requests == []
    assert seen.figures == FIGURES
    assert "How it was made" in seen.text


@pytest.mark.browser
@needs_chromium
def test_the_page_prints(page, tmp_path):
    (tmp_path / "study.html").write_text(page, encoding="utf-8")
    printed = tmp_path / "study.pdf"
    command = [str(CHROMIUM), *QUIET, f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={printed}"]
    subprocess.run([*command, (tmp_path / "study.html").as_uri()], capture_output=True, timeout=120, check=True)
    assert 4 <= printed.read_bytes().count(b"/Type /Page\n") <= 20
