"""For whoever is on call: traffic, times, upstreams, records."""

from grafana.panels import Board, Panel, Row

TASK = 'task=~"$task"'
RATE = "[$__rate_interval]"


def rate(metric: str, by: str, *, having: str = TASK) -> str:
    """Of what gateways count, a second."""
    return f"sum by ({by}) (rate({metric}{{{having}}}{RATE}))"


def _quantiles(metric: str, *shares: float) -> dict[str, str]:
    return {
        f"{{{{route}}}} p{share * 100:g}": f"histogram_quantile({share}, {rate(f'{metric}_bucket', 'le, route')})"
        for share in shares
    }


NOW = [
    Panel(
        "Firing",
        "Alerts that fire, each with its runbook in docs/runbooks.",
        {"{{alertname}} {{task}}": 'ALERTS{alertstate="firing"} or on () vector(0)'},
        kind="table",
        width=12,
    ),
    Panel("Gateways", "That Prometheus can read.", {"": 'sum(up{job="tutelage"})'}, kind="stat", width=4),
    Panel(
        "Worker",
        "1 while a distillation worker leads. 0: no alarm is heard (runbook redistillation).",
        {"": "max(tutelage_worker_up)"},
        kind="stat",
        width=4,
    ),
    Panel(
        "Ledger",
        "1 where all gateways can read it. 0: they serve by what they last knew (runbook spool-growing).",
        {"": "min(tutelage_ledger_up)"},
        kind="stat",
        width=4,
    ),
]
TRAFFIC = [
    Panel(
        "Answers by route",
        "student, teacher, or none: refused or failed.",
        {"{{route}}": rate("tutelage_requests_total", "route")},
        unit="reqps",
        stacked=True,
    ),
    Panel(
        "Status",
        "What clients get. 429: no room or no money. 499: they left. 502 to 504: the teacher failed. 503 spool: full.",
        {"{{status}}": rate("tutelage_requests_total", "status")},
        unit="reqps",
        stacked=True,
    ),
    Panel(
        "By task",
        "none: requests that belong to no task; `tutelage unmatched` says which they are.",
        {"{{task}}": rate("tutelage_requests_total", "task", having="")},
        unit="reqps",
        stacked=True,
    ),
]
TIMES = [
    Panel(
        "Time of an answer",
        "From a request's arrival to the end of its reply.",
        _quantiles("tutelage_request_seconds", 0.5, 0.95, 0.99),
        unit="s",
    ),
    Panel(
        "Time to first byte of streams",
        "What is held until it is judged, then flushed: for tasks with a prefix it is that of the prefix.",
        _quantiles("tutelage_first_byte_seconds", 0.5, 0.95),
        unit="s",
    ),
    Panel(
        "What the gateway adds",
        "Time of an answer without the waits for student and teacher. Some milliseconds; more is a busy machine, or a "
        "budget's ledger that answers late.",
        _quantiles("tutelage_gateway_seconds", 0.5, 0.95, 0.99),
        unit="s",
    ),
]
UPSTREAMS = [
    Panel(
        "Left alone",
        "Gateway processes that do not ask an upstream, since it has failed (runbooks teacher-down, student-down).",
        {"{{part}} {{name}}": "sum by (part, name) (tutelage_breaker_open)"},
    ),
    Panel(
        "Errors of teachers",
        "TeacherUnavailable: failed or too slow. TeacherResting: not asked after failures. UpstreamRefused: 4xx.",
        {"{{teacher}} {{error}}": rate("tutelage_teacher_errors_total", "teacher, error", having="")},
        unit="reqps",
    ),
    Panel(
        "Headroom if the student closed",
        "What a teacher would be asked then, as a share of capacity_rpm. Above 1 clients would be refused (runbook "
        "headroom-gone). Empty where no capacity is set.",
        {"{{teacher}}": "tutelage:headroom:ratio_10m"},
        unit="percentunit",
    ),
    Panel(
        "Refused",
        "For a teacher's capacity, least priority first, and for limits of keys.",
        {
            "{{teacher}} {{priority}}": rate("tutelage_refused_total", "teacher, priority", having=""),
            "key: {{limit}}": rate("tutelage_key_refused_total", "limit", having=""),
        },
        unit="reqps",
    ),
    Panel(
        "References",
        "Labels that arrived in the background, and those lost: a lost one counts as a disagreement.",
        {"{{outcome}}": rate("tutelage_references_total", "outcome")},
        unit="reqps",
    ),
    Panel(
        "Failures of the store of limits",
        "For a few seconds after each one, teachers and keys are not limited.",
        {"{{instance}}": "sum by (instance) (increase(tutelage_capacity_errors_total[5m]))"},
    ),
]
RECORDS = [
    Panel(
        "Ingester lag",
        "Age of the oldest record that is not in the ledger. Seconds are usual.",
        {"{{instance}}": "max by (instance) (tutelage_ingester_lag_seconds)"},
        unit="s",
    ),
    Panel(
        "Spool",
        "Bytes on disk, and those that wait. On disk they stay until a segment ends, some minutes.",
        {
            "{{instance}}": "max by (instance) (tutelage_spool_bytes)",
            "{{instance}} waiting": "max by (instance) (tutelage_spool_waiting_bytes)",
        },
        unit="bytes",
    ),
    Panel(
        "Room for the spool",
        "Free bytes of its disk. Without any, clients get 503 (runbook spool-growing).",
        {"{{instance}}": "min by (instance) (tutelage_spool_free_bytes)"},
        unit="bytes",
    ),
    Panel(
        "Records that were not kept",
        "errors: appends that failed, whose answers were withheld. rejected: files of lines that no ledger takes.",
        {
            "errors {{instance}}": "sum by (instance) (increase(tutelage_spool_errors_total[5m]))",
            "rejected {{instance}}": "max by (instance) (tutelage_spool_rejected_files)",
        },
    ),
    Panel(
        "Scrape",
        "How long Prometheus waits for a gateway's page.",
        {"{{instance}}": 'max by (instance) (scrape_duration_seconds{job="tutelage"})'},
        unit="s",
    ),
    Panel(
        "Promised to requests under way",
        "Of each budget. It returns to almost nothing when traffic pauses. Empty where no budget is set.",
        {"{{scope}}": "max by (scope, per) (tutelage_budget_reserved_usd)"},
        unit="currencyUSD",
    ),
]
BOARD = Board(
    "tutelage-operations",
    "Tutelage: operations",
    "Whether it serves, how fast, and what it waits for.",
    [
        Row("Now", NOW),
        Row("Traffic", TRAFFIC),
        Row("Times", TIMES),
        Row("Upstreams", UPSTREAMS),
        Row("Records", RECORDS),
    ],
)
