"""*Session review*: one stay from its start to its end."""

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import units

from gateway.core.protocol import Protocol
from grafana.annotations import alarms, regions, staff
from grafana.pages.chair import PHASE_MARKS, PHASES
from grafana.panels import (
    CONDITIONS,
    FULL,
    LEVELS,
    MMHG,
    PER_MINUTE,
    VERDICTS,
    chart,
    choice,
    figure,
    found,
    page,
    points,
    table,
    timeline,
    with_limits,
)
from grafana.queries import CHAIR, EACH_INTERVAL, EACH_VITALS, SESSION, SITE, of, over_time
from grafana.queries import table as rows

PLACES = (
    f'SELECT DISTINCT("chair") FROM (SELECT "chair", "what" FROM "session" WHERE {SITE} AND {SESSION} AND $timeFilter)'
)
STAY = f'{SITE} AND "chair" =~ /^$place$/ AND {SESSION}'
"""By its chair as well: the session is a field, and looking for it at every chair takes twenty times as long."""
NAMED = "\"session\" != ''"
SESSIONS = (
    f'SELECT DISTINCT("session") FROM (SELECT "session" FROM "session" WHERE {CHAIR} AND {NAMED} AND $timeFilter)'
)


def build(protocol: Protocol) -> dashboard.Dashboard:
    raised = rows("alarm", '"rank"', where=f"{STAY} AND \"what\" = 'raised'")
    saturation = chart(
        "Oxygen saturation",
        f"Lowest SpO2 of each interval. Lines: limits of the protocol “{protocol.title}”.",
        units.Percent,
        over_time("vitals", 'min("spo2_pct")', EACH_INTERVAL, '"chair"', where=STAY),
        each=EACH_VITALS,
    )
    pulse = chart(
        "Pulse rate",
        f"Mean pulse rate of each interval. Lines: limits of the protocol “{protocol.title}”.",
        PER_MINUTE,
        over_time("vitals", 'mean("pulse_bpm")', EACH_INTERVAL, '"chair"', where=STAY),
        each=EACH_VITALS,
    )
    pressure = chart(
        "Blood pressure",
        f"Each cuff measurement. Lines: systolic limits of the protocol “{protocol.title}”.",
        MMHG,
        over_time(
            "cuff",
            '"sys_mmhg" AS "systolic", "map_mmhg" AS "mean", "dia_mmhg" AS "diastolic"',
            '"chair"',
            where=STAY,
            alias="$col",
        ),
    )
    made = page(
        "review",
        "session review",
        "One stay: what was measured, what alarmed, what staff did, and when the criteria were met.",
        [
            figure(
                "Lowest saturation",
                "The lowest good saturation of the stay.",
                units.Percent,
                rows("vitals", 'min("spo2_pct")', where=STAY),
            ),
            figure(
                "Highest systolic pressure",
                "The highest systolic pressure of the stay.",
                MMHG,
                rows("cuff", 'max("sys_mmhg")', where=STAY),
            ),
            figure(
                "Alarms",
                "How many alarms were raised in the stay, of every level.",
                units.Short,
                of(raised, 'count("rank")', '"rank" > 0'),
            ),
            with_limits(saturation.min(60).max(100), protocol, "spo2_pct"),
            with_limits(pulse, protocol, "pulse_bpm"),
            with_limits(points(pressure), protocol, "sys_mmhg"),
            timeline(
                "Level",
                "The gravest alarm of each interval, as the records were judged.",
                LEVELS,
                over_time("vitals", 'max("rank")', EACH_INTERVAL, '"chair"', where=STAY),
                each=EACH_VITALS,
            ),
            timeline(
                "Phase",
                "Before the dose, dosing, recovery, gone: as staff marked it.",
                PHASES,
                over_time("session", '"what"', '"chair"', where=f"{STAY} AND ({PHASE_MARKS})"),
            ),
            timeline(
                "Alarms of the stay",
                "Each rule's condition from one change to the next.",
                CONDITIONS,
                over_time("alarm", '"state"', '"rule"', where=STAY, alias="$tag_rule"),
            ),
            timeline(
                "Readiness",
                "Each discharge criterion: met, not met, unknown. Unknown is not ready.",
                VERDICTS,
                over_time("readiness", '"score"', '"criterion"', where=STAY, alias="$tag_criterion"),
            ),
            table(
                "What staff did",
                "Every entry of the session's record, newest first.",
                rows("session", '"what", "who", "why"', where=STAY, latest=300),
            ),
            table(
                "Alarm log",
                "Every change of an alarm, newest first.",
                rows("alarm", '"rule", "priority", "what", "reason", "value", "limit", "who"', where=STAY, latest=300),
                span=FULL,
            ),
        ],
        begin="now-6h",
        refresh="1m",
        variables=[choice("session", SESSIONS), found("place", PLACES)],
    )
    for annotation in (alarms(STAY), staff(STAY), *regions("session:$session")):
        made.annotation(annotation)
    return made
