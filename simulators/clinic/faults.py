"""The menu of faults: what can go wrong at a chair, by the name that a scenario uses.

`begin(chair, strength)` brings a fault about and `end(chair)` takes it away; one without an end cannot be undone.
A strength has the unit that the menu names and is a share of chances where the unit is "%".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from simulators.world.chair import FULL_V
from simulators.world.finger import DARK_SKIN, LIGHT_SKIN

if TYPE_CHECKING:
    from simulators.clinic.bay import Bay
    from simulators.clinic.chair import Chair

HUNG_S = 60.0
SLOW_COLLECT_US = 400_000
USUAL_COLLECT_US = 5_000
BROWNOUT_US = 4_000_000


C = TypeVar("C")


@dataclass(frozen=True)
class Fault(Generic[C]):
    """`usual` is the strength where a scenario names none."""

    does: str
    begin: Callable[[C, float], object]
    end: Callable[[C], object] | None = None
    unit: str = ""
    usual: float = 0.0


def _set(owner: Callable[[Chair], object], name: str, on: object, off: object, does: str) -> Fault[Chair]:
    """A fault that is one attribute of one part."""
    return Fault(
        does,
        lambda chair, _: setattr(owner(chair), name, on),
        lambda chair: setattr(owner(chair), name, off),
    )


def _strong(
    owner: Callable[[Chair], object], name: str, does: str, unit: str, usual: float, scale: float = 1.0
) -> Fault[Chair]:
    """A fault that is one number of one part, 0 when it is over."""
    return Fault(
        does,
        lambda chair, strength: setattr(owner(chair), name, type(getattr(owner(chair), name))(strength * scale)),
        lambda chair: setattr(owner(chair), name, type(getattr(owner(chair), name))(0)),
        unit,
        usual,
    )


def _finger(chair: Chair) -> object:
    return chair.world.finger


def _cuff(chair: Chair) -> object:
    return chair.world.cuff


def _world(chair: Chair) -> object:
    return chair.world


def _bus(chair: Chair) -> object:
    return chair.world.bus


def _oximeter(chair: Chair) -> object:
    return chair.world.oximeter


def _network(chair: Chair) -> object:
    return chair.network


def _silent(address: Callable[[Chair], int], what: str) -> Fault[Chair]:
    return Fault(
        f"the {what} does not acknowledge its address on the I2C bus, in this share of transfers",
        lambda chair, share: chair.world.bus.nack_share.__setitem__(address(chair), share / 100),
        lambda chair: chair.world.bus.nack_share.pop(address(chair), None),
        "%",
        100.0,
    )


def _seat(state: str, does: str) -> Fault[Chair]:
    return Fault(does, lambda chair, _: chair.world.sit(state), lambda chair: chair.world.sit())


def _part(chair: Chair, part_id: int) -> None:
    """Another chip on the socket: chips are changed without power."""
    chair.board.cut_power()
    chair.world.oximeter.part_id = part_id
    chair.board.restore_power()


def _drift(chair: Chair, ppm: float) -> None:
    """Another crystal: the board begins anew with it."""
    chair.board.cut_power()
    chair.board.ticks_ppm = round(ppm)
    chair.board.restore_power()


def _cut(chair: Chair, _: float) -> None:
    chair.board.cut_power()


def _restore(chair: Chair) -> None:
    chair.board.restore_power()


class _Brownouts:
    """The supply sags under load every few seconds: the board starts, and falls again."""

    def __init__(self, chair: Chair) -> None:
        self.over = False
        chair.agenda.every(BROWNOUT_US, lambda: self._sag(chair), chair.board.now_us)

    def _sag(self, chair: Chair) -> bool:
        if not self.over:
            chair.board.cut_power()
            chair.board.restore_power()
        return not self.over


def _brownouts(chair: Chair, _: float) -> None:
    chair.brownouts = _Brownouts(chair)


def _no_brownouts(chair: Chair) -> None:
    if isinstance(chair.brownouts, _Brownouts):
        chair.brownouts.over = True


def _wifi(chair: Chair, up: bool) -> None:
    chair.world.wifi_up = up
    chair.board.peer.silent = not up


def _nameless(chair: Chair) -> None:
    chair.board.names_answer = False
    chair.board.cut_power()
    chair.board.restore_power()


def _slow(chair: Chair, delay_ms: float) -> None:
    chair.network.delay_us = round(delay_ms * 1000)


def _collect(chair: Chair, us: int) -> None:
    chair.board.costs.collect_us = us


def _clock_step(chair: Chair, seconds: float) -> None:
    chair.gateway.utc_step_ms += round(seconds * 1000)


def _clock_set(chair: Chair, set_: bool) -> None:
    chair.gateway.has_clock = set_


MENU: dict[str, Fault[Chair]] = {
    # the patient and the finger
    "probe off": Fault(
        "the finger is out of the probe",
        lambda chair, _: chair.patient.set(finger_on=0),
        lambda chair: chair.patient.set(finger_on=1),
    ),
    "motion": _strong(_finger, "motion", "the hand moves about, this many times as much as the pulse does", "x", 4.0),
    "tapping": _strong(_finger, "tapping_hz", "the finger taps on the armrest, in time", "Hz", 2.3),
    "flicker": _strong(_finger, "flicker_na", "a dimmed lamp flickers into the probe", "nA", 60.0),
    "sunlight": _strong(
        _oximeter, "ambient_na", "the sun shines into the probe; the chip takes 200 uA of it away", "uA", 210.0, 1000.0
    ),
    "dark skin": Fault(
        "a finger with this share of melanin in its outer skin, which takes light away, red more than infrared",
        lambda chair, share: setattr(chair.world.finger, "skin", share / 100),
        lambda chair: setattr(chair.world.finger, "skin", LIGHT_SKIN),
        "%",
        DARK_SKIN * 100,
    ),
    "seat empty": _seat("empty", "the patient has stood up"),
    "seat cable broken": _seat("broken", "both contacts of the seat are open"),
    # the oximeter and the bus
    "oximeter silent": _silent(lambda chair: chair.world.plan.oximeter_address, "oximeter"),
    "pressure chip silent": _silent(lambda chair: chair.world.plan.pressure_adc_address, "pressure converter"),
    "bus stuck": _set(_bus, "stuck", True, False, "a line of the I2C bus is held low"),
    "bus hangs": _set(_bus, "hang_s", HUNG_S, 0.0, "a transfer does not come back for a minute: the program hangs"),
    "samples lost": Fault(
        "collecting garbage stops the program for 0.4 s each second: the oximeter's queue overflows",
        lambda chair, _: _collect(chair, SLOW_COLLECT_US),
        lambda chair: _collect(chair, USUAL_COLLECT_US),
    ),
    "wrong part": Fault(
        "another chip sits in the oximeter's place",
        lambda chair, _: _part(chair, 0x11),
        lambda chair: _part(chair, 0x15),
    ),
    "leds swapped": _set(_finger, "leds_swapped", True, False, "red and infrared are exchanged, as on clone boards"),
    "half sample rate": _set(
        _oximeter, "clock_error", -0.5, 0.0, "the oximeter samples half as often as it was set to"
    ),
    # the cuff
    "cuff off": Fault(
        "the cuff is not on the arm",
        lambda chair, _: chair.world.cuff.wrap(chair.board.now_s(), False),
        lambda chair: chair.world.cuff.wrap(chair.board.now_s(), True),
    ),
    "leak": _strong(
        _cuff, "leak_size", "the cuff leaks through an opening of this size (5 loses 3 mmHg/s)", "size", 60.0
    ),
    "kink": Fault(
        "the tube is pressed shut",
        lambda chair, _: chair.world.cuff.kink(chair.board.now_s(), True),
        lambda chair: chair.world.cuff.kink(chair.board.now_s(), False),
    ),
    "pump dead": _set(_cuff, "pump_dead", True, False, "the pump does not turn"),
    "pump runs on": _set(_cuff, "pump_runs_on", True, False, "the pump cannot be switched off"),
    "dump valve stuck shut": _set(_cuff, "dump_stuck_shut", True, False, "the dump valve does not open"),
    "dump valve stuck open": _set(_cuff, "dump_stuck_open", True, False, "the dump valve does not close"),
    "bleed valve blocked": _set(_cuff, "bleed_blocked", True, False, "no air leaves by the bleed valve"),
    "pressure sensor frozen": _set(_world, "sensor_frozen", True, False, "the pressure sensor says the same for ever"),
    "pressure drift": _strong(_world, "sensor_drift_mmhg", "the pressure sensor's zero has moved", "mmHg", 14.0),
    # the board
    "battery low": Fault(
        "the battery's voltage has fallen to this",
        lambda chair, volts: setattr(chair.world, "battery_v", volts),
        lambda chair: setattr(chair.world, "battery_v", FULL_V),
        "V",
        3.4,
    ),
    "power cut": Fault("the board has no power", _cut, _restore),
    "clock drift": Fault(
        "the board's crystal runs this much fast: everything that it measures by time is off",
        _drift,
        lambda chair: _drift(chair, 0.0),
        "ppm",
        25_000.0,
    ),
    "flash full": _set(lambda chair: chair.board, "flash_full", True, False, "nothing can be written to the flash"),
    "brownouts": Fault("the board's supply sags every 4 s: it starts and falls again", _brownouts, _no_brownouts),
    # the network
    "wifi loss": Fault("the Wi-Fi is gone", lambda chair, _: _wifi(chair, False), lambda chair: _wifi(chair, True)),
    "dns loss": Fault(
        "no name is found, and the board has just been switched on: it cannot find its gateway",
        lambda chair, _: _nameless(chair),
        lambda chair: setattr(chair.board, "names_answer", True),
    ),
    "half-open link": _set(
        lambda chair: chair.board.peer, "silent", True, False, "the link swallows everything and tells nobody"
    ),
    "packet delay": Fault("every message comes this much later", _slow, lambda chair: _slow(chair, 0.0), "ms", 800.0),
    "packet loss": _strong(_network, "loss_share", "this share of messages is lost", "%", 20.0, 0.01),
    "packet duplication": _strong(_network, "double_share", "this share of messages comes twice", "%", 20.0, 0.01),
    "packet reordering": _strong(
        _network, "reorder_share", "this share of messages is overtaken by the next second's", "%", 20.0, 0.01
    ),
    "broker restart": Fault(
        "the broker dies, and forgets what it kept",
        lambda chair, _: chair.broker_down(),
        lambda chair: chair.broker_up(),
    ),
    # the gateway
    "gateway crash": Fault(
        "the gateway's process is killed", lambda chair, _: chair.gateway.crash(), lambda chair: chair.gateway_starts()
    ),
    "clock step": Fault("the gateway's clock of the day jumps by this", _clock_step, None, "s", 3600.0),
    "no clock": Fault(
        "the gateway's computer does not know the day: it says 1970",
        lambda chair, _: _clock_set(chair, False),
        lambda chair: _clock_set(chair, True),
    ),
}


def begin(chair: Bay, name: str, strength: float | None = None) -> None:
    """Bring a fault about, now. Raises KeyError for one that is not on the chair's menu."""
    fault = chair.menu[name]
    chair.note("fault", what=name, state="begins")
    fault.begin(chair, fault.usual if strength is None else strength)


def end(chair: Bay, name: str) -> None:
    fault = chair.menu[name]
    chair.note("fault", what=name, state="ends")
    if fault.end is not None:
        fault.end(chair)
