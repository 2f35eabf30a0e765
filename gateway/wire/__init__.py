"""The contract on the wire: every MQTT payload as a type, and the names of its topics.

Terms. A *record* (`Vitals`, `Cuff`, `Event`) carries one `seq` from 1 in each boot and is delivered end to end.
A value that was not measured is absent; `quality` says why. Values carry `age_ms` at the moment of sending; a
receiver adds its own monotonic time. `up_ms` is the board's time since boot, `at_ms` is UTC.

    board  ──  status, vitals, cuff, event, reply     ──▶  gateway
    board  ◀──  ack, annunciate, cmd                   ──  gateway
    screen ──  do  ──▶  gateway  ──  state, alarm, done, gateway  ──▶  screens

Decoding refuses a wrong type, a missing field, a value out of range and an unknown version; a field that is not
known is ignored, so that a board may be newer than its gateway.
"""

from msgspec import UNSET

from gateway.wire.actions import (
    Abort,
    Acknowledge,
    Action,
    Discharge,
    Do,
    Done,
    Dose,
    Measure,
    Observe,
    PauseAudio,
    SignOff,
    Start,
)
from gateway.wire.base import (
    BOARD_BYTES_MAX,
    STATE_BYTES_MAX,
    VERSION,
    AlarmId,
    Boot,
    Bpm,
    Count,
    CuffPhase,
    Device,
    GatewayMessage,
    Level,
    Message,
    Mmhg,
    Name,
    Pct,
    Quality,
    Seq,
    Text,
    Version,
)
from gateway.wire.board import Calibration, Cuff, Event, Record, Reply, Status, Vitals, Waveform
from gateway.wire.codec import M, Refused, decode, encode
from gateway.wire.display import (
    AlarmTransition,
    AlarmView,
    CriterionView,
    CuffView,
    Heartbeat,
    ReadinessView,
    State,
    VitalsView,
)
from gateway.wire.orders import Ack, Annunciate, Cmd, FallbackLimits, UpdateStep
from gateway.wire.topics import BOARD_TOPICS, ROOT, chair_topic, device_topic, gateway_topic

__all__ = [
    "BOARD_BYTES_MAX",
    "BOARD_TOPICS",
    "ROOT",
    "STATE_BYTES_MAX",
    "UNSET",
    "VERSION",
    "Abort",
    "Ack",
    "Acknowledge",
    "Action",
    "AlarmId",
    "AlarmTransition",
    "AlarmView",
    "Annunciate",
    "Boot",
    "Bpm",
    "Calibration",
    "Cmd",
    "Count",
    "CriterionView",
    "Cuff",
    "CuffPhase",
    "CuffView",
    "Device",
    "Discharge",
    "Do",
    "Done",
    "Dose",
    "Event",
    "FallbackLimits",
    "GatewayMessage",
    "Heartbeat",
    "Level",
    "M",
    "Measure",
    "Message",
    "Mmhg",
    "Name",
    "Observe",
    "PauseAudio",
    "Pct",
    "Quality",
    "ReadinessView",
    "Record",
    "Refused",
    "Reply",
    "Seq",
    "SignOff",
    "Start",
    "State",
    "Status",
    "Text",
    "UpdateStep",
    "Version",
    "Vitals",
    "VitalsView",
    "Waveform",
    "chair_topic",
    "decode",
    "device_topic",
    "encode",
    "gateway_topic",
]
