"""What our dashboards are made of: panels as plain values, and the one place that speaks Grafana's SDK."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions, StackingConfig, VizLegendOptions
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, StackingMode
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DataSourceRef, VariableOption, VariableRefresh
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH = 24  # of Grafana's grid


@dataclass(frozen=True)
class Panel:
    """One panel. `queries`: {legend: PromQL}; `unit` in Grafana's words; `description`: what it shows, and what of
    it is good or bad. `kind`: over time, one number, or a table of what is so now."""

    title: str
    description: str
    queries: Mapping[str, str]
    unit: str = "short"
    kind: str = "time"  # or "stat", "table"
    width: int = 8
    stacked: bool = False


@dataclass(frozen=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Board:
    """A dashboard. `uid` is in its URL, and stays."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]

    @property
    def expressions(self) -> list[str]:
        """Of all panels."""
        return [expr for row in self.rows for panel in row.panels for expr in panel.queries.values()]


# name -> (PromQL, title, colour): a point for each time at which it has a value.
ANNOTATIONS = {
    "Releases": (
        'max by (task, release) (tutelage_release_in_force{task=~"$task"}) '
        'unless max by (task, release) (tutelage_release_in_force{task=~"$task"} offset 1m)',
        "{{release}} is in force",
        "green",
    ),
    "Alarms": (
        'max by (task, trigger) (increase(tutelage_decisions_total{task=~"$task",action="void"}[2m])) > 0',
        "{{task}}: its release was voided ({{trigger}})",
        "red",
    ),
}
VARIABLES = {
    "task": "label_values(tutelage_task_info, task)",
    "release": 'label_values(tutelage_drafts_total{task=~"$task"}, release)',
}


def to_json(board: Board) -> str:
    """As Grafana reads it from a file."""
    built = dashboard.Dashboard(board.title).uid(board.uid).description(board.description).tags(["tutelage"])
    built = (
        built.time("now-24h", "now").refresh("1m").timezone("browser").tooltip(DashboardCursorSync.CROSSHAIR).readonly()
    )
    built = built.with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    for name, query in VARIABLES.items():
        built = built.with_variable(_variable(name, query))
    for name, (expr, _, colour) in ANNOTATIONS.items():
        note = dashboard.AnnotationQuery().name(name).datasource(SOURCE).enable(True).hide(False)
        built = built.annotation(note.icon_color(colour).expr(expr))
    for row in board.rows:
        built = built.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            built = built.with_panel(_KINDS[panel.kind](panel))
    return _finished(json.loads(JSONEncoder(sort_keys=True).encode(built.build())))


def _finished(values: dict[str, Any]) -> str:
    """With what the SDK has no word for, and the same text whatever made it."""
    for note in values["annotations"]["list"]:
        note["titleFormat"] = ANNOTATIONS[note["name"]][1]
    for number, panel in enumerate(values["panels"], start=1):
        panel["id"] = number
    return json.dumps(values, indent=1, sort_keys=True) + "\n"


def _variable(name: str, query: str) -> dashboard.QueryVariable:
    every = VariableOption(selected=True, text="All", value="$__all")
    found = dashboard.QueryVariable(name).label(name.capitalize()).datasource(SOURCE).query(query)
    found = found.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).multi(True).include_all(True).all_value(".*")
    return found.current(every)


def _over_time(panel: Panel) -> Any:
    legend = VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    built = _common(timeseries.Panel(), panel).height(8).legend(legend.show_legend(True)).line_width(1)
    if panel.stacked:
        built = built.stacking(StackingConfig().mode(StackingMode.NORMAL)).fill_opacity(40)
    return _asking(built, panel)


def _number(panel: Panel) -> Any:
    built = _common(stat.Panel(), panel).height(4)
    return _asking(built.reduce_options(ReduceDataOptions().calcs(["lastNotNull"])), panel, instant=True)


def _table(panel: Panel) -> Any:
    return _asking(_common(table.Panel(), panel).height(8), panel, instant=True, form=PromQueryFormat.TABLE)


def _common(built: Any, panel: Panel) -> Any:
    built = built.title(panel.title).description(panel.description).unit(panel.unit).datasource(SOURCE)
    return built.span(panel.width).no_value("none yet")


def _asking(
    built: Any, panel: Panel, *, instant: bool = False, form: PromQueryFormat = PromQueryFormat.TIME_SERIES
) -> Any:
    for number, (legend, expr) in enumerate(panel.queries.items()):
        query = prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(chr(ord("A") + number)).format(form)
        built = built.with_target(query.instant() if instant else query.range())
    return built


_KINDS: dict[str, Callable[[Panel], Any]] = {"time": _over_time, "stat": _number, "table": _table}
