"""What is drawn of it can be seen."""

import re

from ledger.savings import Savings
from tutelage.web.charts import LIGHT, savings


def test_the_first_day_already_shows_two_lines_that_part():
    drawn = savings([("2026-11-29", Savings(measured_usd=3.0, costs={"teacher": 1.0}))], dark=False)
    ends = {}
    for name in ("gray", "good"):
        line, _of_the_legend = re.findall(rf'd="(M [^"]*L [^"]*)"[^>]*fill: none; stroke: {LIGHT[name]}', drawn)
        ends[name] = [float(number) for number in re.findall(r"[\d.]+", line)]
    assert ends["gray"][:2] == ends["good"][:2]
    assert ends["gray"][3] < ends["good"][3], "what the teacher alone would cost is higher up"
    assert "11-29" in drawn
