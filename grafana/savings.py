"""For whoever pays: what the teacher alone would have cost, what everything costs, and what is left of it.

Amounts come from the ledger and are the same in all gateways: the largest of each is taken, then the sum over tasks.
"""

from grafana.panels import Board, Panel, Row

TASK = 'task=~"$task"'


def total(metric: str, by: str, *, over: str, having: str = "") -> str:
    """What a counter of the ledger has gained, of the chosen tasks together."""
    return f"sum(max by ({by}) (increase({metric}{{{TASK}{having}}}[{over}])))"


BASELINE, COST = "tutelage_baseline_usd_total", "tutelage_cost_usd_total"


def saved(bound: str) -> str:
    """Since the first request, of the chosen tasks together."""
    return f'sum(max by (task) (tutelage_savings_usd{{{TASK},bound="{bound}"}}))'


def _short(over: str) -> list[Panel]:
    baseline, cost = total(BASELINE, "task, kind", over=over), total(COST, "task, component", over=over)
    asked = f"sum(increase(tutelage_requests_total{{{TASK}}}[{over}]))"
    return [
        Panel(
            "Saved since the first request",
            "What the teacher alone would have cost, less everything that was spent, training too. Estimate: what the "
            "student answered is priced as the teacher's answers were.",
            {"estimate": saved("estimate")},
            unit="currencyUSD",
            kind="stat",
            width=5,
        ),
        Panel(
            "At least, at most",
            "The 95 % interval of what was saved. Below zero at its upper end: this costs more than the teacher alone "
            "(runbook savings-negative).",
            {"at least": saved("lower"), "at most": saved("upper")},
            unit="currencyUSD",
            kind="stat",
            width=5,
        ),
        Panel(
            "Saved in this time",
            "Of what the teacher alone would have cost in the chosen time, the share that was not spent.",
            {"": f"1 - {cost} / ({baseline} > 0)"},
            unit="percentunit",
            kind="stat",
            width=4,
        ),
        Panel(
            "Spent in this time",
            "Everything: teacher, drafts, references, judges, training, upkeep, the student's machine.",
            {"": cost},
            unit="currencyUSD",
            kind="stat",
            width=4,
        ),
        Panel(
            "A thousand requests cost",
            "With the student and with the teacher alone.",
            {"now": f"1000 * {cost} / ({asked} > 0)", "teacher alone": f"1000 * {baseline} / ({asked} > 0)"},
            unit="currencyUSD",
            kind="stat",
            width=6,
        ),
    ]


BOARD = Board(
    "tutelage-savings",
    "Tutelage: savings",
    "What was saved, with its interval, and what it was spent on.",
    [
        Row("In short", _short("$__range")),
        Row(
            "Where it goes",
            [
                Panel(
                    "Baseline and spend, an hour",
                    "The gap between the lines is what is saved. They lie on each other before the first release, and "
                    "part with every release that takes over more.",
                    {
                        "teacher alone": total(BASELINE, "task, kind", over="1h"),
                        "spent": total(COST, "task, component", over="1h"),
                    },
                    unit="currencyUSD",
                    width=12,
                ),
                Panel(
                    "Spend by component, an hour",
                    "teacher: answers to clients. draft: what the student writes, rejected drafts too. reference: "
                    "labels that certify and guard. training: runs. machine: the student's, once an hour is over. A "
                    "large reference part asks for a lower rho.",
                    {
                        "{{component}}": "sum by (component) (max by (task, component) "
                        f"(increase({COST}{{{TASK}}}[1h])))"
                    },
                    unit="currencyUSD",
                    width=12,
                    stacked=True,
                ),
                Panel(
                    "Saved, with its interval",
                    "Since the first request. The slope is what is saved now.",
                    {bound: saved(bound) for bound in ("lower", "estimate", "upper")},
                    unit="currencyUSD",
                    width=12,
                ),
                Panel(
                    "Saved by task",
                    "Estimates. A task that stays below zero is better left to its teacher.",
                    {"{{task}}": f'max by (task) (tutelage_savings_usd{{{TASK},bound="estimate"}})'},
                    unit="currencyUSD",
                    width=12,
                ),
            ],
        ),
        Row(
            "What it depends on",
            [
                Panel(
                    "Answered by the student",
                    "The share of client requests that the student answers. Savings follow it.",
                    {
                        "{{task}}": f'sum by (task) (rate(tutelage_requests_total{{{TASK},route="student"}}'
                        f"[$__rate_interval])) / (sum by (task) (rate(tutelage_requests_total{{{TASK}}}"
                        "[$__rate_interval])) > 0)"
                    },
                    unit="percentunit",
                ),
                Panel(
                    "Tokens, an hour",
                    "Of student and teacher, as whoever answered counted them. Cached prompt tokens cost less.",
                    {
                        "{{by}} {{kind}}": "sum by (by, kind) (max by (task, by, kind) "
                        f"(increase(tutelage_tokens_total{{{TASK}}}[1h])))"
                    },
                ),
                Panel(
                    "Budgets: share spent",
                    "Of each budget in its period. At 1 the teacher is no longer asked (429 insufficient_quota), and "
                    "the student answers on (runbook spend-above-plan). Empty where no budget is set.",
                    {
                        "{{scope}} ({{per}})": "max by (scope, per) (tutelage_budget_spent_usd / tutelage_budget_usd)",
                    },
                    unit="percentunit",
                ),
            ],
        ),
    ],
)
