"""What is personal taken out of a record before it is written: a placeholder by kind and keyed hash in its place.

Equal values get equal placeholders, so that a draft still agrees with the teacher's answer. Own patterns run in RE2,
whose time is linear in the text, whatever the pattern. Knows nothing of routes; settings say what is personal.
"""

import hashlib
import hmac
import ipaddress
import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from typing import Any, Literal, get_args

import sqlalchemy as sa
from msgspec.structs import replace

from ledger.clients import CLIENT_FIELDS
from ledger.random_keys import random_key
from ledger.records import Draft, Exchange, Feedback, Label, Record, TeacherReply
from ledger.token_logprobs import texts

Kind = Literal["email", "phone", "iban", "card", "ip"]
KINDS: tuple[Kind, ...] = get_args(Kind)
KEY = "redaction_key"
HEX_DIGITS = 4  # of a hash: enough to tell two values of one request apart, and shared by many of all there are
PLACEHOLDER = re.compile(rf"<[a-z][a-z0-9_]{{0,30}}:[0-9a-f]{{{HEX_DIGITS}}}>")
FAILED = "not_redacted"  # the reason of an exchange that is recorded without its texts
CARD_DIGITS, IBAN_LETTERS = range(19, 12, -1), range(34, 14, -1)  # longest first
MOST_CHECKS = 200  # of what may be a number: a text with more of it goes as a whole, so that none takes long
DIGITS, FEWEST_DIGITS = frozenset("0123456789"), 10  # of an IBAN
log = logging.getLogger(__name__)

Span = tuple[int, int, str]  # of a text: from, to, kind
Finder = Callable[[str], Iterator[tuple[int, int]]]


class BadPattern(ValueError):
    """A pattern cannot be used; the message says why."""


def compiled(pattern: str) -> Any:
    """An own pattern. Raises BadPattern where RE2 has no such expression, or where it finds the empty text."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        expression = re2.compile(pattern, options=options)
    except re2.error as error:
        why = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise BadPattern(f"{pattern!r} is no expression of RE2: {why}") from error
    if expression.search("") is not None:
        raise BadPattern(f"{pattern!r} finds the empty text, and so something in every text")
    return expression


def redaction_key(engine: sa.Engine) -> bytes:
    """The key of the hashes."""
    return random_key(engine, KEY)


def holds_placeholder(text: str) -> bool:
    """Whether something was taken out of it."""
    return PLACEHOLDER.search(text) is not None


def was_private(kept: Mapping[str, Any]) -> bool:
    """Whether something was taken out of what a student would have read of a request that is recorded as this."""
    return holds_placeholder(str(_read(kept)))


class Redactor:
    """Takes `kinds`, and what `own` patterns find by their names, out of texts. `constants`: texts that stay whatever
    they hold, such as the system messages that the configuration has in clear."""

    def __init__(
        self,
        kinds: Collection[Kind],
        own: Mapping[str, str] | None = None,
        *,
        key: bytes,
        constants: Collection[str] = (),
    ) -> None:
        finders: dict[str, Finder] = {kind: FINDERS[kind] for kind in kinds}
        self._finders = {**finders, **{name: _finder(compiled(pattern)) for name, pattern in (own or {}).items()}}
        self._key, self._constants = key, frozenset(constants)

    def text(self, text: str) -> str:
        """The same with placeholders."""
        spans = [] if text in self._constants else self._spans(text)
        if not spans:
            return text
        pieces, at = list[str](), 0
        for start, end, kind in spans:
            pieces += [text[at:start], self._placeholder(kind, text[start:end])]
            at = end
        return "".join([*pieces, text[at:]])

    def is_private(self, raw: Mapping[str, Any]) -> bool:
        """Whether anything would be taken out of what a student reads of a request."""
        said = _read(raw)
        try:
            return bool(self._value(said) != said)
        except Exception:  # noqa: BLE001  what cannot be redacted is kept without its texts
            return True

    def record(self, record: Record) -> Record:
        """The same without what is personal. One that cannot be redacted has no texts instead.

        An exchange that a student would have read otherwise than it is kept is none that it could be asked: what is
        certified on it would be said of another prompt.
        """
        try:
            return self._record(record)
        except Exception as error:  # noqa: BLE001  whatever fails: it must not reach the disk in clear
            log.error("a record could not be redacted, and is kept without its texts: %s", type(error).__name__)
            return _bare(record)

    def _record(self, record: Record) -> Record:
        if isinstance(record, Label):
            return replace(record, reply=self._reply(record.reply))
        if isinstance(record, Feedback):
            return replace(record, correction=self._maybe(record.correction))
        kept = replace(
            record,
            messages=self._value(record.messages),
            params=self._value(record.params),
            draft=replace(record.draft, text=self.text(record.draft.text)) if record.draft else None,
            teacher_reply=self._reply(record.teacher_reply) if record.teacher_reply else None,
            answer=self._maybe(record.answer),
        )
        if record.eligible and (kept.messages, _read(kept.params)) != (record.messages, _read(record.params)):
            return replace(kept, eligible=False, reference=False, rho=None)
        return kept

    def _reply(self, reply: TeacherReply) -> TeacherReply:
        kept = self._maybe(reply.text)
        told = None if reply.logprobs is None or kept != reply.text else texts(reply.logprobs)
        clear = told is not None and self.text(told) == told  # nor may a token hold anything, nor all of them
        tokens = reply.logprobs if clear else None
        return replace(reply, text=kept, rationale=self._maybe(reply.rationale), logprobs=tokens)

    def _maybe(self, text: str | None) -> str | None:
        return None if text is None else self.text(text)

    def _value(self, value: Any) -> Any:
        """Every text in a JSON value, names of fields and numbers too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(name): self._value(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self._value(each) for each in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value if (kept := self.text(str(value))) == str(value) else kept
        return value

    def _spans(self, text: str) -> list[Span]:
        """What is found, in order; what overlaps goes as one, under the kind of the first."""
        found = [(*span, kind) for kind, finder in self._finders.items() for span in finder(text)]
        merged = list[Span]()
        for start, end, kind in sorted(found, key=lambda span: (span[0], -span[1])):
            if merged and start < merged[-1][1]:
                first, last, before = merged[-1]
                merged[-1] = (first, max(last, end), before)
            else:
                merged.append((start, end, kind))
        return merged

    def _placeholder(self, kind: str, value: str) -> str:
        """However it is written: case and what stands between its letters and digits do not count."""
        plain = value.casefold() if kind == "email" else "".join(filter(str.isalnum, value.casefold())) or value
        digest = hmac.new(self._key, f"{kind}:{plain}".encode(), hashlib.sha256).hexdigest()
        return f"<{kind}:{digest[:HEX_DIGITS]}>"


def _read(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What a student reads of a request."""
    return {name: value for name, value in raw.items() if name not in CLIENT_FIELDS}


def _bare(record: Record) -> Record:
    """Numbers, times and costs; it stands for no traffic, and a label is lost."""
    if isinstance(record, Label):
        return replace(record, reply=_without_text(record.reply))
    if isinstance(record, Feedback):
        return replace(record, correction=None)
    bare: Exchange = replace(
        record,
        messages=[],
        params={},
        reason=FAILED,
        eligible=False,
        reference=False,
        rho=None,
        draft=Draft("", None, {}, record.draft.usage, record.draft.cost_usd) if record.draft else None,
        teacher_reply=_without_text(record.teacher_reply) if record.teacher_reply else None,
        answer=None,
    )
    return bare


def _without_text(reply: TeacherReply) -> TeacherReply:
    return replace(reply, text=None, rationale=None, logprobs=None, error=reply.error or FAILED)


class _Late:
    """An expression of RE2, which is loaded for the first text: a gateway that redacts nothing is 3 MiB smaller."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    @cached_property
    def finditer(self) -> Callable[[str], Iterator[Any]]:
        """As of `re`."""
        import re2

        finditer: Callable[[str], Iterator[Any]] = re2.compile(self._pattern).finditer
        return finditer


def _finder(expression: Any) -> Finder:
    return lambda text: (found.span() for found in expression.finditer(text))


def _emails(text: str) -> Iterator[tuple[int, int]]:
    return (found.span() for found in _EMAIL.finditer(text)) if "@" in text else iter(())


def _with_digits(find: Finder) -> Finder:
    """Most texts have too few, and to see that is cheap."""
    return lambda text: find(text) if _SEVERAL_DIGITS.search(text) else iter(())


def _numbered(runs: Any, begins: re.Pattern[str], lengths: range, *, holds: Callable[[str], bool]) -> Finder:
    """Letters and digits in groups, of which so many in a row must satisfy a check: the longest."""

    def find(text: str) -> Iterator[tuple[int, int]]:
        checked, behind = 0, 0
        for run in runs.finditer(text):
            places = [place for place in range(*run.span()) if text[place].isalnum()]
            for first, place in enumerate(places[: 1 - lengths[-1]]):
                if place < behind or not begins.match(text, place):
                    continue
                checked += 1
                if checked > MOST_CHECKS:
                    yield 0, len(text)
                    return
                tried = [places[first : first + size] for size in lengths if first + size <= len(places)]
                alone = [each for each in tried if _apart(text, each[-1] + 1)]
                number = next((each for each in alone if holds("".join([text[at] for at in each]))), None)
                if number is not None:
                    behind = number[-1] + 1
                    yield place, behind

    return find


def _apart(text: str, place: int) -> bool:
    """Whether no row of digits goes through here."""
    return not (0 < place < len(text) and text[place - 1] in DIGITS and text[place] in DIGITS)


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = (2 * int(digit) if place % 2 else int(digit) for place, digit in enumerate(reversed(digits)))
    return sum(each - 9 if each > 9 else each for each in doubled) % 10 == 0


def _mod_97(iban: str) -> bool:
    """ISO 13616: rearranged, letters as numbers, it leaves 1."""
    if sum(letter in DIGITS for letter in iban) < FEWEST_DIGITS:  # words behind something like AB12
        return False
    return int("".join([str(int(letter, 36)) for letter in iban[4:] + iban[:4]])) % 97 == 1


def _addresses(text: str) -> Iterator[tuple[int, int]]:
    if text.count(".") >= 3:
        yield from _addresses_of_four(text)
    if text.count(":") >= 2:
        yield from _addresses_of_six(text)


def _addresses_of_four(text: str) -> Iterator[tuple[int, int]]:
    for run in _FOUR.finditer(text):
        if all(int(part) < 256 for part in run.group().split(".")):
            yield run.span()


def _addresses_of_six(text: str) -> Iterator[tuple[int, int]]:
    for run in _SIX.finditer(text):
        written = run.group()
        for trimmed in (written, written.rstrip(".:"), written.lstrip(":"), written.strip(".:")):
            start = run.start() + written.index(trimmed)
            end = start + len(trimmed)
            within = text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()  # as in std::vector
            if len(trimmed) > 2 and not within and _is_address(trimmed):
                yield start, end
                break


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


_FOUR = _Late(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_SIX = _Late(r"[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*")
_EMAIL = _Late(r"[\p{L}\p{N}._%+'-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+")
_SEVERAL_DIGITS = re.compile(r"[0-9][^0-9]{0,4}[0-9]+[^0-9]{0,4}[0-9]+[^0-9]{0,4}[0-9]")
_IBAN = _Late(r"[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,}")
_CARD = _Late(r"[0-9]{4,}(?:[ -]?[0-9]{3,})*")
_IBAN_BEGINS, _CARD_BEGINS = re.compile("[A-Za-z]{2}[0-9]{2}"), re.compile("(?<![0-9])[0-9]{4}")
_PHONE = _Late(
    r"(?:\+|\b00)[1-9](?:[ ()./-]{0,2}[0-9]){6,14}"  # international
    r"|\(?\b0[1-9][0-9]{1,4}\)?(?:[ ./-]{0,3}[0-9]){4,10}"  # with the prefix of a country's own calls
    r"|\(?\b[2-9][0-9]{2}\)?[ .-][2-9][0-9]{2}[ .-][0-9]{4}\b"  # North America
)
FINDERS: dict[Kind, Finder] = {
    "email": _emails,
    "phone": _with_digits(_finder(_PHONE)),
    "iban": _with_digits(_numbered(_IBAN, _IBAN_BEGINS, IBAN_LETTERS, holds=_mod_97)),
    "card": _with_digits(_numbered(_CARD, _CARD_BEGINS, CARD_DIGITS, holds=_luhn)),
    "ip": _addresses,
}
assert FINDERS.keys() == set(KINDS)
