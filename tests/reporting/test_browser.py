import pytest

from tests.reporting.browser import needs_chromium, visit

PAGE = """<!DOCTYPE html>
<title>faulty</title>
<img src="https://example.org/picture.png" alt="">
<div style="width: 2000px">wide</div>
<script>noSuchFunction()</script>
"""


@pytest.mark.browser
@needs_chromium
def test_a_visit_notices_requests_errors_and_a_page_that_is_too_wide(tmp_path):
    (tmp_path / "page.html").write_text(PAGE)
    page = visit(tmp_path / "page.html", width=375, scratch=tmp_path)
    assert page.width == 375 or page.width == 360  # with or without a scroll bar
    assert page.content_width >= 2000
    assert page.requests == ["https://example.org/picture.png"]
    assert any("noSuchFunction" in complaint for complaint in page.complaints)
    assert any("picture.png" in complaint for complaint in page.complaints)
    assert page.figures == 0
