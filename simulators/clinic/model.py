"""A board as the wire shows it, without firmware: thousands of its seconds in one of ours.

It says what a board says when it should, from the patient's true values and a little noise; it keeps its records until
they are acknowledged, sends them again late, and measures pressure when it is told to. What it does is taken from the
contract, not from the firmware: whoever wants to know what the firmware does runs the firmware.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import ClassVar

from gateway import wire
from simulators.agenda import Agenda
from simulators.clinic.bay import DEVICE
from simulators.clinic.chair import VirtualChair
from simulators.clinic.faults import MENU
from simulators.clinic.gateway import UTC_MS
from simulators.clinic.model_world import ModelPeer, ModelWorld
from simulators.clinic.outbox import Outbox
from simulators.mqtt_packets import Published
from simulators.world.patient import Patient

SECOND_US = 1_000_000
RECONNECT_S = 3
KEEPALIVE_S = 12
ALONE_S = 3
SETTLE_S = 4
REST_S = 30
STATUS_S = 60
LOWEST_PCT = 70.0
"""Below it this board has no number."""
HIGHEST_MMHG = 270.0
POOR_PCT = 0.1
EMPTY_V, SPAN_V = 3.3, 0.9
MODELLED = (
    "probe off", "motion", "seat empty", "oximeter silent", "pressure chip silent", "cuff off", "leak", "kink",
    "pump dead", "battery low", "power cut", "wifi loss", "half-open link", "packet delay", "packet loss",
    "packet duplication", "packet reordering", "broker restart", "gateway crash", "clock step", "no clock",
)  # fmt: skip


class ModelBoard:
    """One life from power-on to power cut after the other; `on_publish` takes what it sends."""

    def __init__(
        self,
        world: ModelWorld,
        agenda: Agenda,
        seed: int,
        *,
        same_limb: bool,
        calibration: str,
        on_publish: Callable[[Published], None],
    ) -> None:
        self.world, self.agenda = world, agenda
        self.resets: list[int] = []
        self.peer = ModelPeer(self._dropped, self._told)
        self._chance = random.Random(seed * 7919 + 11)
        self._same_limb, self._calibration = same_limb, calibration
        self._on_publish = on_publish
        self._past_us = 0
        self._life = 0
        world.patient.clock = self.now_s

    @property
    def now_us(self) -> int:
        return self._past_us if self.agenda.acting_us is None else self.agenda.acting_us

    def now_s(self) -> float:
        return self.now_us / 1e6

    def run_for(self, seconds: float) -> None:
        end_us = self._past_us + round(seconds * 1e6)
        self.agenda.run_until(end_us)
        self._past_us = end_us

    def start(self) -> None:
        self.restore_power()

    def kill(self) -> None:
        self._life += 1

    def cut_power(self) -> None:
        self._life += 1
        self.world.pressed.clear()

    def restore_power(self) -> None:
        self._life += 1
        life = self._life
        self.resets.append(1)
        self.boot = f"{self._chance.getrandbits(64):016x}"
        self._on_us = self.now_us
        self.outbox = Outbox()
        self._connections = 0
        self._connected = False
        self._reachable_s = 0
        self._heard_us = self._on_us
        self._run = ""
        self._session = ""
        self._limits: wire.FallbackLimits | None = None
        self._local: set[str] = set()
        self._finger_us: int | None = None
        self._interval_s = 0
        self._due_us: int | None = None
        self._measuring: tuple[int, int, str] | None = None
        self._rested_us = self._on_us
        self._commands: set[str] = set()
        self._stated: tuple[list[str], float] = ([], -1.0)
        self._stated_us = 0
        first_us = self._on_us + 700_000 + self._chance.randrange(SECOND_US)
        self.agenda.every(SECOND_US, lambda: self._second(life), first_us)

    # --- each second

    def _second(self, life: int) -> bool:
        if life != self._life:
            return False
        self._link()
        self._keep(wire.Vitals, **self._vitals())
        while self.world.pressed:
            self._keep(wire.Event, kind="button", name=self.world.pressed.popleft())
        self._arm()
        self._alone()
        if self._connected:
            state = (self._faults(), self._battery_pct())
            if state != self._stated or self.now_us - self._stated_us > STATUS_S * SECOND_US:
                self._state(state)
            for record in self.outbox.again(self.now_us):
                self._send(record)
        return True

    def _link(self) -> None:
        reachable = self.world.wifi_up and self.peer.up and not self.peer.silent
        if self._connected:
            self._connected = self.world.wifi_up and self.now_us - self._heard_us < KEEPALIVE_S * SECOND_US
            self._reachable_s = 0
            return
        self._reachable_s = self._reachable_s + 1 if reachable else 0
        if self._reachable_s >= RECONNECT_S:
            self._connected = True
            self._connections += 1
            self._heard_us = self.now_us
            self.outbox.forget_sending()
            self._state((self._faults(), self._battery_pct()))

    def _vitals(self) -> dict[str, object]:
        patient, t, chance = self.world.patient, self.now_s(), self._chance
        spo2_pct = min(100.0, max(0.0, patient.at("spo2_pct", t) + chance.gauss(0.0, 0.4)))
        pulse_bpm = max(0.0, patient.at("pulse_bpm", t) + chance.gauss(0.0, 0.7))
        quality = self._quality(t, spo2_pct)
        found: dict[str, object] = {"quality": quality, "sqi_pct": 90.0 if quality == "good" else 20.0}
        if quality == "good":
            found |= {"spo2_pct": round(spo2_pct, 1), "pulse_bpm": round(pulse_bpm, 1), "pi_pct": 1.8}
        elif quality == "below_range":
            found["spo2_pct"] = round(spo2_pct, 1)
        phase = "deflating" if self._measuring else "idle"
        return found | {"seat": self.world.seat, "cuff": phase, "age_ms": chance.randrange(50, 400)}

    def _quality(self, t: float, spo2_pct: float) -> str:
        world = self.world
        if world.bus.nack_share.get(world.plan.oximeter_address):
            return "sensor_fault"
        if not world.patient.finger_on(t):
            self._finger_us = None
            return "no_finger"
        if self._finger_us is None:
            self._finger_us = self.now_us
        if world.patient.at("perfusion_pct", t) < POOR_PCT:
            return "low_perfusion"
        if world.finger.motion:
            return "motion"
        if self.now_us - self._finger_us < SETTLE_S * SECOND_US:
            return "settling"
        if self._measuring and self._same_limb:
            return "cuff_hold"
        return "good" if spo2_pct >= LOWEST_PCT else "below_range"

    # --- the cuff

    def _arm(self) -> None:
        if self._measuring is not None:
            began_us, ends_us, trigger = self._measuring
            if self.now_us >= ends_us:
                self._measuring, self._rested_us = None, self.now_us + REST_S * SECOND_US
                self._keep(wire.Cuff, trigger=trigger, duration_ms=(self.now_us - began_us) // 1000, **self._pressure())
        elif self._session and self._due_us is not None and self.now_us >= max(self._due_us, self._rested_us):
            self._due_us = self.now_us + self._interval_s * SECOND_US if self._interval_s else None
            self._measure("schedule")

    def _measure(self, trigger: str) -> None:
        self._measuring = (self.now_us, self.now_us + self._chance.randrange(20, 45) * SECOND_US, trigger)

    def _pressure(self) -> dict[str, object]:
        patient, cuff, t = self.world.patient, self.world.cuff, self.now_s()
        sys_mmhg = round(patient.at("sys_mmhg", t) + self._chance.gauss(0.0, 2.0))
        dia_mmhg = round(patient.at("dia_mmhg", t) + self._chance.gauss(0.0, 2.0))
        reason = ""
        if self.world.bus.nack_share.get(self.world.plan.pressure_adc_address):
            reason = "sensor"
        elif not cuff.on_arm or cuff.pump_dead:
            reason = "no_rise"
        elif cuff.leak_size or cuff.kinked:
            reason = "leak" if cuff.leak_size else "kinked"
        elif self.world.finger.motion:
            reason = "motion"
        elif sys_mmhg > HIGHEST_MMHG:
            reason = "above_range"
        if reason:
            return {"quality": "failed", "reason": reason}
        map_mmhg = round(dia_mmhg + (sys_mmhg - dia_mmhg) / 3)
        return {"quality": "good", "sys_mmhg": sys_mmhg, "dia_mmhg": dia_mmhg, "map_mmhg": map_mmhg, "pulse_bpm": 70.0}

    # --- alone

    def _alone(self) -> None:
        """Without a gateway it judges by itself, and says so later."""
        silent_us = self.now_us - self._heard_us
        if not self._session or silent_us < ALONE_S * SECOND_US:
            self._local.clear()
            return
        if silent_us >= REST_S * SECOND_US:
            self._alarms("silence")
        t, patient = self.now_s(), self.world.patient
        if self._limits and self._quality(t, LOWEST_PCT) == "good":
            if patient.at("spo2_pct", t) < self._limits.spo2_low_pct:
                self._alarms("spo2_low")
            if patient.at("pulse_bpm", t) > self._limits.pulse_high_bpm:
                self._alarms("pulse_high")

    def _alarms(self, name: str) -> None:
        if name not in self._local:
            self._local.add(name)
            self._keep(wire.Event, kind="local_alarm", name=name)

    # --- messages

    def _keep(self, kind: type[wire.Record], /, **given: object) -> None:
        """A record is made, kept, and sent if there is a connection."""
        record = self.outbox.made(
            kind, boot=self.boot, up_ms=self._up_ms(), at_ms=UTC_MS + self.now_us // 1000, **given
        )
        if self._connected:
            self.outbox.sent(record.seq, self.now_us)
            self._send(record)

    def _send(self, message: wire.Message) -> None:
        leaf = next(leaf for leaf, kind in wire.BOARD_TOPICS.items() if type(message) is kind)
        if self.world.wifi_up and not self.peer.silent:
            status = isinstance(message, wire.Status)
            qos = 1 if status or isinstance(message, wire.Reply) else 0
            topic = wire.device_topic(DEVICE, leaf)
            self._on_publish(Published(self.now_us, topic, wire.encode(message), qos, status))

    def _state(self, state: tuple[list[str], float]) -> None:
        self._stated, self._stated_us = state, self.now_us
        self._send(
            wire.Status(
                boot=self.boot,
                conn=self._connections,
                online=True,
                up_ms=self._up_ms(),
                calibration=wire.Calibration(state=self._calibration),  # type: ignore[arg-type]
                faults=state[0],
                battery_pct=state[1],
            )
        )

    def _told(self, topic: str, payload: bytes) -> None:
        if not self._connected or not payload:
            return
        leaf = topic.rsplit("/", 1)[1]
        if leaf == "ack":
            ack = wire.decode(payload, wire.Ack)
            if ack.boot == self.boot:
                if ack.run != self._run:
                    self._run = ack.run
                    self.outbox.forget_sending()
                self.outbox.acknowledged(ack, self.now_us)
        elif leaf == "annunciate":
            self._annunciated(wire.decode(payload, wire.Annunciate))
        elif leaf == "cmd":
            self._commanded(wire.decode(payload, wire.Cmd))

    def _annunciated(self, told: wire.Annunciate) -> None:
        self._heard_us = self.now_us
        self._session, self._interval_s = told.session, told.cuff_interval_s
        self._limits = told.limits if isinstance(told.limits, wire.FallbackLimits) else None
        self._due_us = None
        if isinstance(told.cuff_next_s, int) and told.cuff_interval_s:
            self._due_us = self.now_us + told.cuff_next_s * SECOND_US

    def _commanded(self, cmd: wire.Cmd) -> None:
        reason = None
        if cmd.boot != self.boot or self._up_ms() > cmd.valid_until_up_ms or cmd.id in self._commands:
            reason = "expired" if cmd.boot == self.boot else "boot"
        elif cmd.kind == "measure":
            reason = "busy" if self._measuring or self.now_us < self._rested_us else None
            if reason is None:
                self._measure("command")
        elif cmd.kind == "abort":
            self._measuring = None
        self._commands.add(cmd.id)
        self._send(
            wire.Reply(boot=self.boot, id=cmd.id, result="refused", reason=reason)
            if reason
            else wire.Reply(boot=self.boot, id=cmd.id, result="accepted")
        )

    def _dropped(self) -> None:
        self._connected = False
        self._reachable_s = 0

    def _faults(self) -> list[str]:
        silent = self.world.bus.nack_share
        found = ["oximeter"] if silent.get(self.world.plan.oximeter_address) else []
        return found + (["pressure_adc"] if silent.get(self.world.plan.pressure_adc_address) else [])

    def _battery_pct(self) -> float:
        return round(min(100.0, max(0.0, 100 * (self.world.battery_v - EMPTY_V) / SPAN_V)), 1)

    def _up_ms(self) -> int:
        return (self.now_us - self._on_us) // 1000


class ModelChair(VirtualChair):
    """A chair with the model of a board: no firmware, no process."""

    menu: ClassVar = {name: MENU[name] for name in MODELLED}
    board: ModelBoard

    def __init__(self, protocol: str, *, seed: int, patient: Patient, same_limb: bool, calibration: str) -> None:
        agenda = Agenda()
        board = ModelBoard(
            ModelWorld(patient),
            agenda,
            seed,
            same_limb=same_limb,
            calibration=calibration,
            on_publish=self._from_board,
        )
        super().__init__(protocol, patient, board, agenda, seed)
