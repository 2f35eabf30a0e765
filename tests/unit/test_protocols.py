"""A protocol file that must not be used stops the start: by file, key, what was found, and what is allowed."""

import re
from pathlib import Path

import msgspec
import pytest
from core_helpers import DEMO

from gateway import protocols, wire
from gateway.core import measures
from gateway.core.protocol import RANK, Elapsed, Rule, Tier, fallback
from gateway.protocol_files import ranges

GOOD = (protocols.FOLDER / "demo.toml").read_text(encoding="utf-8")
SPO2 = '{ level = "medium", below = 90, delay_s = 10, depth_s = 20 }, { level = "high", below = 85 }'


def written(folder: Path, text: str, name: str = "demo.toml") -> Path:
    path = folder / name
    path.write_text(text.replace('of = "demo"', f'of = "{path.stem}"'), encoding="utf-8")
    return path


def changed(old: str, new: str) -> str:
    """The demonstration's file with one thing wrong."""
    assert old in GOOD
    return GOOD.replace(old, new, 1)


HIGH = 'tiers = [{ level = "high", reaches = 1, delay_s = 2 }]'
PULSE_LOW = '[[rules]]\nid = "pulse_low"'
OTHER_FALL = """[[rules]]
id = "slower"
measure = "spo2_fall_pct"
kind = "physiological"
reason = "Saturation has fallen slowly"
window_s = 600
tiers = [{ level = "low", reaches = 8 }]

"""
BAD: dict[str, tuple[str, tuple[str, ...]]] = {
    "cut off": (GOOD[: GOOD.index("[end]")], ("end: found nothing", '[end] of = "demo"')),
    "another's end": (GOOD.replace('of = "demo"', 'of = "domo"'), ("end: found 'domo'", '[end] of = "demo"')),
    "more after the end": (GOOD + "[cuffs]\n", ("end: found more after it",)),
    "no TOML": (GOOD + "\n[[rules", ("not TOML", "[[rules")),
    "an unknown key": (changed('title = "Demonstration"', 'title = "x"\ntitel = "red"'), (":4: titel", "mean title?")),
    "an unknown key of a tier": (changed("below = 90", "bellow = 90"), ("rules.spo2_low.medium.bellow", "mean below?")),
    "an unknown measure": (
        changed('measure = "spo2_pct"', 'measure = "spo2_pc"'), ("found 'spo2_pc'", "mean spo2_pct?")
    ),
    "an unknown kind of criterion": (changed('kind = "elapsed"', 'kind = "elapse"'), ("'elapse'", "mean elapsed?")),
    "a text for a number": (
        changed("live_s = 3", 'live_s = "3"'), ("live_s: found '3'; allowed: a number over 0 to 10",)
    ),
    "yes for a number": (changed("live_s = 3", "live_s = true"), ("live_s: found true; allowed: a number",)),
    "a delay below zero": (changed("delay_s = 10", "delay_s = -1"), ("medium.delay_s: found -1", "from 0 to 86400")),
    "a delay that is no delay": (changed("delay_s = 10", "delay_s = 600"), ("medium.delay_s: found 600", "at most 60")),
    "a missing key": (changed("audio_pause_s = 120", ""), ("audio_pause_s: found nothing", "a number over 0 to 300")),
    "both sides": (
        changed("below = 90,", "below = 90, above = 95,"), ("spo2_low.medium", "below, above", "exactly one")
    ),
    "no side": (changed("below = 90, ", ""), ("spo2_low.medium: found no limit", "exactly one")),
    "sides that differ": (changed('"high", below = 85', '"high", above = 95'), ("spo2_low", "the same side")),
    "tiers out of order": (
        changed(SPO2, '{ level = "high", below = 85 }, { level = "medium", below = 90 }'),
        ("spo2_low.medium.level: found medium after high", "low to high"),
    ),
    "a level twice": (changed('"high", below = 85', '"medium", below = 85'), ("medium after medium", "each once")),
    "a graver limit inside the gentler": (
        changed("below = 85", "below = 95"), ("spo2_low.high.below: found 95; allowed: at most 90",)
    ),
    "a limit that is no number": (changed("below = 85", "below = nan"), ("spo2_low.high.below: found nan",)),
    "a limit without end": (changed("below = 85", "below = -inf"), ("spo2_low.high.below: found -inf",)),
    "a limit that nothing crosses": (changed("below = 85", "below = 0"), ("high.below: found 0, which nothing",)),
    "a limit that a healthy pulse crosses": (
        changed("above = 120", "above = 70"), ("pulse_high.medium.above: found 70, which 75 crosses",)
    ),
    "a hysteresis without end": (changed("hysteresis = 1", "hysteresis = inf"), ("spo2_low.hysteresis: found inf",)),
    "a margin that no saturation comes back over": (
        changed("hysteresis = 1", "hysteresis = 9"), ("spo2_low.hysteresis: found 9; allowed: at most 7",)
    ),
    "an alarm that does not clear": (changed("clear_s = 3", "clear_s = 6000"), ("spo2_low.clear_s: found 6000",)),
    "a wait for what is told once": (
        changed('measure = "nurse_call"', 'clear_s = 5\nmeasure = "nurse_call"'), ("nurse_call.clear_s", "told once")
    ),
    "two calls before one is heard": (
        changed('measure = "uncalibrated"', 'measure = "nurse_call"').replace(
            "always = true\ntiers = [{ level = \"low\", reaches = 1 }]",
            "tiers = [{ level = \"low\", reaches = 1, readings = 2 }]"),
        ("uncalibrated.low.readings: found 2", "told once"),
    ),
    "a high alarm that ends with its phase": (
        changed(HIGH, HIGH + '\nphases = ["dosing"]'), ("spo2_below_range.phases: found ['dosing']", "all phases")
    ),
    "a depth without a delay": (changed(HIGH, HIGH.replace("delay_s = 2", "depth_s = 2")), ("high.depth_s: found 2",)),
    "a window for what does not fall": (changed(HIGH, HIGH + "\nwindow_s = 60"), ("range.window_s: found 60",)),
    "two windows for one fall": (
        changed(PULSE_LOW, OTHER_FALL + PULSE_LOW),
        (":55: rules.slower.window_s: found 600; allowed: 60, as spo2_falling has: one window is kept of spo2_fall",),
    ),
    "a fall without a window": (changed("window_s = 60", "window_s = 0"), ("window_s: found 0; allowed: over 0",)),
    "a silence that silence keeps quiet": (
        re.sub(r'(?s)(id = "silence".*?by = )"away"', r'\1"silence"', GOOD, count=1), ("silence.suppress: found",)
    ),
    "a call that does not sound": (
        changed('measure = "nurse_call"', 'measure = "nurse_call"\nsuppress = [{ by = "away", at_most_s = 60 }]'),
        ("nurse_call.suppress: found away", "always sounds"),
    ),
    "a high alarm of the patient that is kept quiet": (
        changed(HIGH, HIGH + '\nsuppress = [{ by = "away", at_most_s = 60 }]'), ("below_range.suppress: found away",)
    ),
    "a low alarm that escalates": (
        changed('measure = "battery_pct"', 'measure = "battery_pct"\nescalate_s = 60'), ("battery_low.escalate_s",)
    ),
    "a phase twice": (changed(HIGH, HIGH + '\nphases = ["dosing", "dosing"]'), ("phases", "each phase once")),
    "a rule twice": (changed('id = "pulse_low"', 'id = "spo2_low"'), ("rules.spo2_low.id: found 'spo2_low' twice",)),
    "a criterion named like a rule": (
        changed('id = "awake"', 'id = "spo2_low"'), ("criteria.spo2_low.id", "rules has")
    ),
    "an observation with two limits": (
        changed("at_least = 5\n", "at_least = 5\nequals = true\n"), ("awake", "exactly one")
    ),
    "an observation without a limit": (changed("equals = false", ""), ("no_dissociation: found no limit", "exactly")),
    "an observation from before the dose": (
        changed("equals = false\nsince = \"dose_end\"", "equals = false"), ("no_dissociation.since: found nothing",)
    ),
    "yes to a number": (changed("at_least = 5\n", "equals = true\n"), ("awake.equals", "a number from 0 to 5")),
    "leave without an escort": (
        changed('item = "escort"\nequals = true', 'item = "escort"\nequals = false'),
        ("escort.equals", "nobody goes home alone"),
    ),
    "a number to yes": (changed("equals = false", "at_least = 1"), ("no_dissociation.at_least", "one of true, false")),
    "an observation that nobody can make": (changed("at_least = 5\n", "at_least = 6\n"), ("awake.at_least: found 6",)),
    "an observation that always fits": (changed("at_most = 3", "at_most = 10"), ("no_nausea.at_most", "whatever")),
    "a hold that nothing can meet": (changed("at_least = 94", "at_least = 101"), ("spo2_steady.at_least: found 101",)),
    "a hold that everything meets": (changed("at_least = 94", "at_least = 0"), ("spo2_steady.at_least", "whatever")),
    "a wait of nothing": (changed("at_least_s = 15", "at_least_s = 0"), ("time_since_dose_end.at_least_s", "whatever")),
    "quiet for no time": (changed("for_s = 15", "for_s = 0"), ("no_recent_alarm.for_s",)),
    "a baseline that is always near": (changed("sys_within_mmhg = 20", "sys_within_mmhg = 200"), ("sys_within_mmhg",)),
    "pressures that are always too close together": (
        changed("readings = 1\n", "readings = 2\nspacing_s = 90\n"),
        ("pressure_near_baseline.spacing_s: found 90; allowed: at most cuff.recovery_s, 60",),
    ),
    "an answer that is too old before the next question": (
        changed('item = "gait"\nlabel = "Walks steadily?"\nphases = ["recovery"]\nafter_s = 15\nevery_s = 60',
                'item = "gait"\nlabel = "Walks steadily?"\nphases = ["recovery"]\nafter_s = 15\nevery_s = 301'),
        ("criteria.gait.age_max_s: found 300; allowed: at least every_s of ask_gait, 301",),
    ),
    "a question asked once for an answer that ages": (
        changed('item = "gait"\nlabel = "Walks steadily?"\nphases = ["recovery"]\nafter_s = 15\nevery_s = 60',
                'item = "gait"\nlabel = "Walks steadily?"\nphases = ["recovery"]\nafter_s = 15\nevery_s = 0'),
        ("observations.ask_gait.every_s: found 0; allowed: over 0, at most 300: criterion gait counts no older",),
    ),
    "an answer that counts for ever": (
        changed('steady"\nsince = "dose_end"\nage_max_s = 300', 'steady"\nsince = "dose_end"\nage_max_s = 86400'),
        (":449: criteria.gait.age_max_s: found 86400", "60 to 14400"),
    ),
    "a pressure that is always too old": (changed("age_max_s = 180", "age_max_s = 30"), ("age_max_s: found 30", "60")),
    "no criterion": (
        "criteria = []\n" + re.sub(r"(?s)\[\[criteria\]\].*(?=\[end\])", "", GOOD), ("criteria: found an empty",)
    ),
    "lost before stale": (changed("lost_s = 30", "lost_s = 3"), ("lost_s: found 3; allowed: over live_s, 3",)),
    "a cuff without rest": (changed("repeat_s = 35", "repeat_s = 29"), ("repeat_s: found 29", "from 30 to 3600")),
    "a cuff that never lets go": (
        changed("dosing_s = 60", "dosing_s = 20"), ("cuff.dosing_s: found 20", "at least 30")
    ),
    "a cuff that never measures": (
        re.sub(r"(before|dosing|recovery)_s = 60", r"\1_s = 0", GOOD), ("cuff: found no automatic measurement",)
    ),
    "nothing for a board alone": (
        changed('id = "sys_low"\nmeasure = "sys_mmhg"', 'id = "sys_low"\nmeasure = "map_mmhg"'),
        ("rules: found no rule for sys_mmhg below a limit",),
    ),
    "nothing for a board alone in one phase": (
        changed('id = "spo2_low"', 'id = "spo2_low"\nphases = ["dosing"]'),
        ("no rule for spo2_pct below a limit",),
    ),
    "nobody listens for silence": (
        changed('measure = "vitals_age_s"', 'measure = "unwatched_s"'), ("rules: found no rule for silence",)
    ),
    "silence later than the value is gone": (
        changed('{ level = "high", reaches = 30 }', '{ level = "high", reaches = 60 }'), ("silence.high.reaches", "30")
    ),
    "an action that nobody knows": (changed("audio_off = [", "audio_of = ["), ("permissions.audio_of", "audio_off?")),
    "a role that nobody has": (
        changed('["physician", "lead"]', '["phisician"]'), ("audio_off[1]: found the role", "mean physician?")
    ),
    "an action for nobody": (
        changed('audio_off = ["physician", "lead"]', "audio_off = []"), ("audio_off: found nobody",)
    ),
    "a question about nothing": (
        changed('item = "moaas"', 'item = "moods"'), ("observations.ask_sedation.item", "moaas")
    ),
    "a question without rest": (
        changed("every_s = 60", "every_s = 5"), ("ask_sedation.every_s: found 5", "at least 60")
    ),
    "a number of thousands of digits": (changed("lost_s = 30", "lost_s = 3" + "0" * 5000), ("thousands of digits",)),
    "lists without end": ("x = " + "[" * 5000 + "]" * 5000 + GOOD, ("nested",)),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_refused_by_file_line_and_key(what: str, tmp_path: Path) -> None:
    """What a person needs to mend it stands in one sentence: file, line, key, what was found, what is allowed."""
    text, words = BAD[what]
    path = written(tmp_path, text)
    with pytest.raises(protocols.ProtocolError) as refusal:
        protocols.load(path)
    told = "\n".join(map(str, refusal.value.faults))
    for word in (str(path), "found ", "; allowed: ", *words):
        assert word in told


def test_the_line_is_the_one_where_it_stands(tmp_path: Path) -> None:
    """In tables within a line as well."""
    line = GOOD[: GOOD.index("below = 80")].count("\n") + 1
    path = written(tmp_path, changed("below = 80", "below = 'x'"))
    with pytest.raises(protocols.ProtocolError) as refusal:
        protocols.load(path)
    assert str(refusal.value).startswith(f"{path}:{line}: rules.sys_low.high.below: found 'x'; allowed: a number")


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """In all files of a folder: who mends them does not start the gateway once for each."""
    written(
        tmp_path, changed("live_s = 3", "live_s = 300").replace("below = 50, delay_s = 10", "below = 50, delay_s = -1")
    )
    written(tmp_path, 'id = 3\n[end]\nof = "other"', "other.toml")
    with pytest.raises(protocols.ProtocolError) as refusal:
        protocols.load_all(tmp_path)
    faults = refusal.value.faults
    ours = [fault.key for fault in faults if fault.file.endswith("demo.toml")]
    assert ours == ["live_s", "rules.pulse_low.medium.delay_s"]
    assert any(fault.key == "rules" for fault in faults if fault.file.endswith("other.toml"))
    assert f"(and {len(faults) - 1} more; chairside check-config lists all)" in str(refusal.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """So is one that is no UTF-8, and a folder without any."""
    with pytest.raises(protocols.ProtocolError, match=r"gone\.toml"):
        protocols.load(tmp_path / "gone.toml")
    with pytest.raises(protocols.ProtocolError, match="found no protocol"):
        protocols.load_all(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"title = '\xe9'")
    with pytest.raises(protocols.ProtocolError, match=r"latin\.toml"):
        protocols.load_all(tmp_path)


def test_an_id_is_the_name_of_its_file(tmp_path: Path) -> None:
    """What a screen asks for is what a person finds in the folder."""
    written(tmp_path, GOOD, "copy.toml")
    with pytest.raises(protocols.ProtocolError, match="id: found 'demo'; allowed: the file's name, 'copy'"):
        protocols.load_all(tmp_path)


@pytest.mark.parametrize("protocol", protocols.load_all().values(), ids=lambda one: one.id)
class TestTheProtocolsThatComeWithIt:
    """What every file of ours keeps to, whatever its numbers."""

    def test_silence_is_told_at_ten_and_thirty_seconds(self, protocol: protocols.Protocol) -> None:
        """Medium, then high."""
        [rule] = [rule for rule in protocol.rules if rule.measure == "vitals_age_s"]
        assert [(tier.level, tier.reaches, tier.delay_s) for tier in rule.tiers] == [("medium", 10, 0), ("high", 30, 0)]

    def test_without_a_session_only_low_technical_alarms_and_calls_sound(self, protocol: protocols.Protocol) -> None:
        """Nobody is in the chair."""
        for rule in protocol.rules:
            if rule.always and rule.measure != "nurse_call":
                assert (rule.kind, rule.tiers[-1].level) == ("technical", "low")

    def test_every_limit_has_a_reason_and_numbers_have_units(self, protocol: protocols.Protocol) -> None:
        """What a nurse reads across the room."""
        for rule in protocol.rules:
            assert rule.reason[0].isupper()
            if rule.measure.endswith(("_pct", "_mmhg", "_bpm", "_s")):
                assert rule.unit

    def test_a_board_alone_judges_by_the_gravest_limits(self, protocol: protocols.Protocol) -> None:
        """Taken from the rules, in the order that makes sense."""
        limits = fallback(protocol)
        assert limits.spo2_low_pct < 90
        assert limits.pulse_low_bpm < limits.pulse_high_bpm
        assert limits.sys_low_mmhg < limits.sys_high_mmhg

    def test_readiness_asks_for_an_escort_and_a_clock(self, protocol: protocols.Protocol) -> None:
        """Nobody is ready before the dose is over."""
        assert any(getattr(criterion, "item", "") == "escort" for criterion in protocol.criteria)
        assert any(criterion.since for criterion in protocol.criteria if hasattr(criterion, "since"))

    def test_levels_rise(self, protocol: protocols.Protocol) -> None:
        """And each graver limit lies at or beyond the gentler one."""
        for rule in protocol.rules:
            ranks = [RANK[tier.level] for tier in rule.tiers]
            assert ranks == sorted(set(ranks))


def test_the_demonstration_is_loaded() -> None:
    """And says that it is not for patients."""
    assert "demonstrations only" in DEMO.notice


EXTENDING = """
id = "short"
title = "Short"
notice = "x"
extends = "demo"
[rules.spo2_low]
clear_s = 7
[cuff]
dosing_s = 77
[[new_rules]]
id = "early"
measure = "sys_mmhg"
kind = "physiological"
reason = "Early"
unit = "mmHg"
phases = ["before"]
tiers = [{ level = "low", above = 140 }]

[end]
of = "short"
"""


def test_a_protocol_says_only_how_it_differs_from_another(tmp_path: Path) -> None:
    """Everything else stands in one place."""
    written(tmp_path, GOOD)
    written(tmp_path, EXTENDING, "short.toml")
    both = protocols.load_all(tmp_path)
    short, demo = both["short"], both["demo"]
    assert short.criteria == demo.criteria
    assert (short.cuff.dosing_s, short.cuff.recovery_s) == (77, demo.cuff.recovery_s)
    assert [rule.clear_s for rule in short.rules if rule.id == "spo2_low"] == [7]
    assert [rule.id for rule in short.rules] == [*(rule.id for rule in demo.rules), "early"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('extends = "demo"', 'extends = "dem"', ":5: extends: found 'dem'; allowed: demo (did you mean demo?)"),
        ("[rules.spo2_low]", "[rules.spo2_lo]", ":6: rules.spo2_lo: found a name that is not there"),
        ('phases = ["before"]', 'phases = ["bevor"]', ":16: rules.early.phases[1]: found 'bevor'"),
        ('phases = ["before"]', "phases = []", ":16: rules.early.phases: found an empty list"),
        ('phases = ["before"]', 'phases = ["before"]\nalways = true', ":16: rules.early.phases: found ['before']"),
        ('id = "early"', 'id = "spo2_low"', ":11: rules.spo2_low.id: found 'spo2_low' twice"),
        ("[[new_rules]]", "[new_rules]", ":10: new_rules: found a table; allowed: tables [[new_rules]]"),
        ("clear_s = 7", "clear_s = -7", ":7: rules.spo2_low.clear_s: found -7"),
        ("clear_s = 7", "high = { below = 93 }", ":7: rules.spo2_low.high.below: found 93; allowed: at most 90"),
        ("clear_s = 7", "medium = { below = 80 }", "spo2_low.high.below: found 85; allowed: at most 80"),
        ("clear_s = 7", "low = { below = 93 }", ":7: rules.spo2_low.low: found a level that the rule does not have"),
        ("clear_s = 7", 'measure = "pulse_bpm"', ":7: rules.spo2_low.measure: found 'pulse_bpm'; allowed: no other"),
        ("[cuff]", "[cuf]", ":8: cuf: found a key that is not known"),
    ],
)
def test_a_difference_that_cannot_be_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    """With the file that says it."""
    written(tmp_path, GOOD)
    path = written(tmp_path, EXTENDING.replace(old, new), "short.toml")
    with pytest.raises(protocols.ProtocolError) as refusal:
        protocols.load(path)
    assert says in str(refusal.value)
    assert "short.toml" in str(refusal.value)


def test_a_board_alone_judges_by_what_holds_in_every_phase() -> None:
    """A rule of one phase is no limit for the others."""
    before = Rule(
        id="early", measure="sys_mmhg", kind="physiological", reason="Early", unit="mmHg", phases=("before",),
        tiers=(Tier(level="low", above=140),),
    )  # fmt: skip
    assert fallback(msgspec.structs.replace(DEMO, rules=(before, *DEMO.rules))) == fallback(DEMO)


def test_what_a_status_tells_is_known_to_be_told_once() -> None:
    """Or a rule could wait for a second reading that does not come."""
    calibration = wire.Calibration(state="expired")
    status = wire.Status(boot="0" * 16, conn=1, online=True, faults=["x"], calibration=calibration, battery_pct=50.0)
    assert set(measures.from_status(status)) | set(measures.EVENT_MEASURES) == set(ranges.SELDOM)


def test_esketamine_is_observed_for_two_hours_after_the_last_device() -> None:
    """And looks at the pressure before the first one."""
    esketamine = protocols.load_all()["esketamine"]
    [waits] = [criterion for criterion in esketamine.criteria if isinstance(criterion, Elapsed)]
    assert (waits.since, waits.at_least_s) == ("dose_end", 7200)
    early = [rule for rule in esketamine.rules if rule.phases == ("before",)]
    assert [(rule.measure, rule.tiers[0].above) for rule in early] == [("sys_mmhg", 140), ("dia_mmhg", 90)]
