"""Hundreds of spoilt protocol files: each is refused with file, key, what was found and what is allowed.

What a mutation certainly spoils must be refused. What chance spoils is refused cleanly, or the protocol that comes out
of it passes checks that know nothing of the loader.
"""

import math
import random
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gateway import protocols
from gateway.core.protocol import PHASES, RANK, Protocol, content_hash, fallback
from gateway.toml_files.refusal import Fault

GOOD = (protocols.FOLDER / "iv-ketamine.toml").read_text(encoding="utf-8")
LINES = GOOD.splitlines()
PAIR = re.compile(r"^([a-z_]+) = (.+)$")
HEADER = re.compile(r"^\[+([a-z_]+)\]+$")
REQUIRED = ("id", "title", "notice", "measure", "kind", "reason", "tiers", "label", "item", "since", "hold_s",
            "at_most_s", "sys_within_mmhg", "dia_within_mmhg", "for_s", "level", "lost_s", "audio_pause_s",
            "before_s", "dosing_s", "recovery_s", "repeat_s", "score")  # fmt: skip
NEVER = ("{}", "nan", "-inf", "1e300", "2026-01-01", "[[]]", "0x", "'''x", "-999999", "[nan]", "{ x = 1 }")
HEALTHY = {"spo2_pct": 97, "pulse_bpm": 70, "resp_bpm": 14, "sys_mmhg": 122, "dia_mmhg": 78, "map_mmhg": 92,
           "battery_pct": 100}  # fmt: skip
"""Of a person who has nothing; every other measure is 0 then."""


def refused(folder: Path, text: str | bytes) -> tuple[Fault, ...]:
    """The faults of a file with this text; none if it is taken."""
    path = folder / "iv-ketamine.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    try:
        protocol = protocols.load(path)
    except protocols.ProtocolError as error:
        for fault in error.faults:
            assert fault.file == str(path)
            assert fault.found
            assert fault.allowed
            assert "\n" not in str(fault)
            assert str(fault).startswith(str(path))
            assert len(str(fault)) < 1_000
        return error.faults
    is_sound(protocol)
    return ()


def is_sound(protocol: Protocol) -> None:
    """What must be true of any protocol that patients are watched by, found without the loader's own checks."""
    names = [entry.id for part in (protocol.rules, protocol.criteria, protocol.observations) for entry in part]
    assert len(set(names)) == len(names)
    assert all(math.isfinite(number) for number in numbers(msgspec.to_builtins(protocol)))
    for rule in protocol.rules:
        healthy = HEALTHY.get(rule.measure, 0)
        ranks = [RANK[tier.level] for tier in rule.tiers]
        assert ranks == sorted(set(ranks))
        for tier in rule.tiers:
            assert not tier.crossed(healthy, margin=rule.hysteresis), (rule.id, tier)
            assert tier.crossed(-1e6) or tier.crossed(1e6) or tier.crossed(0) or tier.crossed(1)
            assert tier.delay_s <= 300
        if ranks[-1] == RANK["high"] and rule.kind == "physiological":
            assert set(rule.phases) == set(PHASES)
    assert any(rule.measure == "vitals_age_s" and rule.tiers[-1].level == "high" for rule in protocol.rules)
    limits = fallback(protocol)
    assert limits.spo2_low_pct < 97
    assert limits.pulse_low_bpm < 70 < limits.pulse_high_bpm
    assert limits.sys_low_mmhg < 122 < limits.sys_high_mmhg
    assert all(protocol.cuff.interval_s(phase) == 0 or protocol.cuff.interval_s(phase) >= 30 for phase in PHASES)
    assert protocol.criteria
    assert content_hash(msgspec.convert(msgspec.to_builtins(protocol), Protocol)) == content_hash(protocol)


def numbers(value: object) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, int | float):
        yield value


def with_line(number: int, *lines: str) -> str:
    """The file with other lines instead of one."""
    return "\n".join([*LINES[:number], *lines, *LINES[number + 1 :]]) + "\n"


def spoilt_values() -> Iterator[tuple[str, str]]:
    """Each value of the file once, in turn by one of those that stand nowhere."""
    for number, line in enumerate(LINES):
        if pair := PAIR.match(line):
            never = NEVER[number % len(NEVER)]
            yield f"{number + 1}: {pair[1]} = {never}", with_line(number, f"{pair[1]} = {never}")


def spoilt_keys() -> Iterator[tuple[str, str]]:
    """Each key of the file once: misspelt, twice, or gone where it must be."""
    for number, line in enumerate(LINES):
        pair = PAIR.match(line)
        if pair and pair[1] in REQUIRED and number % 2:
            skip = "[" in pair[2] and "]" not in pair[2]
            yield f"{number + 1}: no {pair[1]}", with_line(number, *(["# ["] if skip else []))
        elif pair and number % 3:
            yield f"{number + 1}: {pair[1]}s", with_line(number, f"{pair[1]}s = {pair[2]}")
        elif pair:
            yield f"{number + 1}: {pair[1]} twice", with_line(number, line, line)
        elif header := HEADER.match(line):
            yield f"{number + 1}: [{header[1]}x]", with_line(number, line.replace(header[1], f"{header[1]}x"))


def cut_off() -> Iterator[tuple[str, str]]:
    """Sixty times less than the whole, up to the last letter."""
    ends = [*range(0, len(GOOD.rstrip()), len(GOOD) // 50), *(len(GOOD.rstrip()) - less for less in range(1, 11))]
    for end in ends:
        yield f"cut off after {end}", GOOD[:end]


@pytest.mark.parametrize("spoil", [spoilt_values, spoilt_keys, cut_off])
def test_each_spoilt_file_is_refused(spoil, tmp_path: Path) -> None:
    """Whatever is wrong and wherever it stands."""
    assert not refused(tmp_path, GOOD)
    spoilt = dict(spoil())
    taken = [what for what, text in spoilt.items() if not refused(tmp_path, text)]
    assert not taken
    assert len(spoilt) >= 50
    print(f"{len(spoilt)} files of {spoil.__name__}, each refused")


NO_TEXT = {
    "nothing": b"",
    "a zero": b"\x00",
    "another encoding": GOOD.encode("utf-16"),
    "one sign of another encoding": GOOD.encode() + b"\xe9",
    "a mark of the order of bytes": GOOD.encode("utf-8-sig"),
    "half a line end": b"\r",
    "more than a person could read": b"#" * 2_000_000,
}


@pytest.mark.parametrize("content", NO_TEXT.values(), ids=list(NO_TEXT))
def test_what_is_no_text_is_refused(content: bytes, tmp_path: Path) -> None:
    """It could be anything."""
    assert refused(tmp_path, content)


def test_lines_of_another_system_are_the_same(tmp_path: Path) -> None:
    """A clinic may write its files on Windows."""
    assert not refused(tmp_path, GOOD.replace("\n", "\r\n"))


def spoilt_by_chance(seed: int) -> bytes:
    """One to four accidents at places that the seed draws."""
    chance = random.Random(seed)
    lines = list(LINES)
    for _ in range(chance.randint(1, 4)):
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(7):
            case 0:
                del lines[at]
            case 1:
                lines[at], lines[other] = lines[other], lines[at]
            case 2:
                lines.insert(at, lines[other])
            case 3 if lines[at]:
                place = chance.randrange(len(lines[at]))
                lines[at] = lines[at][:place] + chance.choice('0123456789-.[]{}"=,#xn') + lines[at][place + 1 :]
            case 4:
                lines[at] = re.sub(r"\d+", lambda _: str(chance.choice([0, 1, -1, 7, 40, 93, 500, 10**9])), lines[at])
            case 5:
                del lines[at : at + chance.randint(1, 12)]
            case _:
                lines[at] = lines[at].replace("=", chance.choice(["==", "", "= =", "= -", "= 1"]), 1)
    return "\n".join(lines).encode()


@pytest.mark.parametrize("first", [0, 100, 200])
def test_chance_makes_no_protocol_that_is_unsafe(first: int, tmp_path: Path) -> None:
    """Either it is refused cleanly, or it is still sound."""
    seeds = range(first, first + 100)
    taken = 0
    for seed in seeds:
        try:
            taken += not refused(tmp_path, spoilt_by_chance(seed))
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
    assert 0 < taken < len(seeds)
    print(f"{len(seeds) - taken} of {len(seeds)} files spoilt by chance refused, {taken} still sound")
