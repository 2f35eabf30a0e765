"""A page and its panels: what every dashboard of ours has in common."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from grafana_foundation_sdk.builders import dashboard, stat, statetimeline, text, timeseries
from grafana_foundation_sdk.builders import table as table_panel
from grafana_foundation_sdk.builders.common import GraphThresholdsStyleConfig
from grafana_foundation_sdk.models.common import GraphDrawStyle, GraphThresholdsStyleMode, VisibilityMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DynamicConfigValue,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from gateway.core.protocol import Measure, Protocol
from grafana import thresholds
from grafana.queries import COPY_OF_RANGE, POINTS_MAX, SITE, SOURCE, InfluxQl

MMHG, PER_MINUTE, NO_UNIT = "suffix: mmHg", "suffix: /min", "none"
THIRD, HALF, FULL = 8, 12, 24
TAG = "chairside"
Panel = timeseries.Panel | statetimeline.Panel | table_panel.Panel | stat.Panel | text.Panel
Words = Mapping[str, tuple[str, str]]
"""What a stored number or word means: its text and its colour."""
P = TypeVar("P", timeseries.Panel, statetimeline.Panel, table_panel.Panel, stat.Panel)

LEVELS: Words = {
    "0": ("calm", "#2f6f4f"),
    "1": ("* low", thresholds.COLOURS["low"]),
    "2": ("** medium", thresholds.COLOURS["medium"]),
    "3": ("*** high", thresholds.COLOURS["high"]),
}
VERDICTS: Words = {"1": ("met", "green"), "0": ("not met", "orange"), "-1": ("unknown", "purple")}
CONDITIONS: Words = {
    "normal": ("normal", "transparent"),
    "active": ("active", "#e02f44"),
    "clearing": ("clearing", "#ff9830"),
    "latched": ("latched", "#8f3bb8"),
}
NOTICE = """**For looking back. Not an alarm display, and not a medical device.** Grafana reads the database, which
may be seconds or hours behind; a chair that is silent here may be in alarm. The wall page shows what is live."""
_LINES = GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)


def page(
    name: str,
    title: str,
    description: str,
    panels: Iterable[Panel],
    *,
    begin: str,
    refresh: str = "30s",
    several: bool = True,
    variables: Iterable[dashboard.QueryVariable] = (),
) -> dashboard.Dashboard:
    """A dashboard with the notice on top, linked to the others, which keep its range and its choices: a site,
    of which two may have a bay-1 each, and of its chairs `several` or one."""
    made = (
        dashboard.Dashboard(f"Chairside: {title}")
        .uid(f"chairside-{name}")
        .description(description)
        .tags([TAG])
        .time(begin, "now")
        .refresh(refresh)
        .editable()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("Chairside")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .keep_time(True)
            .include_vars(True)
        )
        .with_variable(dashboard.DatasourceVariable("source").label("database").type("influxdb"))
        .with_variable(choice("site", 'SHOW TAG VALUES FROM "gateway" WITH KEY = "site"'))
        .with_variable(
            choice("chair", f'SHOW TAG VALUES FROM "vitals" WITH KEY = "chair" WHERE {SITE}', several=several)
        )
        .with_variable(found("copy", COPY_OF_RANGE))
    )
    for variable in variables:
        made.with_variable(variable)
    notice = text.Panel().title("Notice").content(NOTICE).description("What these pages are for, and what not.")
    made.with_panel(notice.datasource(SOURCE).span(FULL).height(2))
    for panel in panels:
        made.with_panel(panel)
    return made


def choice(name: str, query: str, *, several: bool = False) -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable(name).query(query).datasource(SOURCE).multi(several).include_all(several)
    if several:
        variable.current(VariableOption(text=["All"], value=["$__all"]))
    return variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.NATURAL_ASC)


def found(name: str, query: str) -> dashboard.QueryVariable:
    """A value that the database answers, for the queries of the page; nobody chooses it."""
    return choice(name, query).hide(VariableHide.HIDE_VARIABLE)


def chart(
    title: str, description: str, unit: str, *queries: InfluxQl, span: int = HALF, each: str = ""
) -> timeseries.Panel:
    """`each` is the shortest interval of a point, if its queries group by intervals."""
    panel = described(timeseries.Panel(), title, description, unit, queries, span, 8)
    return panel.interval(each).max_data_points(POINTS_MAX) if each else panel


def points(panel: timeseries.Panel) -> timeseries.Panel:
    """Nothing is known between two measurements, so nothing is drawn."""
    return panel.draw_style(GraphDrawStyle.POINTS).show_points(VisibilityMode.ALWAYS)


def bars(panel: timeseries.Panel) -> timeseries.Panel:
    return panel.draw_style(GraphDrawStyle.BARS).fill_opacity(60)


def with_limits(panel: timeseries.Panel, protocol: Protocol, measure: Measure) -> timeseries.Panel:
    return panel.thresholds(thresholds.of(protocol, measure)).thresholds_style(_LINES)


def timeline(title: str, description: str, words: Words, *queries: InfluxQl, each: str = "") -> statetimeline.Panel:
    """States as bars, from one change to the next, or with `each` of every interval that has one."""
    panel = described(statetimeline.Panel(), title, description, NO_UNIT, queries, HALF, 9)
    panel.mappings(mapped(words))
    return panel.interval(each).max_data_points(POINTS_MAX) if each else panel


def table(title: str, description: str, *queries: InfluxQl, span: int = HALF, height: int = 9) -> table_panel.Panel:
    return described(table_panel.Panel(), title, description, NO_UNIT, queries, span, height)


def sums(title: str, description: str, *queries: InfluxQl) -> table_panel.Panel:
    """A table of sums over the range. Their time would be the range's begin, so none is shown."""
    hidden = [DynamicConfigValue(id_val="custom.hidden", value=True)]
    return table(title, description, *queries).override_by_name("Time", hidden)


def figure(title: str, description: str, unit: str, *queries: InfluxQl) -> stat.Panel:
    """One number. Without data it says so."""
    return described(stat.Panel(), title, description, unit, queries, THIRD, 4).no_value("no data")


def aged(panel: table_panel.Panel) -> table_panel.Panel:
    """Each row begins with how old it is, so that none looks like now."""
    named = DynamicConfigValue(id_val="displayName", value="when")
    return panel.override_by_name("Time", [named, DynamicConfigValue(id_val="unit", value="dateTimeFromNow")])


def linked(panel: table_panel.Panel, column: str, page_name: str) -> table_panel.Panel:
    """Each name in a column leads to its page, of the same database, site and range."""
    kept = "var-source=${source}&var-site=${site}&${__url_time_range}"
    address = f"/d/chairside-{page_name}?var-{column}=${{__value.raw}}&{kept}"
    links = [{"title": f"Open this {column}", "url": address}]
    return panel.override_by_name(column, [DynamicConfigValue(id_val="links", value=links)])


def coloured(panel: table_panel.Panel, column: str, words: Words) -> table_panel.Panel:
    """A column whose cells say a word on its colour."""
    return panel.override_by_name(
        column,
        [
            DynamicConfigValue(id_val="mappings", value=mapped(words)),
            DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-background", "mode": "basic"}),
        ],
    )


def in_unit(panel: table_panel.Panel, column: str, unit: str, decimals: int = 0) -> table_panel.Panel:
    return panel.override_by_name(
        column, [DynamicConfigValue(id_val="unit", value=unit), DynamicConfigValue(id_val="decimals", value=decimals)]
    )


def mapped(words: Words) -> list[ValueMapping]:
    results = {
        value: ValueMappingResult(text=word, color=colour, index=index)
        for index, (value, (word, colour)) in enumerate(words.items())
    }
    return [ValueMap(options=results)]


def described(
    panel: P, title: str, description: str, unit: str, queries: Iterable[InfluxQl], span: int, height: int
) -> P:
    panel.title(title).description(description).unit(unit).datasource(SOURCE).span(span).height(height)
    for query in queries:
        panel.with_target(query)
    return panel


def grafana_store() -> DataSourceRef:
    """Grafana's own annotations, which the gateway writes."""
    return DataSourceRef(type_val="grafana", uid="-- Grafana --")
