"""*Chair*: trends of the chosen chairs, with what alarmed, what staff did, and what was ready."""

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import units

from gateway.core.protocol import Protocol
from grafana.annotations import alarms, regions, staff
from grafana.panels import (
    CONDITIONS,
    LEVELS,
    MMHG,
    PER_MINUTE,
    VERDICTS,
    Panel,
    chart,
    page,
    points,
    table,
    timeline,
    with_limits,
)
from grafana.queries import CHAIR, EACH_INTERVAL, EACH_VITALS, VITALS, over_time
from grafana.queries import table as rows

PHASES = {
    "started": ("before the dose", "#8ab8ff"),
    "dose_first": ("dosing", "#b877d9"),
    "dose_further": ("dosing", "#b877d9"),
    "dose_end": ("recovery", "#5794f2"),
    "ended": ("gone", "transparent"),
}
PHASE_MARKS = " OR ".join(f"\"what\" = '{what}'" for what in PHASES)


def build(protocol: Protocol) -> dashboard.Dashboard:
    made = page(
        "chair",
        "chair",
        "Vitals, cuff pressure, alarms and readiness of one chair, for looking back.",
        [*_vitals(protocol), *_cuff(protocol), *_judged()],
        begin="now-3h",
        several=False,
    )
    for annotation in (alarms(CHAIR), staff(CHAIR), *regions("site:$site", "chair:$chair")):
        made.annotation(annotation)
    return made


def _vitals(protocol: Protocol) -> list[Panel]:
    limits = f"Lines: limits of the protocol “{protocol.title}”."
    saturation = chart(
        "Oxygen saturation",
        f"Lowest SpO2 of each interval, so that a short fall is not averaged away. Gaps stay gaps. {limits}",
        units.Percent,
        over_time(VITALS, 'min("spo2_pct")', EACH_INTERVAL, '"chair"'),
        each=EACH_VITALS,
    )
    pulse = chart(
        "Pulse rate",
        f"Mean pulse rate of each interval, by the oximeter. {limits}",
        PER_MINUTE,
        over_time(VITALS, 'mean("pulse_bpm")', EACH_INTERVAL, '"chair"'),
        each=EACH_VITALS,
    )
    return [
        with_limits(saturation.min(60).max(100), protocol, "spo2_pct"),
        with_limits(pulse, protocol, "pulse_bpm"),
        chart(
            "Perfusion index",
            "Lowest perfusion index of each interval. Below 0.3 % the oximeter has little to go by.",
            units.Percent,
            over_time(VITALS, 'min("pi_pct")', EACH_INTERVAL, '"chair"'),
            each=EACH_VITALS,
        ),
        chart(
            "Signal quality",
            "Lowest quality of the oximeter's signal in each interval; measured also while there is no value.",
            units.Percent,
            over_time(VITALS, 'min("sqi_pct")', EACH_INTERVAL, '"chair"'),
            each=EACH_VITALS,
        )
        .min(0)
        .max(100),
    ]


def _cuff(protocol: Protocol) -> list[Panel]:
    pressure = chart(
        "Blood pressure",
        "Each cuff measurement: systolic, mean and diastolic. Points, because nothing is known between them. "
        f"Lines: systolic limits of the protocol “{protocol.title}”.",
        MMHG,
        over_time(
            "cuff",
            '"sys_mmhg" AS "systolic", "map_mmhg" AS "mean", "dia_mmhg" AS "diastolic"',
            '"chair"',
            alias="$tag_chair $col",
        ),
    )
    return [
        with_limits(points(pressure), protocol, "sys_mmhg"),
        table(
            "Cuff measurements",
            "The last hundred, with those that failed and why.",
            rows(
                "cuff",
                '"chair", "sys_mmhg" AS "systolic", "dia_mmhg" AS "diastolic", "map_mmhg" AS "mean", '
                '"pulse_bpm" AS "pulse", "quality", "reason"',
                latest=100,
            ),
        ),
    ]


def _judged() -> list[Panel]:
    return [
        timeline(
            "Level",
            "The gravest alarm of each interval, as the records were judged. A gap: no record was judged.",
            LEVELS,
            over_time(VITALS, 'max("rank")', EACH_INTERVAL, '"chair"'),
            each=EACH_VITALS,
        ),
        timeline(
            "Phase",
            "Before the dose, dosing, recovery, gone: as staff marked it.",
            PHASES,
            over_time("session", '"what"', '"chair"', where=f"{CHAIR} AND ({PHASE_MARKS})"),
        ),
        timeline(
            "Alarms",
            "Each rule's condition from one change to the next; the last one runs to the end of the range.",
            CONDITIONS,
            over_time("alarm", '"state"', '"chair"', '"rule"', alias="$tag_chair $tag_rule"),
        ),
        timeline(
            "Readiness",
            "Each discharge criterion. Missing data is unknown, and unknown is not ready. Staff decide.",
            VERDICTS,
            over_time("readiness", '"score"', '"chair"', '"criterion"', alias="$tag_chair $tag_criterion"),
        ),
        table(
            "Alarm log",
            "The last two hundred changes of alarms: what changed, why, and who acknowledged.",
            rows(
                "alarm",
                '"chair", "rule", "priority", "what", "reason", "value", "limit", "who", "session"',
                latest=200,
            ),
        ),
        table(
            "What staff did",
            "The last hundred entries of the session's record, and who made them.",
            rows("session", '"chair", "what", "who", "session"', latest=100),
        ),
    ]
