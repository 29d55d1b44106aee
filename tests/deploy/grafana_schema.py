"""The part of Grafana's dashboard schema that ours use, as models that refuse every other key.

Written from the classic dashboard model of Grafana's own schema package (@grafana/schema, `raw/dashboard/x`, and the
panel models beside it) and, for the targets, from the query models of the two data sources. A key that we begin to use
is added here by whoever has read what it means.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]
Calc = Literal["lastNotNull", "last", "max", "min", "mean", "sum"]


class Strict(BaseModel):
    """Refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid", strict=True)


class DataSource(Strict):
    """Whom a panel asks, by the uid of the provisioning file."""

    type: Literal["prometheus", "grafana-clickhouse-datasource"]
    uid: Text


class PromTarget(Strict):
    """A query of the Prometheus data source."""

    refId: Annotated[str, Field(pattern=r"^[A-Z]$")]
    datasource: DataSource
    editorMode: Literal["code", "builder"]
    expr: Text
    legendFormat: Text
    range: bool
    instant: bool


class ClickHouseTarget(Strict):
    """A query of the ClickHouse data source; `format` 0 is a series, 1 a table."""

    refId: Annotated[str, Field(pattern=r"^[A-Z]$")]
    datasource: DataSource
    editorType: Literal["sql"]
    format: Literal[0, 1]
    queryType: Literal["table", "timeseries"]
    rawSql: Text


class GridPos(Strict):
    """Where a panel stands: 24 columns wide, rows of 30 pixels."""

    x: Annotated[int, Field(ge=0, lt=24)]
    y: Annotated[int, Field(ge=0)]
    w: Annotated[int, Field(gt=0, le=24)]
    h: Annotated[int, Field(gt=0)]


class Step(Strict):
    """From this value on this colour; the first has none."""

    color: Text
    value: float | None


class Thresholds(Strict):
    """The steps of a colour."""

    mode: Literal["absolute", "percentage"]
    steps: Annotated[list[Step], Field(min_length=1)]


class Stacking(Strict):
    """Whether bars stand on each other."""

    mode: Literal["none", "normal", "percent"]
    group: str


class Custom(Strict):
    """What only some kinds of panel have."""

    drawStyle: Literal["line", "bars", "points"] | None = None
    fillOpacity: Annotated[int, Field(ge=0, le=100)] | None = None
    lineWidth: int | None = None
    stacking: Stacking | None = None
    filterable: bool | None = None


class Defaults(Strict):
    """How a field is shown."""

    unit: Literal["s", "short", "cps", "reqps", "percent"] | None = None
    min: float | None = None
    custom: Custom | None = None
    thresholds: Thresholds | None = None


class Matcher(Strict):
    """Which field an override is for."""

    id: Literal["byName"]
    options: Text


class Property(Strict):
    """What an override changes."""

    id: Literal["color"]
    value: dict[str, str]


class Override(Strict):
    """A field that is shown otherwise."""

    matcher: Matcher
    properties: list[Property]


class FieldConfig(Strict):
    """How fields are shown, and which otherwise."""

    defaults: Defaults
    overrides: list[Override]


class Legend(Strict):
    """The names below a graph."""

    displayMode: Literal["list", "table", "hidden"]
    placement: Literal["bottom", "right"]
    showLegend: bool
    calcs: list[Calc]


class Tooltip(Strict):
    """What the pointer shows."""

    mode: Literal["single", "multi", "none"]
    sort: Literal["asc", "desc", "none"]


class GraphOptions(Strict):
    """Of a `timeseries`."""

    legend: Legend
    tooltip: Tooltip


class Reduce(Strict):
    """How many values become one."""

    calcs: list[Calc]
    values: bool


class StatOptions(Strict):
    """Of a `stat`."""

    reduceOptions: Reduce
    colorMode: Literal["value", "background", "none"]
    graphMode: Literal["none", "area", "line"]
    textMode: Literal["auto", "value", "value_and_name", "name", "none"]


class TableOptions(Strict):
    """Of a `table`."""

    showHeader: bool
    cellHeight: Literal["sm", "md", "lg", "auto"]


class _Asking(Strict):
    id: Annotated[int, Field(gt=0)]
    title: Text
    description: Text
    gridPos: GridPos
    datasource: DataSource
    targets: Annotated[list[PromTarget | ClickHouseTarget], Field(min_length=1)]
    fieldConfig: FieldConfig


class Graph(_Asking):
    """Lines or bars over time."""

    type: Literal["timeseries"]
    options: GraphOptions


class Stat(_Asking):
    """One number."""

    type: Literal["stat"]
    options: StatOptions


class Table(_Asking):
    """Rows and columns."""

    type: Literal["table"]
    options: TableOptions


class Row(Strict):
    """A heading; open, so that its panels follow it and do not lie in it."""

    id: Annotated[int, Field(gt=0)]
    type: Literal["row"]
    title: Text
    collapsed: Literal[False]
    panels: Annotated[list[Any], Field(max_length=0)]
    gridPos: GridPos


class Current(Strict):
    """What is chosen at first."""

    text: str
    value: str


class QueryVariable(Strict):
    """A variable whose values come from a query."""

    type: Literal["query"]
    name: Text
    label: Text
    datasource: DataSource
    query: Text
    refresh: Literal[0, 1, 2]
    multi: bool
    includeAll: bool
    allValue: Text
    current: Current


class TextVariable(Strict):
    """A variable that a person types."""

    type: Literal["textbox"]
    name: Text
    label: Text
    description: Text
    query: str


class Templating(Strict):
    """The variables."""

    list: list[Annotated[QueryVariable | TextVariable, Field(discriminator="type")]]


class Annotations(Strict):
    """Marks on every graph; none of ours."""

    list: Annotated[list[Any], Field(max_length=0)]


class Period(Strict):
    """What is shown at first."""

    from_: Annotated[str, Field(alias="from", pattern=r"^now-\d+[hd]$")]
    to: Literal["now"]


class Link(Strict):
    """To the dashboards with a tag."""

    type: Literal["dashboards"]
    title: Text
    tags: list[Text]
    asDropdown: bool
    includeVars: bool
    keepTime: bool
    targetBlank: bool
    icon: str
    tooltip: str
    url: str


class Dashboard(Strict):
    """A whole dashboard; addresses are at most 40 characters."""

    uid: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    title: Text
    description: Text
    tags: list[Text]
    schemaVersion: Annotated[int, Field(ge=36)]
    timezone: Literal["utc"]
    editable: bool
    graphTooltip: Literal[0, 1, 2]
    refresh: Annotated[str, Field(pattern=r"^\d+[smh]$")]
    time: Period
    templating: Templating
    annotations: Annotations
    links: list[Link]
    panels: list[Annotated[Graph | Stat | Table | Row, Field(discriminator="type")]]
