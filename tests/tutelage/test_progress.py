import io

import pytest
from rich.console import Console

from tutelage.progress import RunProgress


def test_interrupted_it_takes_its_bar_away_and_shows_the_cursor_again():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True)
    with pytest.raises(KeyboardInterrupt), RunProgress(console) as progress:
        progress.advance(1, 10)
        raise KeyboardInterrupt
    assert out.getvalue().rindex("\x1b[?25h") > out.getvalue().rindex("\x1b[?25l")


def test_without_a_terminal_a_step_has_a_line_for_each_tenth():
    out = io.StringIO()
    with RunProgress(Console(file=out)) as progress:
        progress.step("drafting")
        for done in range(1, 101):
            progress.advance(done, 100)
    assert len(out.getvalue().splitlines()) == 11 and "100 of 100" in out.getvalue()
