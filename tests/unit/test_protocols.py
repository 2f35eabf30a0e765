"""A protocol file that must not be used stops the start: by file, key, what was found, and what is allowed."""

from pathlib import Path

import pytest
from core_helpers import DEMO

from gateway import protocols
from gateway.core.protocol import RANK, Elapsed, fallback

GOOD = (protocols.FOLDER / "demo.toml").read_text(encoding="utf-8")
SPO2 = '{ level = "medium", below = 90, delay_s = 10 }, { level = "high", below = 85 }'


def written(folder: Path, text: str, name: str = "demo.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def changed(old: str, new: str) -> str:
    """The demonstration's file with one thing wrong."""
    assert old in GOOD
    return GOOD.replace(old, new, 1)


BAD: dict[str, tuple[str, tuple[str, ...]]] = {
    "no TOML": (GOOD + "\n[[rules", ("Expected",)),
    "an unknown key": (changed('title = "Demonstration"', 'title = "x"\ncolour = "red"'), ("colour",)),
    "an unknown key of a tier": (changed("below = 90", "bellow = 90"), ("bellow", "rules")),
    "an unknown measure": (changed('measure = "spo2_pct"', 'measure = "temp_c"'), ("temp_c", "measure")),
    "an unknown kind of criterion": (changed('kind = "elapsed"', 'kind = "hoped"'), ("hoped",)),
    "a text for a number": (changed("live_s = 3", 'live_s = "3"'), ("live_s",)),
    "a delay below zero": (changed("delay_s = 10", "delay_s = -1"), ("delay_s",)),
    "a missing key": (changed("audio_pause_s = 120", ""), ("audio_pause_s",)),
    "both sides": (changed("below = 90,", "below = 90, above = 95,"), ("spo2_low", "medium", "exactly one")),
    "no side": (changed("below = 90, ", ""), ("spo2_low", "medium", "exactly one")),
    "sides that differ": (changed('"high", below = 85', '"high", above = 95'), ("spo2_low", "same way")),
    "tiers out of order": (
        changed(SPO2, '{ level = "high", below = 85 }, { level = "medium", below = 90 }'),
        ("spo2_low", "medium", "high"),
    ),
    "a level twice": (changed('"high", below = 85', '"medium", below = 85'), ("spo2_low", "medium")),
    "a graver limit inside the gentler": (changed("below = 85", "below = 95"), ("spo2_low", "95", "90", "high")),
    "a limit that is no number": (changed("below = 85", "below = nan"), ("rules[1].tiers[2].below", "nan")),
    "a limit without end": (changed("below = 85", "below = -inf"), ("rules[1].tiers[2].below", "-inf")),
    "a hysteresis without end": (changed("hysteresis = 1", "hysteresis = inf"), ("rules[1].hysteresis", "inf")),
    "a rule twice": (changed('id = "pulse_low"', 'id = "spo2_low"'), ("spo2_low", "twice")),
    "a criterion named like a rule": (changed('id = "awake"', 'id = "spo2_low"'), ("spo2_low", "taken")),
    "an observation with two limits": (
        changed("at_least = 5\n", "at_least = 5\nequals = true\n"), ("awake", "exactly one")
    ),
    "an observation without a limit": (changed("equals = false", ""), ("no_dissociation", "exactly one")),
    "a hold that nothing can meet": (changed("at_least = 94", "at_least = 101"), ("spo2_steady", "101")),
    "lost before stale": (changed("lost_s = 30", "lost_s = 3"), ("lost_s", "live_s")),
    "a cuff without rest": (changed("repeat_s = 35", "repeat_s = 29"), ("repeat_s", "30")),
    "nothing for a board alone": (
        changed('id = "sys_low"\nmeasure = "sys_mmhg"', 'id = "sys_low"\nmeasure = "dia_mmhg"'), ("sys_mmhg", "below")
    ),
    "nobody listens for silence": (changed('measure = "vitals_age_s"', 'measure = "unwatched_s"'), ("vitals_age_s",)),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_refused_by_file_and_key(what: str, tmp_path: Path) -> None:
    """Everything that a person needs to mend it stands in one sentence."""
    text, words = BAD[what]
    path = written(tmp_path, text)
    with pytest.raises(protocols.ProtocolError) as refusal:
        protocols.load(path)
    for word in (str(path), *words):
        assert word in str(refusal.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """So is one that is no UTF-8, and a folder without any."""
    with pytest.raises(protocols.ProtocolError, match=r"gone\.toml"):
        protocols.load(tmp_path / "gone.toml")
    with pytest.raises(protocols.ProtocolError, match="no protocol"):
        protocols.load_all(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"title = '\xe9'")
    with pytest.raises(protocols.ProtocolError, match=r"latin\.toml"):
        protocols.load_all(tmp_path)


def test_an_id_is_the_name_of_its_file(tmp_path: Path) -> None:
    """What a screen asks for is what a person finds in the folder."""
    written(tmp_path, GOOD, "copy.toml")
    with pytest.raises(protocols.ProtocolError, match="'demo', must be the file's name 'copy'"):
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
        ('extends = "demo"', 'extends = "dem"', "extends: found 'dem', allowed are demo"),
        ("[rules.spo2_low]", "[rules.spo2_lo]", "rules.spo2_lo: not in protocol 'demo'"),
        ('phases = ["before"]', 'phases = ["bevor"]', "Invalid enum value 'bevor'"),
        ('phases = ["before"]', "phases = []", "length >= 1"),
        ('phases = ["before"]', 'phases = ["before"]\nalways = true', "rule 'early': always, and only in before"),
        ('id = "early"', 'id = "spo2_low"', "rule 'spo2_low' stands twice"),
        ("[[new_rules]]", "[new_rules]", "new_rules: found"),
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


def test_esketamine_is_observed_for_two_hours_after_the_last_device() -> None:
    """And looks at the pressure before the first one."""
    esketamine = protocols.load_all()["esketamine"]
    [waits] = [criterion for criterion in esketamine.criteria if isinstance(criterion, Elapsed)]
    assert (waits.since, waits.at_least_s) == ("dose_end", 7200)
    early = [rule for rule in esketamine.rules if rule.phases == ("before",)]
    assert [(rule.measure, rule.tiers[0].above) for rule in early] == [("sys_mmhg", 140), ("dia_mmhg", 90)]
