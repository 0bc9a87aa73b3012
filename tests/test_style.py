"""The parts of STYLE that ruff does not measure: lengths of functions, and that a blind except has its reason."""

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("router", "calibration", "distill", "ledger", "tutelage")
LONGEST = 50  # lines, without the docstring
P90 = 30
REASONED_NOQA = re.compile(r"# noqa: BLE001\W+\w+ \w+")  # a reason has more than one word

Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_no_function_is_long() -> None:
    lengths = {f"{path}:{function.lineno} {function.name}": length(function) for path, function in functions()}
    assert len(lengths) > 20
    assert {where: lines for where, lines in lengths.items() if lines > LONGEST} == {}


def test_nine_functions_in_ten_fit_half_a_screen() -> None:
    lengths = [length(function) for _, function in functions()]
    assert statistics.quantiles(lengths, n=10)[-1] <= P90


def test_blind_excepts_give_their_reason() -> None:
    blind = [
        f"{path}:{handler.lineno}"
        for path, source, tree in modules()
        for handler in ast.walk(tree)
        if isinstance(handler, ast.ExceptHandler) and is_blind(handler)
        if not REASONED_NOQA.search(source.splitlines()[handler.lineno - 1])
    ]
    assert blind == []


SAMPLE = '''
@decorated
def f():
    """One.

    Two.
    """
    try:
        g()
    except (KeyError, Exception):  # noqa: BLE001
        pass
'''


def test_the_measures_measure() -> None:
    tree = ast.parse(SAMPLE)
    (function,) = [node for node in ast.walk(tree) if isinstance(node, Function)]
    (handler,) = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
    assert length(function) == 5
    assert is_blind(handler)
    assert not REASONED_NOQA.search(SAMPLE)
    assert REASONED_NOQA.search("except Exception:  # noqa: BLE001  a process boundary")


def length(function: Function) -> int:
    """Lines from `def` to the end, decorators and docstring left out."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None and first.end_lineno is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


def is_blind(handler: ast.ExceptHandler) -> bool:
    """Whether it swallows everything: `except:` or (Base)Exception, alone or among others, without a final `raise`."""
    last = handler.body[-1]
    if isinstance(last, ast.Raise) and last.exc is None:
        return False
    if handler.type is None:
        return True
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(name, ast.Name) and name.id in {"Exception", "BaseException"} for name in caught)


def functions() -> Iterator[tuple[Path, Function]]:
    for path, _, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield path, node


def modules() -> Iterator[tuple[Path, str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            source = path.read_text()
            yield path.relative_to(ROOT), source, ast.parse(source)
