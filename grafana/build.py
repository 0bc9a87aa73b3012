"""`python -m grafana.build`: write the dashboards' JSON and docs/metrics.md; a test says when they are not current."""

from collections.abc import Iterator
from pathlib import Path

from prometheus_client import Metric

from grafana import operations, quality, savings
from grafana.panels import Board, to_json
from ledger.seen import Seen
from router.metrics import Metrics
from router.metrics_state import State

ROOT = Path(__file__).parents[1]
BOARDS: tuple[Board, ...] = (savings.BOARD, quality.BOARD, operations.BOARD)
HEAD = """# Metrics

`GET /metrics` of the gateway, in Prometheus' text format; made from the code by `python -m grafana.build`. It needs an
admin's key where there is any key, and is on `server.admin_port` where that is set.

Counted: by each gateway, summed over its processes; sum over gateways. Read: from the ledger, or from the machine, when
it is asked for; the same in all gateways of a ledger, so take the largest. Whatever the settings name begins with zero.
Labels are bounded: tasks and teachers are those of the settings (`task="none"`: no task), reasons and errors those of
the code, releases a few a month.
"""


def files() -> Iterator[tuple[Path, str]]:
    """Everything that is made, and where it lies."""
    for board in BOARDS:
        yield ROOT / "grafana" / "dashboards" / f"{board.uid}.json", to_json(board)
    yield ROOT / "docs" / "metrics.md", reference()


def reference() -> str:
    """All metrics, with labels and help."""
    counted = [_line(metric, labels) for metric, labels in _counted()]
    state = State({}, {}, Seen(), {}, (), None).collect()
    read = [_line(metric, metric._labelnames) for metric in state]  # type: ignore[attr-defined]  # nothing else has them
    head = "| metric | kind | labels | what |\n|---|---|---|---|\n"
    return f"{HEAD}\n## Counted\n\n{head}{''.join(counted)}\n## Read\n\n{head}{''.join(read)}"


def _counted() -> Iterator[tuple[Metric, tuple[str, ...]]]:
    registry = Metrics().registry
    for collector in registry._collector_to_names:  # the registry has no other way to its labels
        (metric,) = collector.collect()
        yield metric, collector._labelnames  # type: ignore[attr-defined]


def _line(metric: Metric, labels: tuple[str, ...]) -> str:
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    named = ", ".join(f"`{label}`" for label in labels)
    return f"| `{name}` | {metric.type} | {named} | {metric.documentation} |\n"


def main() -> None:
    """Write what has changed."""
    for path, text in files():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
