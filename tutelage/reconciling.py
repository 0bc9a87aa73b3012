"""A provider's invoice beside what the ledger says was paid: by day and model, in US dollars."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from ledger.schema import exchanges, teacher_replies
from router.settings import ConfigError, Settings

# What exports call their columns; OpenAI's costs, LiteLLM's spend and a table of one's own are read.
DAY = ("date", "day", "start_time_iso", "start_time", "usage_date")
MODEL = ("model", "line_item", "model_name")
AMOUNT = ("usd", "cost_usd", "amount_value", "amount", "cost", "spend", "amount_in_usd")
CURRENCY = ("currency", "amount_currency")
VERSION = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|latest)$")
AMOUNT_WRITTEN = re.compile(r"-?(\d+|\d{1,3}(,\d{3})+)?(\.\d+)?(?<=\d)([eE]-?\d{1,3})?")
ROUNDING_USD = 0.005  # an invoice has cents

Sums = dict[tuple[date, str], float]


@dataclass(frozen=True)
class Line:
    """A day (UTC) of a model."""

    day: date
    model: str
    invoice_usd: float
    ledger_usd: float

    @property
    def difference_usd(self) -> float:
        """Above 0 where the invoice asks for more than was recorded."""
        return self.invoice_usd - self.ledger_usd


@dataclass(frozen=True)
class Reconciled:
    """Every day and model that either knows, in order."""

    lines: tuple[Line, ...]

    @property
    def total(self) -> Line:
        """Of all of them; its day and model say nothing."""
        return Line(
            date.min, "", sum(each.invoice_usd for each in self.lines), sum(each.ledger_usd for each in self.lines)
        )

    def differing(self, tolerance: float) -> list[Line]:
        """Lines that differ by more than this share of the larger one, and by more than rounding."""
        return [
            line
            for line in self.lines
            if abs(line.difference_usd) > max(ROUNDING_USD, tolerance * max(line.invoice_usd, line.ledger_usd))
        ]


def reconcile(settings: Settings, engine: sa.Engine, invoice: Path) -> Reconciled:
    """Of the days from the invoice's first to its last. Models are compared without their provider's prefix and
    version. Raises ConfigError for a file that cannot be read so, with its line."""
    asked = read(invoice)
    first, last = min(day for day, _ in asked), max(day for day, _ in asked)
    models = {name: plain(teacher.model) for name, teacher in settings.teachers.items()}
    paid = recorded(engine, models, first=first, last=last)
    keys = sorted(asked.keys() | paid.keys())
    return Reconciled(tuple(Line(*key, asked.get(key, 0.0), paid.get(key, 0.0)) for key in keys))


def plain(model: str) -> str:
    """Without a provider's prefix and a version behind."""
    return VERSION.sub("", model.rsplit("/", 1)[-1].split(",", 1)[0].strip().lower())


def read(path: Path) -> Sums:
    """An invoice's dollars by day and model. Raises ConfigError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    rows = csv.DictReader(lines)
    names = {name.strip().lower(): name for name in rows.fieldnames or ()}
    day, model, amount = (_column(names, known, path) for known in (DAY, MODEL, AMOUNT))
    currency = next((names[name] for name in CURRENCY if name in names), None)
    sums: Sums = defaultdict(float)
    for number, row in enumerate(rows, 2):
        where = f"{path}:{number}"
        if currency and (row[currency] or "").strip().lower() not in ("usd", "us dollar", "us dollars", "$"):
            raise ConfigError(f"{where}: in {row[currency]!r}; dollars are compared with US dollars alone")
        sums[_day(row[day], where), plain(row[model] or "")] += _amount(row[amount], where)
    if not sums:
        raise ConfigError(f"{path} has no lines")
    return dict(sums)


def recorded(engine: sa.Engine, models: Mapping[str, str], *, first: date, last: date) -> Sums:
    """The ledger's dollars by day of the reply and model. What was imported was paid elsewhere."""
    since, until = (
        datetime.combine(each, datetime.min.time(), UTC).timestamp() for each in (first, last + timedelta(days=1))
    )
    query = (
        sa.select(teacher_replies.c.at, teacher_replies.c.teacher, teacher_replies.c.cost_usd)
        .join(exchanges, exchanges.c.id == teacher_replies.c.exchange_id)
        .where(teacher_replies.c.at >= since, teacher_replies.c.at < until, exchanges.c.origin != "import")
    )
    sums: Sums = defaultdict(float)
    with engine.connect() as connection:
        for at, teacher, usd in connection.execute(query):
            sums[datetime.fromtimestamp(at, UTC).date(), models.get(teacher, plain(teacher))] += usd
    return dict(sums)


def in_words(found: Reconciled, *, tolerance: float) -> Iterator[str]:
    """What came out, a line each."""
    total, differing = found.total, found.differing(tolerance)
    yield f"invoice ${total.invoice_usd:,.2f}, ledger ${total.ledger_usd:,.2f}, difference ${total.difference_usd:,.2f}"
    if not differing:
        yield f"no day of a model differs by more than {tolerance:.1%}"
        return
    yield f"{len(differing)} of {len(found.lines)} days of a model differ by more than {tolerance:.1%}"
    if any(line.ledger_usd == 0.0 for line in differing):
        yield "where the ledger has nothing, the model was asked past the gateway, or under a name of no teacher"


def _column(names: Mapping[str, str], known: Sequence[str], path: Path) -> str:
    for name in known:
        if name in names:
            return names[name]
    raise ConfigError(f"{path} has none of the columns {', '.join(known)}; it has {', '.join(names) or 'none'}")


def _day(text: str | None, where: str) -> date:
    """A date, a time in ISO 8601, or seconds since the epoch; in UTC where it does not say."""
    said = (text or "").strip()
    try:
        if re.fullmatch(r"\d{9,11}(\.\d+)?", said):
            return datetime.fromtimestamp(float(said), UTC).date()
        found = datetime.fromisoformat(said)
    except ValueError as error:
        raise ConfigError(f"{where}: {text!r} is no date; write it as 2026-01-31") from error
    return (found.astimezone(UTC) if found.tzinfo else found).date()


def _amount(text: str | None, where: str) -> float:
    """US dollars, with commas between thousands alone: what they mean elsewhere is for nobody to guess."""
    said = (text or "").strip().removeprefix("$")
    if not AMOUNT_WRITTEN.fullmatch(said):
        raise ConfigError(f"{where}: {text!r} is no amount; write it as 1234.56")
    return float(said.replace(",", ""))
