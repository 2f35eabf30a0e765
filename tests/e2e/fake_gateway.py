"""A gateway that says what a test wants it to say: heartbeat and chair states each second, and answers to `do`."""

import threading
import time
from typing import Any

import paho.mqtt.client as mqtt
from msgspec.structs import replace
from paho.mqtt.enums import CallbackAPIVersion
from servers import wait_until

from gateway.wire import (
    Action,
    AlarmTransition,
    AlarmView,
    AskView,
    CriterionView,
    CuffView,
    Do,
    Done,
    EntryView,
    Heartbeat,
    Message,
    ReadinessView,
    ScoreItemView,
    ScoreView,
    State,
    VitalsView,
    chair_topic,
    decode,
    encode,
    gateway_topic,
)

BOOT = "00112233445566aa"


def vitals(**changes: Any) -> VitalsView:
    calm = VitalsView(
        boot=BOOT, seq=1, age_ms=150, freshness="live", quality="good", spo2_pct=98, pulse_bpm=72, pi_pct=2.4
    )
    return replace(calm, **changes)


def pressure(**changes: Any) -> CuffView:
    calm = CuffView(age_ms=95_000, quality="good", current=True, sys_mmhg=124, dia_mmhg=78, map_mmhg=93)
    return replace(calm, **changes)


def readiness(state: str, *missing: str) -> ReadinessView:
    criteria = [CriterionView(id=f"c{i}", label=m, verdict="unmet", detail="not yet") for i, m in enumerate(missing)]
    criteria.append(CriterionView(id="spo2", label="SpO2 at least 94 %", verdict="met", detail="98 % for 5 min"))
    return ReadinessView(state=state, criteria=criteria)


def alarm(**changes: Any) -> AlarmView:
    low = AlarmView(
        id="s1-spo2_low-1", rule="spo2_low", level="high", condition="active", since_s=12.0,
        reason="Oxygen saturation is low", value=82.0, limit=85.0, unit="%",
    )  # fmt: skip
    return replace(low, **changes)


def asked(item: str, label: str, due_s: float = -1.0) -> AskView:
    return AskView(id=item, item=item, label=label, due_s=due_s)


def entry(**changes: Any) -> EntryView:
    first = EntryView(id="entry-0001", who="MK", kind="dose", text="First dose", ago_s=95.0)
    return replace(first, **changes)


def score(**changes: Any) -> ScoreView:
    """Seven points, and one item missing."""
    known = ScoreItemView(id="gait", label="Gait", detail="steady", points=7)
    missing = ScoreItemView(id="activity", label="Activity", detail="activity is not recorded")
    return replace(ScoreView(id="aldrete", label="Modified Aldrete", items=[known, missing]), **changes)


def chair_state(site: str, chair: str, **changes: Any) -> State:
    calm = State(
        run="run-1", site=site, chair=chair, device=f"cb-{chair}", online=True, session="s1", alias="Heron",
        phase="recovery", phase_s=754, level="none", sound=False, alarms=[], protocol="iv-ketamine",
        readiness=readiness("NOT_READY", "Walks steadily", "Escort is here"),
        vitals=vitals(), pressure=pressure(), cuff_next_s=205,
    )  # fmt: skip
    return replace(calm, **changes)


class FakeGateway:
    """Publishes until told to be silent. `chairs` holds what it says; a missing chair is one it is silent of."""

    def __init__(self, port: int, site: str) -> None:
        self.site = site
        self.chairs: dict[str, State] = {}
        self.heartbeat = Heartbeat(run="run-1", online=True, chairs=6, devices_online=6, sink="ok", sink_lag_s=0.3)
        self.beating = True
        self.answers: dict[str, Done] = {}
        self.answering = True
        self.done_deeds: list[Do] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe(
            [(chair_topic(site, "+", "do"), 1), (gateway_topic(site, "do"), 1)]
        )
        self._client.on_message = self._deed
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._each_second, daemon=True)
        self._thread.start()

    def beats(self, **changes: Any) -> None:
        """Change what the heartbeat says, and say it at once."""
        self.heartbeat = replace(self.heartbeat, **changes)
        self.say(gateway_topic(self.site), self.heartbeat, retain=True, qos=1)

    def set(self, chair: str, **changes: Any) -> None:
        """Change what is said of a chair, and say it at once."""
        self.chairs[chair] = replace(self.chairs.get(chair) or chair_state(self.site, chair), **changes)
        self.say(chair_topic(self.site, chair, "state"), self.chairs[chair], retain=True)

    def say(self, topic: str, message: Message, *, retain: bool = False, qos: int = 0) -> None:
        self._client.publish(topic, encode(message), qos=qos, retain=retain).wait_for_publish(10)

    def say_raw(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload).wait_for_publish(10)

    def deed(self, number: int = 0) -> Action:
        """The action that somebody asked for."""
        wait_until(lambda: len(self.done_deeds) > number, "the action at the gateway")
        return self.done_deeds[number].action

    def transition(self, chair: str, **changes: Any) -> None:
        news = AlarmTransition(
            run="run-1", id="s1-spo2_low-1", site=self.site, chair=chair, device=f"cb-{chair}", session="s1",
            rule="spo2_low", from_condition="pending", to_condition="active", level="high", what="raised",
            reason="Oxygen saturation is low", at_ms=time.time_ns() // 1_000_000,
        )  # fmt: skip
        self.say(chair_topic(self.site, chair, "alarm"), replace(news, **changes), qos=1)

    def remove(self, chair: str) -> None:
        """Clear a chair's topic, as a gateway does for a chair that is gone."""
        del self.chairs[chair]
        self._client.publish(chair_topic(self.site, chair, "state"), b"", retain=True).wait_for_publish(10)

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        for chair in [*self.chairs]:
            self._client.publish(chair_topic(self.site, chair, "state"), b"", retain=True)
        self._client.publish(gateway_topic(self.site), b"", qos=1, retain=True).wait_for_publish(10)
        self._client.disconnect()
        self._client.loop_stop()

    def _each_second(self) -> None:
        while True:
            if self.beating:
                self._client.publish(gateway_topic(self.site), encode(self.heartbeat), qos=1, retain=True)
            for chair, state in list(self.chairs.items()):
                self._client.publish(chair_topic(self.site, chair, "state"), encode(state), retain=True)
            if self._ended.wait(1.0):
                return

    def _deed(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        do = decode(message.payload, Do)
        self.done_deeds.append(do)
        if self.answering:
            answer = self.answers.get(do.action.__struct_config__.tag, Done(id="", ok=True))
            self._client.publish(message.topic.removesuffix("do") + "done", encode(replace(answer, id=do.id)), qos=1)
