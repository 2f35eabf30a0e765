"""Plays drawn stays and says what was broken in them."""

from __future__ import annotations

import concurrent.futures
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from simulators.clinic.log import Entry
from simulators.clinic.run import run
from simulators.clinic.scenario import Scenario
from simulators.explore import draw
from simulators.process import BoardError


@dataclass(frozen=True)
class Played:
    """What became of a stay. `broken` is empty in a good one, else the first thing that was not true comes first."""

    seed: int
    lasts_s: float
    wall_s: float
    firmware: bool
    messages: int
    alarms: int
    broken: tuple[Entry, ...]
    refused: frozenset[int] = frozenset()
    """Which deeds were refused, by their place among the deeds."""


def play(scenario: Scenario) -> Played:
    """Run one stay to its end, or to where something breaks inside."""
    began = time.monotonic()
    firmware = scenario.board == "firmware"
    try:
        done = run(scenario.title, scenario)
    except BoardError as error:
        broken: list[Entry] = [{"at_ms": 0, "invariant": "no_error", "subject": "board", "why": str(error)}]
        return Played(scenario.seed, 0, time.monotonic() - began, firmware, 0, 0, tuple(broken))
    except Exception:  # noqa: BLE001
        # Whatever it is, the gateway's process would have ended.
        why = traceback.format_exc(limit=-3)
        broken = [{"at_ms": 0, "invariant": "no_error", "subject": "gateway", "why": why}]
        return Played(scenario.seed, 0, time.monotonic() - began, firmware, 0, 0, tuple(broken))
    log = done.log
    return Played(
        seed=scenario.seed,
        lasts_s=scenario.duration_s,
        wall_s=done.wall_s,
        firmware=firmware,
        messages=len(log.of("vitals", "cuff", "event", "status", "staff")),
        alarms=sum(entry["what"] == "raised" for entry in log.of("alarm")),
        broken=tuple(log.of("broken")),
        refused=frozenset(int(entry["id"].rsplit("-", 1)[1]) - 1 for entry in log.of("staff") if not entry["ok"]),
    )


def played(seeds: Iterable[int], jobs: int = 1) -> Iterator[Played]:
    """Each seed's stay, in the order of the seeds."""
    if jobs == 1:
        yield from map(_of_seed, seeds)
        return
    with concurrent.futures.ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_of_seed, seeds, chunksize=4)


def _of_seed(seed: int) -> Played:
    return play(draw.stay(seed))
