"""A screen that sees every message, and a member of staff who acts through it.

It stamps what it receives on the machine's monotonic clock, the one that the boards' wire taps stamp with, so the
time from a board's publish to the state that it caused, as a screen receives it, is a difference of two readings of
one clock.
"""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterable

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from gateway import wire
from simulators.mqtt_packets import Published

REPEAT_S = 1.0
TRIES_MAX = 10
NURSE = "nurse-1"


class Watch:
    """Connects at once. `on_alarm` is called, from the client's thread, for every alarm transition."""

    def __init__(self, site: str, broker: tuple[str, int], on_alarm: Callable[[wire.AlarmTransition], None]) -> None:
        self.site = site
        self.states: dict[str, wire.State] = {}
        self.alarms: list[wire.AlarmTransition] = []
        self.readiness: list[tuple[str, str]] = []
        self.heartbeat: wire.Heartbeat | None = None
        self.shown_ms: dict[tuple[str, str], list[tuple[int, float]]] = {}
        """By device and boot: (seq, monotonic ms) of each state that came."""
        self._on_alarm = on_alarm
        self._done: dict[str, wire.Done] = {}
        self._changed = threading.Condition()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = self._connected
        self._client.on_message = self._message
        self._client.connect(*broker)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def wait(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Until the condition holds; looked at after each message."""
        with self._changed:
            return self._changed.wait_for(condition, timeout=within_s)

    def act(self, chair: str, action: wire.Action) -> wire.Done:
        """Do what a person at the chair does: say it until it is answered. Raises TimeoutError."""
        state = self.states.get(chair)
        do = wire.Do(id=secrets.token_hex(12), session=state.session if state else "", who=NURSE, action=action)
        for _ in range(TRIES_MAX):
            self._client.publish(wire.chair_topic(self.site, chair, "do"), wire.encode(do), qos=1)
            if self.wait(lambda: do.id in self._done, REPEAT_S):
                return self._done[do.id]
        raise TimeoutError(f"{chair}: nobody answered {type(action).__name__}, said {TRIES_MAX} times")

    def latencies_ms(self, device: str, published: Iterable[Published]) -> tuple[list[float], int]:
        """From the board's write of each live vitals record to the first state that shows it or a newer one; and
        how many were never shown."""
        latencies: list[float] = []
        unshown = 0
        for message in published:
            if message.topic != wire.device_topic(device, "vitals"):
                continue
            record = wire.decode(message.payload, wire.Vitals)
            shown = self.shown_ms.get((device, record.boot), [])
            at_ms = next((ms for seq, ms in shown if seq >= record.seq), None)
            if record.late:
                continue
            if at_ms is None:
                unshown += 1
            else:
                latencies.append(at_ms - message.at_us / 1000)
        return latencies, unshown

    def _connected(self, client: mqtt.Client, *_: object) -> None:
        for leaf, qos in (("state", 0), ("alarm", 1), ("done", 1)):
            client.subscribe(wire.chair_topic(self.site, "+", leaf), qos=qos)
        # The last: whoever hears the gateway's heartbeat will hear of the chairs.
        client.subscribe(wire.gateway_topic(self.site), qos=1)

    def _message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        now_ms = time.monotonic_ns() / 1e6
        leaf, payload = message.topic.rsplit("/", 1)[1], bytes(message.payload)
        with self._changed:
            if leaf == "state" and payload and not message.retain:
                self._state(wire.decode(payload, wire.State, wire.STATE_BYTES_MAX), now_ms)
            elif leaf == "alarm":
                alarm = wire.decode(payload, wire.AlarmTransition)
                self.alarms.append(alarm)
                self._on_alarm(alarm)
            elif leaf == "done":
                done = wire.decode(payload, wire.Done)
                self._done[done.id] = done
            elif leaf == "gateway" and not message.retain:
                self.heartbeat = wire.decode(payload, wire.Heartbeat)
            self._changed.notify_all()

    def _state(self, state: wire.State, now_ms: float) -> None:
        before = self.states.get(state.chair)
        self.states[state.chair] = state
        if before is None or before.readiness.state != state.readiness.state:
            self.readiness.append((state.chair, state.readiness.state))
        if isinstance(state.vitals, wire.VitalsView):
            shown = self.shown_ms.setdefault((state.device, state.vitals.boot), [])
            if not shown or shown[-1][0] < state.vitals.seq:
                shown.append((state.vitals.seq, now_ms))


def percentile(values: list[float], pct: float) -> float:
    """The value that `pct` per cent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(pct / 100 * (len(ordered) - 1)))]


def flat(lists: Iterable[Iterable[float]]) -> list[float]:
    return list(itertools.chain.from_iterable(lists))
