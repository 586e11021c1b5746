import io
import threading

import apache_beam as beam
from rich.console import Console

from beam_pipelines.progress import advance, live_progress
from beam_pipelines.run import pipeline_options, run_pipeline


def _work(value):
    advance("rows read", value)
    return value


def test_a_local_pipeline_tells_what_it_has_done():
    pipeline = beam.Pipeline(options=pipeline_options())
    _ = pipeline | beam.Create([1, 2, 3]) | beam.Map(_work)
    with live_progress("swing", Console(file=io.StringIO())) as done:
        run_pipeline(pipeline)
    assert done == {"rows read": 6}


def test_nobody_watching_is_fine_and_a_display_ends_with_its_block():
    advance("rows read")
    with live_progress("swing", Console(file=io.StringIO())) as done:
        pass
    advance("rows read")
    assert done == {}


def test_threads_add_up_and_a_terminal_shows_the_line():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    with live_progress("subgraphs", console) as done:
        threads = [
            threading.Thread(target=lambda: [advance("records", 2) for _ in range(1000)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        advance("impressions", 5)
    assert done == {"records": 8000, "impressions": 5}
    assert "subgraphs" in screen.getvalue()
    assert "8,000 records" in screen.getvalue()


def test_nothing_is_drawn_where_there_is_no_terminal():
    screen = io.StringIO()
    with live_progress("swing", Console(file=screen)):
        advance("rows read", 3)
    assert screen.getvalue().strip() == ""
