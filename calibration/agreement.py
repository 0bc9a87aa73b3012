"""Agreement: does the draft equal the teacher's answer under the task's measure? d = 1 - agreement.

Each measure is an equivalence: it brings both texts to one form and compares these. What cannot be read under it is
compared as `exact` does, so that no reading is ever more lenient than its rule.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, NoReturn, get_args

Measure = Literal["exact", "number", "json"]
QUOTES = "\"'`\u2018\u2019\u201c\u201d"
MINUS = str.maketrans("\u2212\u2013", "--")
NUMBER = re.compile(r"[-+]?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?(?:\s?%)?", re.IGNORECASE)
RUN = re.compile(r"[\d.,:/+-]*\d[\d.,:/-]*(?:e[-+]?\d+)?(?:\s?%)?", re.IGNORECASE)
LEADING_ZERO = re.compile(r"[-+]?0\d")  # a postal code, an account: no number
WORDED_DATES = ("%d %B %Y", "%B %d, %Y", "%B %d %Y", "%d %b %Y", "%b %d, %Y", "%b %d %Y", "%Y/%m/%d", "%Y.%m.%d")
FENCE = re.compile(r"^```[a-z]*\s*\n(.*)\n\s*```$", re.DOTALL | re.IGNORECASE)


def disagreement(student: str | None, teacher: str | None, *, measure: Measure = "exact") -> float:
    """d in {0, 1}. A missing answer, the teacher's too, counts as a disagreement.

    `exact`: equal after normalisation. `number`: the last number of each is the same. `json`: the same fields with the
    same values, in whatever order, items of lists too; numbers and dates are compared by value, and null is no field.
    """
    if student is None or teacher is None:
        return 1.0
    form = FORMS[measure]
    return 0.0 if form(student) == form(teacher) else 1.0


def normalised(text: str) -> str:
    """Compatibility form, case folded, white space collapsed, without quotes around it or a full stop behind it."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    text = re.sub(r"\s+", " ", text).strip()
    while (bare := text.strip(QUOTES).rstrip(".").strip()) != text:
        text = bare
    return text


def last_number(text: str) -> Hashable:
    """The value of the last number in a text, a percentage apart from a bare number.

    Commas group three digits. The normalised text where there is no number, or where the last one reads otherwise: a
    decimal comma, a time, a date, a version.
    """
    runs = RUN.findall(normalised(text).translate(MINUS))
    last = runs[-1].rstrip(".,:/-") if runs else ""
    try:
        return _value(last) if NUMBER.fullmatch(last) else normalised(text)
    except ArithmeticError:
        return normalised(text)


def fields(text: str) -> Hashable:
    """A JSON text as a value that is equal for equal fields; the normalised text where it is no JSON."""
    fenced = FENCE.match(text.strip())
    try:
        read = json.loads(fenced[1] if fenced else text, parse_int=Decimal, parse_float=Decimal, parse_constant=_refuse)
        return _canonical(read)
    except (ValueError, ArithmeticError, RecursionError):
        return normalised(text)


FORMS: dict[Measure, Callable[[str], Hashable]] = {"exact": normalised, "number": last_number, "json": fields}
assert FORMS.keys() == set(get_args(Measure))


def _canonical(value: Any) -> Hashable:
    """Kind and value: 1, "1" and 1.0 are one number, true is none."""
    if isinstance(value, dict):
        kept = ((normalised(key), _canonical(each)) for key, each in value.items() if each is not None)
        return ("object", tuple(sorted(kept, key=repr)))
    if isinstance(value, list):
        return ("list", tuple(sorted(map(_canonical, value), key=repr)))
    if isinstance(value, bool) or value is None:
        return ("text", json.dumps(value))
    return _scalar(value) if isinstance(value, str) else ("number", _exactly(value))


def _scalar(text: str) -> Hashable:
    plain = normalised(text).translate(MINUS)
    if NUMBER.fullmatch(plain) and not LEADING_ZERO.match(plain):
        return _value(plain)
    date = _date(text.strip())
    return ("date", date) if date else ("text", plain)


def _value(number: str) -> Hashable:
    kind = "percent" if number.endswith("%") else "number"
    return (kind, _exactly(Decimal(number.rstrip("% ").replace(",", ""))))


def _exactly(number: Decimal) -> Hashable:
    """Sign, digits and exponent without zeros at either end: one form a value, and no rounding of long identifiers."""
    sign, digits, exponent = number.as_tuple()
    plain = "".join(map(str, digits)).lstrip("0")
    significant = plain.rstrip("0")
    return (sign, significant, int(exponent) + len(plain) - len(significant)) if significant else (0, "", 0)


def _date(text: str) -> datetime | None:
    """A date that reads one way only: ISO 8601, or with its month in words. In UTC where it has no zone."""
    for read in (datetime.fromisoformat, *(_reader(form) for form in WORDED_DATES)):
        try:
            found = read(text)
        except ValueError:
            continue
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    return None


def _reader(form: str) -> Callable[[str], datetime]:
    return lambda text: datetime.strptime(text, form)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
