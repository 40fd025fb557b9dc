import html
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from stages.reporting.document import (
    Bullets,
    Document,
    Notice,
    Picture,
    Prose,
    Quotes,
    Section,
    Steps,
    Table,
    escaped,
    to_html,
    to_markdown,
)
from stages.reporting.style import new_figure

STARTS = ("1. one", "- one", "+ one", "2) two", "# head", "> quote", "---", "===", "*", "| a |", "~~~", "+", "3.")


class Reader(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.opened, self.words, self.labels = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.opened.append(tag)
        self.labels += [value for name, value in attrs if name == "aria-label"]

    def handle_data(self, data):
        self.words.append(data)


def page(*blocks, heading="", figures=None):
    return to_html(Document("a title", (Section(heading, blocks),)), figures or {})


def body(*blocks, **more):
    text = page(*blocks, **more)
    return text[text.index("</h1>") + 5 : text.index("</main>")].strip()


def a_figure():
    figure = new_figure(3, 2)
    figure.add_subplot().plot([1, 2], [3, 4])
    return figure


def everywhere(words):
    """A document that says these words wherever one can."""
    blocks = (
        Prose(words),
        Prose(words, "answer"),
        Notice(words, words),
        Bullets((words,)),
        Steps(((words, ""),)),
        Table((words, words), ((words, words),)),
        Table((), ((words, words),)),
        Picture("figure", words),
        Quotes(((words, words),)),
    )
    return Document(words, (Section("", blocks), Section(f"heading {words}", blocks)))


@settings(deadline=None, max_examples=30)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])))
def test_text_from_outside_stays_text(words):
    figures = {"figure": a_figure()}
    plain, attacked = (Reader(to_html(everywhere(text), figures)) for text in ("QQQ", words))
    assert attacked.opened == plain.opened
    assert attacked.labels == [words, words]
    assert "".join(attacked.words) == "".join(plain.words).replace("QQQ", words)


def test_a_quote_keeps_its_spaces():
    assert "<q>two  spaces</q><small>a remark</small>" in body(Quotes((("two  spaces", "a remark"),)))


def test_a_command_is_told_apart_from_the_sentence_that_advises_it():
    steps = Steps((("Try this:", "dvc repro"), ("Nothing more.", "")))
    assert "<li>Try this: <code>dvc repro</code></li>\n<li>Nothing more.</li>" in body(steps)
    assert to_markdown(Document("", (Section("", (steps,)),)), {}).endswith(
        "- Try this: `dvc repro`\n- Nothing more.\n"
    )


def test_the_first_cell_of_a_row_names_it():
    rows = body(Table(("", "rows"), (("a & b", "1"),)))
    assert re.search(r'<tr><th scope="row">a &amp; b</th>\s*<td>1</td></tr>', rows)


def test_words_in_a_table_may_wrap_and_numbers_may_not():
    cells = body(Table(("", "", ""), (("name", "86.2 % [84.3, 88.1], 2 seeds", "not reachable within the 95 % band"),)))
    assert "<td>86.2" in cells
    assert '<td class="words">not reachable' in cells


def test_a_figure_that_was_not_drawn_is_left_out_and_so_is_a_section_that_says_nothing():
    assert "<figure" not in body(Picture("curve", "a curve"), Prose("words"))
    assert body(Picture("curve", "a curve"), heading="Curve") == ""
    document = Document("a title", (Section("Curve", (Picture("curve", "a curve"),)),))
    assert to_markdown(document, {}) == "# a title\n"
    assert to_markdown(document, {"curve": "curve.png"}) == "# a title\n\n## Curve\n\n![a curve](<curve.png>)\n"


def test_a_wide_figure_may_scroll():
    figures = {"matrix": a_figure()}
    assert '<figure class="wide"><svg viewBox="0 0 ' in body(Picture("matrix", "a matrix", wide=True), figures=figures)
    assert "<figure><svg" in body(Picture("matrix", "a matrix"), figures=figures)


def test_on_paper_one_box_holds_a_heading_and_what_it_heads():
    text = body(Picture("curve", "a curve"), Prose("a note", "note"), heading="Curve", figures={"curve": a_figure()})
    box = text[text.index('<div class="together">') : text.index("</figure>")]
    assert "<h2>Curve</h2>" in box
    assert text.endswith('</div>\n<p class="note">a note</p>')
    assert re.search(r"\.together, .*{ break-inside: avoid; }", page())


def test_the_page_asks_for_nothing():
    assert "default-src 'none'" in page()
    assert "<script" not in page()


@pytest.mark.parametrize("text", STARTS)
def test_a_text_is_one_paragraph_of_markdown_however_it_starts(text):
    shown = MarkdownIt("commonmark").enable("table").render(escaped(text))
    assert re.sub(r"<!-- -->|&lt;!-- --&gt;", "", shown) == f"<p>{html.escape(text)}</p>\n"


def test_a_table_of_markdown_says_numbers_right_and_words_left():
    document = Document("t", (Section("", (Table(("a", "b|c"), (("x", "1"),)), Table((), (("what", "how"),)))),))
    _, numbers, words = to_markdown(document, {}).strip().split("\n\n")
    assert numbers == "| a | b\\|c |\n| --- | ---: |\n| x | 1 |"
    assert words == "|  |  |\n| --- | --- |\n| what | how |"
