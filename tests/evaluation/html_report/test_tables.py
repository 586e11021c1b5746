import pytest

from tests.evaluation.html_report.toy_report import toy_report
from tf_e2egrec.evaluation.html_report.tables import table
from tf_e2egrec.evaluation.sheet import Sheet


@pytest.fixture(scope="module")
def report():
    return toy_report()


def test_a_table_says_where_its_figures_are_from(report):
    long = "R5@graph.sampling.fanout=5+training.epochs=2"
    sheet = Sheet(
        "toy <i>, regime cross-domain, rolling, 2 seeds: AUC",
        ["model", "what", "Δ"],
        [[long, "a < b", "+0.1 [-0.1, +0.2] ± 0.1"]],
    )
    text = table(report, sheet, ("what",))
    assert (
        '<caption><span>AUC</span><span class="where">toy &lt;i&gt;, regime cross-domain, rolling, 2 seeds</span>'
        in text
    )
    assert f'<th scope="row" class="long">{long}</th>' in text
    assert '<td class="text">a &lt; b</td>' in text
    assert '<td><span>+0.1</span><span class="interval">[-0.1, +0.2] ± 0.1</span></td>' in text
    assert 'aria-label="AUC"' in text
