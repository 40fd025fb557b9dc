import html
import re
import subprocess
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from stages.reporting.document import to_html, to_markdown
from stages.reporting.study.figures import draw_study
from stages.reporting.study.page import study_document
from tests.reporting.browser import CHROMIUM, QUIET, needs_chromium, visit
from tests.reporting.study.made_findings import bare, one_seed, side, study
from tests.reporting.study.said import said

HOSTILE = "<script>alert(1)</script> | **x** [y](http://z.example) `q` @someone #1 $a$ _b_ & \\ ~~c~~ www.z.example"
FIGURES = 8
LAPTOP, PHONE = 1366, 390


@pytest.fixture(scope="module")
def page():
    return html_of(study())


def html_of(findings) -> str:
    return to_html(study_document(findings), draw_study(findings))


def markdown_of(findings) -> str:
    return to_markdown(study_document(findings), {})


def hostile():
    """Every text that comes from outside, at its worst."""
    found = study()
    curves = tuple(replace(each, name=f"{each.name} {HOSTILE}", refusal=HOSTILE) for each in found.curves)
    odd = replace(side("lora", 8000), curve=HOSTILE)
    return replace(
        found,
        dataset=HOSTILE,
        model=HOSTILE,
        curves=curves,
        differences=tuple(replace(each, first=odd, second=odd) for each in found.differences[:2]),
        targets=tuple(replace(each, curve=curves[0].name) for each in found.targets),
        slices=tuple(replace(each, name=HOSTILE) for each in found.slices[:1]),
        mistakes=tuple(replace(each, sentence=HOSTILE, actual=HOSTILE, predicted=HOSTILE) for each in found.mistakes),
        provenance=((HOSTILE, HOSTILE),),
        missing=(HOSTILE,),
        stale=(HOSTILE,),
    )


def letters(page: str) -> str:
    """What a page says, without markup and spaces."""
    return "".join(html.unescape(re.sub(r"<[^>]*>", "", page)).split())


def test_the_answer_comes_first_and_then_its_caveats():
    text = said(study())
    order = [
        text.index(piece)
        for piece in (
            "With 8,000 labels, use full",
            "lora goes from ",
            "LoRA less full fine-tuning at 56,000 labels",
            "What to keep in mind:",
            "What to use for so many labels",
            "Is LoRA as good as full fine-tuning? Fixed in",
            "How many labels does a target take?",
            "What is best for so many labels in all?",
            "Learning curve",
            "Paired differences",
            "Fixed epochs or fixed steps?",
            "Can its probabilities be believed?",
            "What does it cost?",
            "Which test rows are hard?",
            "The surest mistakes",
            "What a leaking split would have said",
            "How much hangs on the learning rate?",
            "How it was made data set",
        )
    ]
    assert order == sorted(order)


def test_made_up_data_are_called_so():
    assert "Synthetic data. These texts were put together by a program" in said(one_seed())
    assert "Synthetic data." not in said(study())
    assert "> **Synthetic data.**" in markdown_of(one_seed())


def test_a_study_without_a_finished_cell_reads_well():
    text = said(bare())
    assert "No experiment of this study is finished yet." in text
    assert "12 cells of the grid are not finished" in text
    assert "nan" not in text
    assert "None " not in text.replace("None is listed.", "")


@pytest.mark.parametrize("findings", [study(), one_seed(), bare()], ids=["study", "one seed", "bare"])
def test_page_and_markdown_say_the_same(findings):
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown_of(findings))
    page = to_html(study_document(findings), {})
    assert letters(markdown) == letters(page[page.index("<main>") :])


def test_the_markdown_shows_each_picture_with_a_description():
    pictures = {name: f"study_{name}.png" for name in draw_study(study())}
    markdown = to_markdown(study_document(study()), pictures)
    assert len(re.findall(r"!\[[^\]]{40,}\]\(<study_\w+\.png>\)", markdown)) == FIGURES
    assert "![" not in markdown_of(study())


def test_rows_of_a_markdown_table_have_as_many_cells_as_its_head():
    tables = re.findall(r"(?:^\|.*\n)+", markdown_of(hostile()), re.MULTILINE)
    assert len(tables) > 8
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1


def test_nothing_from_outside_becomes_markup_on_the_page():
    page = html_of(hostile())
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_nothing_from_outside_becomes_markup_in_markdown():
    page = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")
    plain, attacked = (page.render(markdown_of(each)) for each in (study(), hostile()))
    for tag in ("<script", "<a ", "<em>", "<code>", "<s>", "<img"):
        assert tag not in attacked
    assert attacked.count("<strong>") == plain.count("<strong>")
    for mention in ("@someone", "#1 ", "://z", "www.z"):
        assert mention not in markdown_of(hostile())


@pytest.mark.browser
@needs_chromium
@pytest.mark.parametrize("width", [LAPTOP, PHONE])
@pytest.mark.parametrize("kind", ["full", "hostile"])
def test_the_page_fits_the_screen_shows_every_figure_and_asks_for_nothing(page, kind, width, tmp_path):
    text = page if kind == "full" else html_of(hostile())
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
