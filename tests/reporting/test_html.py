from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from stages.reporting.html import NARROW, Markup, count, markup, percent, share, table


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.words = [], []

    def handle_starttag(self, tag, _):
        self.tags.append(tag)

    def handle_data(self, data):
        self.words.append(data)


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])))
def test_text_from_outside_stays_text(words):
    reader = Reader()
    reader.feed(markup(words) + "<i></i>")
    reader.close()
    assert reader.tags == ["i"]
    assert "".join(reader.words) == words


def test_markup_is_inserted_as_it_is():
    assert markup(Markup("<b>bold</b>")) == "<b>bold</b>"


def test_the_first_cell_of_a_row_names_it():
    assert '<tr><th scope="row">a &amp; b</th><td>1</td></tr>' in table(["", "rows"], [["a & b", "1"]]).text


def test_numbers_are_written_for_readers():
    assert percent(0.8436) == f"84.4{NARROW}%"
    assert count(67349) == "67,349"
    assert share(87, 872) == f"87 (10.0{NARROW}%)"
    assert share(0, 872) == "0"


def test_words_in_a_table_may_wrap_and_numbers_may_not():
    cells = table(["", "", ""], [["name", "86.2 % [84.3, 88.1], 2 seeds", "not reachable within the 95 % band"]]).text
    assert "<td>86.2" in cells
    assert '<td class="words">not reachable' in cells
