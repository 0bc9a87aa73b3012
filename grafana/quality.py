"""For whoever answers for quality: contract, agreement, alarms, and the loop that lets the escalations fall."""

from grafana.panels import Board, Panel, Row

TASK = 'task=~"$task"'
BOTH = 'task=~"$task",release=~"$release"'


def of(metric: str) -> str:
    """A gauge of the ledger, the same in all gateways, by release."""
    return f"max by (task, release) ({metric}{{{BOTH}}})"


def escalated(by: str, *, over: str) -> str:
    """Of what the student could have answered, the share that the teacher does: unsure of it, or it is unfamiliar."""
    asked = f"sum by ({by}) (rate(tutelage_drafts_total{{{BOTH}}}[{over}]))"
    return f'sum by ({by}) (rate(tutelage_drafts_total{{{BOTH},outcome!="accepted"}}[{over}])) / ({asked} > 0)'


def _score(share: float) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate(tutelage_score_bucket{{{TASK}}}[$__rate_interval])))"


CONTRACT = [
    Panel(
        "In force",
        "The release that serves each task. None: the teacher answers everything of it.",
        {"{{task}}: {{release}}": of("tutelage_release_in_force")},
        kind="stat",
        width=6,
    ),
    Panel(
        "Agreement",
        "Of all answers of the release in force, the share that agree with the teacher's, by the references.",
        {"{{task}}": of("tutelage_agreement")},
        unit="percentunit",
        kind="stat",
        width=4,
    ),
    Panel(
        "Alarm",
        "How much of its bound the alarm has reached. At 100 % it sounds: the release is voided.",
        {"{{task}}": of("tutelage_alarm_level")},
        unit="percentunit",
        kind="stat",
        width=4,
    ),
    Panel(
        "Exposure",
        "Answers wrong beyond the contract that would pass before the alarm, if twice as many differed at once as it "
        "allows. A higher rho makes it smaller.",
        {"{{task}}": of("tutelage_alarm_exposure_answers")},
        kind="stat",
        width=4,
    ),
    Panel(
        "Certificates end in",
        "Below three days somebody is told (runbook certificate-expiring).",
        {"{{release}}": f"{of('tutelage_certificate_expires_timestamp_seconds')} - time()"},
        unit="s",
        kind="stat",
        width=6,
    ),
    Panel(
        "Agreement and contract",
        "The line of the contract is 1 - alpha. The interval holds at all times with 95 % confidence; it may reach "
        "below the contract while it is young. All of it below: the alarm sounds, or is about to.",
        {
            "{{release}}": of("tutelage_agreement"),
            "{{release}} lower": of("tutelage_agreement_lower"),
            "{{release}} upper": of("tutelage_agreement_upper"),
            "contract of {{task}}": f"1 - max by (task) (tutelage_contract_alpha{{{TASK}}})",
        },
        unit="percentunit",
        width=12,
    ),
    Panel(
        "Alarm level",
        "It wanders below a half in good times. A steady rise is a release that has become worse.",
        {"{{release}}": of("tutelage_alarm_level")},
        unit="percentunit",
        width=6,
    ),
    Panel(
        "References since it is in force",
        "Answers that the teacher has given too, and those that disagree.",
        {"{{release}}": of("tutelage_live_references"), "{{release}} disagree": of("tutelage_live_errors")},
        width=6,
    ),
    Panel(
        "Certificates",
        "alpha: what is certified. bound: of the errors on its window. coverage: what it answers of it.",
        {
            "alpha": of("tutelage_certificate_alpha"),
            "bound": of("tutelage_certificate_upper_bound"),
            "coverage": of("tutelage_certificate_coverage"),
            "age in seconds": f"time() - {of('tutelage_certificate_issued_timestamp_seconds')}",
        },
        kind="table",
        width=12,
    ),
    Panel(
        "False alarms: B in days",
        "A false alarm within d days has a probability of at most d over it, at the pace of references so far.",
        {"{{task}}": of("tutelage_alarm_bound_days"), "all tasks": "max(tutelage_alarm_bound_days_of_all)"},
        unit="d",
        width=6,
    ),
    Panel(
        "Voided in the last day",
        "By alarm, by a change of engine, prompt or settings, or since another model answers under the teacher's name.",
        {
            "{{task}} {{trigger}}": "max by (task, trigger) (increase(tutelage_decisions_total"
            f'{{{TASK},action="void"}}[1d]))'
        },
        width=6,
    ),
]
STUDENT = [
    Panel(
        "Escalation rate by release",
        "Of what each release might answer, the share that the teacher does. It should fall from release to "
        "release: that is what re-distillation is for.",
        {"{{release}}": escalated("release", over="$__rate_interval")},
        unit="percentunit",
        width=12,
    ),
    Panel(
        "Why the teacher answers",
        "unsure: below the certified threshold. unfamiliar: unlike everything that taught the student. no_release, "
        "certificate_expired: no student may be asked. "
        "student_unavailable: down or slow. tools, media, sampling and others: nothing for a student.",
        {
            "{{reason}}": f'sum by (reason) (rate(tutelage_requests_total{{{TASK},reason!="accepted"}}'
            "[$__rate_interval]))"
        },
        unit="reqps",
        stacked=True,
        width=12,
    ),
    Panel(
        "Scores",
        "Calibrated probability that a draft agrees: tenth, median and ninetieth percentile. A median that sinks is "
        "traffic which the student does not know.",
        {"10 %": _score(0.1), "median": _score(0.5), "90 %": _score(0.9)},
        unit="percentunit",
    ),
    Panel(
        "Signs of drift",
        "Shifts of signals that need no label, under the release in force. They draw attention; the guarantee is the "
        "alarm's.",
        {"{{task}} {{signal}}": f"max by (task, signal) (tutelage_drift_notices{{{TASK}}})"},
    ),
    Panel(
        "What people say",
        "Feedback of users: good, wrong, corrected. Corrections teach the next release.",
        {"{{said}}": "sum by (said) (increase(tutelage_feedback_total[1h]))"},
        stacked=True,
    ),
]
LOOP = [
    Panel(
        "Rows for the next release",
        "Gathered, as a share of what it takes. Rows teach, references certify.",
        {
            "{{task}} {{kind}}": f"max by (task, kind) (tutelage_rows_gathered{{{TASK}}} "
            f"/ tutelage_rows_needed{{{TASK}}})"
        },
        unit="percentunit",
    ),
    Panel(
        "Runs",
        "Rounds of re-distillation that have ended: certified, refused with a reason, or failed.",
        {"{{task}} {{outcome}}": f"max by (task, outcome) (tutelage_runs_total{{{TASK}}})"},
    ),
    Panel(
        "Rows learned from",
        "By the champion's adapter. It grows from round to round: the set is cumulative.",
        {"{{release}}": of("tutelage_release_taught_rows")},
    ),
    Panel(
        "Coverage by release",
        "The share of its window that each release answers: the certified side of the escalation rate.",
        {"{{release}}": of("tutelage_certificate_coverage")},
        unit="percentunit",
    ),
    Panel(
        "What was decided",
        "By rule: train, or wait and for what. price: it would not pay. forbidden: the teacher's terms.",
        {
            "{{task}} {{action}} ({{trigger}})": "max by (task, action, trigger) (tutelage_decisions_total"
            f'{{{TASK},action=~"train|wait"}}) > 0'
        },
    ),
    Panel(
        "What stands",
        "Each task's last decision, and whether a run is under way.",
        {
            "decision": f"max by (task, action, trigger) (tutelage_decision_stands{{{TASK}}})",
            "run": f"max by (task) (tutelage_run_active{{{TASK}}})",
        },
        kind="table",
    ),
]
BOARD = Board(
    "tutelage-quality",
    "Tutelage: quality",
    "Whether the student keeps its contract, and how it becomes better.",
    [Row("The contract", CONTRACT), Row("The student", STUDENT), Row("The loop", LOOP)],
)
