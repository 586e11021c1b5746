import html
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from tf_e2egrec.evaluation.html_report.markup import Markup, escaped, joined, tag


class Texts(HTMLParser):
    """Tags with attributes, and the text between them."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.text = [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, name, attributes):
        self.tags.append((name, dict(attributes)))

    def handle_data(self, data):
        self.text += data


@given(st.text().filter(lambda text: "\r" not in text and "\0" not in text), st.text(alphabet="ab<>&\"' /="))
def test_no_text_becomes_markup(content, value):
    found = Texts(tag("p", content, tag("b", content), aria_label=value))
    assert found.tags == [("p", {"aria-label": value}), ("b", {})]
    assert found.text == content + content
    assert html.unescape(escaped(content)) == content


def test_attributes():
    assert tag("td", 1, class_="n", stroke_width=2.0, id=None) == '<td class="n" stroke-width="2.0">1</td>'
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'
    assert tag("line", x1=1.26) == '<line x1="1.3"/>'


def test_markup_is_escaped_once():
    inner = tag("b", "<")
    assert isinstance(inner, Markup)
    assert joined(inner, "<", 3) == "<b>&lt;</b>&lt;3"
