import json

import pytest

from router.history import PassedOver
from tutelage.logfile import Counts, LogFile, LogRefused, readable

NOW = 2_000_000_000.0


def line(number, **fields):
    messages = [{"role": "user", "content": f"message {number}"}, {"role": "assistant", "content": "refund"}]
    return json.dumps({"messages": messages, "model": "gpt-4o", **fields})


def read(tmp_path, lines, **options):
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(lines))
    counts = Counts()
    return list(LogFile(path, now=NOW, counts=counts, **options).lines()), counts


def test_every_line_is_counted_once(tmp_path):
    lines = [line(1, id="r"), "", line(1, id="r"), "{", line(2, created=NOW + 3600), line(3)]
    found, counts = read(tmp_path, lines)
    assert [each.number for each in found] == [1, 6]
    assert (counts.lines, counts.sound, counts.repeated) == (6, 2, 1)
    assert [number for number, _ in counts.broken] == [4, 5]
    assert [words.split()[0] for words in counts.left_out()] == ["1", "2"]


def test_who_reads_says_what_is_passed_over(tmp_path):
    def judge(logged):
        if logged.model != "gpt-4o":
            raise PassedOver("another model")

    found, counts = read(tmp_path, [line(1), line(2, model="other")], judge=judge)
    assert len(found) == 1 and counts.passed_over == {"another model": 1}


def test_equal_lines_without_an_id_are_two_requests_with_keys_of_their_own(tmp_path):
    found, _ = read(tmp_path, [line(1), line(1)])
    assert len({each.key for each in found}) == 2


def test_broken_lines_refuse_the_file_with_their_numbers_unless_they_may_be_skipped(tmp_path):
    _, counts = read(tmp_path, [line(1), "{"])
    with pytest.raises(LogRefused, match=r"1 of 2 lines cannot be used:\n  line 2: no JSON"):
        counts.refuse(tmp_path, skip_broken=False)
    counts.refuse(tmp_path, skip_broken=True)
    _, counts = read(tmp_path, ["{"])
    with pytest.raises(LogRefused, match="no line can be used"):
        counts.refuse(tmp_path, skip_broken=True)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(LogRefused, match="no such file"):
        readable(tmp_path)
