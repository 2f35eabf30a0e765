"""InfluxDB 2 as the gateway prepares it: what its double was asked for. There is no InfluxDB 2 to install here."""

import secrets
from collections.abc import Callable, Iterator

import pytest
from influx2_double import Influx2Double
from servers import VictoriaMetrics

from gateway.config import InfluxConfig
from gateway.influx_setup import task
from gateway.influx_writers import Influx2

DAY_S = 86_400


@pytest.fixture
def influx(victoria: VictoriaMetrics) -> Iterator[Influx2Double]:
    with Influx2Double(secrets.token_hex(8), victoria) as double:
        yield double


@pytest.fixture
def writer(influx: Influx2Double) -> Callable[[int], Influx2]:
    def make(keep_days: int) -> Influx2:
        return Influx2(
            InfluxConfig(
                version=2, url=influx.url, org="chairside", bucket="chairside", token=influx.admin, keep_days=keep_days
            )
        )

    return make


@pytest.mark.parametrize("there", [True, False], ids=["the server's own set-up made the bucket", "no bucket"])
def test_pages_find_rows_where_the_gateway_writes_them(
    influx: Influx2Double, writer: Callable[[int], Influx2], there: bool
) -> None:
    """A query that names no retention policy reads the bucket of the rows, and "minutes" the copy; saying it all again
    changes nothing."""
    if there:
        influx.bucket("chairside")
    for _ in range(2):
        writer(0).set_up()
    names = {one["id"]: one["name"] for one in influx.buckets}
    assert {(one["retention_policy"], names[one["bucketID"]], one["default"]) for one in influx.mapped()} == {
        ("autogen", "chairside", True),
        ("minutes", "chairside_minutes", False),
    }
    assert len(influx.mappings) == 2
    assert [one["flux"] for one in influx.tasks] == [task("chairside", "chairside_minutes")]


def test_how_long_rows_are_kept_is_changed_where_it_differs(
    influx: Influx2Double, writer: Callable[[int], Influx2]
) -> None:
    """Also of a bucket that was there; the copy is kept for ever."""
    influx.bucket("chairside")
    for keep_days, kept_s in ((30, 30 * DAY_S), (3, 3 * DAY_S), (0, 0)):
        writer(keep_days).set_up()
        kept = {one["name"]: sum(rule["everySeconds"] for rule in one["retentionRules"]) for one in influx.buckets}
        assert kept == {"chairside": kept_s, "chairside_minutes": 0}


def test_a_task_of_an_older_version_is_brought_up_to_date(
    influx: Influx2Double, writer: Callable[[int], Influx2]
) -> None:
    """It stays one."""
    writer(0).set_up()
    influx.tasks[0]["flux"] = "of another version"
    writer(0).set_up()
    assert [one["flux"] for one in influx.tasks] == [task("chairside", "chairside_minutes")]


def test_late_rows_are_copied_without_an_answer_of_all_of_them(
    influx: Influx2Double, writer: Callable[[int], Influx2]
) -> None:
    """Between two whole minutes; what is written would else come back."""
    writer(0).copy(60 * 10**9, 120 * 10**9)
    (query,) = influx.queries
    assert "range(start: time(v: 60000000000), stop: time(v: 120000000000))" in query
    assert query.rstrip().endswith("|> filter(fn: (r) => false)")
    assert "option task" not in query
