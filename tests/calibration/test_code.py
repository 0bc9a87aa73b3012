"""What scores and compares does not change unnoticed: certificates of before would go on with other scores."""

import ast
from hashlib import sha256
from pathlib import Path

from calibration.code import CODE, SAME, under

ROOT = Path(__file__).parents[2]
WHAT_COUNTS = (
    "calibration/agreement.py",
    "calibration/calibrator.py",
    "calibration/evidence.py",
    "calibration/familiar.py",
    "calibration/question.py",
    "ledger/records.py",
    "ledger/texts.py",
    "router/logprobs.py",
    "router/student.py",
)
KNOWN = {"2": "69446027e61b196a"}


def test_code_that_scores_and_compares_has_the_version_that_it_had():
    """If what is scored or compared is the same as before, put the new digest under the old version; otherwise raise
    CODE, and the digest goes under the new one."""
    assert KNOWN[CODE] == digest(WHAT_COUNTS)


def test_what_was_certified_under_code_that_scores_alike_holds_and_nothing_else():
    for code in SAME:
        said = [under(code, {"code": each, "teacher": "a"}) for each in SAME]
        assert said == [{"code": code, "teacher": "a"}] * len(SAME)
    for other in ({"code": "0"}, {}):
        assert under(CODE, other) == other


def test_words_are_no_code(tmp_path):
    said, same, other = (tmp_path / name for name in ("said", "same", "other"))
    said.write_text('def f():\n    """Words."""\n    return 1\n')
    same.write_text("def f():\n    # others\n    return 1\n")
    other.write_text("def f():\n    return 2\n")
    assert digest([said]) == digest([same]) != digest([other])


def digest(files):
    found = sha256()
    for file in files:
        found.update(ast.dump(_without_words(ast.parse((ROOT / file).read_text()))).encode())
    return found.hexdigest()[:16]


def _without_words(tree):
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [each for each in body if not _is_words(each)]
    return tree


def _is_words(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
