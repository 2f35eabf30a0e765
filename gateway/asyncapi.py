"""The wire contract as documents: AsyncAPI 3.0 for machines, one page for people.

    python -m gateway.asyncapi            # writes docs/reference/asyncapi.json and docs/reference/wire.md
    python -m gateway.asyncapi --check    # exits 1 if one of them is stale

Everything about a field comes from the types in `gateway.wire`; only who sends what, and how, stands here.
"""

import json
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from gateway import generated, wire

DOCS = Path(__file__).resolve().parents[1] / "docs" / "reference"
PARAMETERS = {
    "device": "The board, as it authenticates: `cb-7f3a21`.",
    "site": "The clinic.",
    "chair": "A place: `bay-3`. The gateway knows which device stands there.",
}


class Channel(Struct, frozen=True):
    """One topic: who sends it, its last part, how, and why."""

    sender: Literal["board", "gateway", "screen"]
    scope: Literal["device", "chair", "site"]
    leaf: str
    message: type[wire.Message]
    qos: Literal[0, 1]
    retain: bool
    about: str

    @property
    def address(self) -> str:
        if self.scope == "device":
            return wire.device_topic("{device}", self.leaf)
        if self.scope == "chair":
            return wire.chair_topic("{site}", "{chair}", self.leaf)
        return wire.gateway_topic("{site}", self.leaf.removeprefix("gateway").removeprefix("/"))

    @property
    def key(self) -> str:
        return f"{self.scope}.{self.leaf.replace('/', '.')}"


KEPT = True  # by the broker, for whoever subscribes later
CHANNELS = (
    Channel("board", "device", "status", wire.Status, 1, KEPT, "Birth, and last will when the link breaks."),
    Channel("board", "device", "vitals", wire.Vitals, 0, False, "Oximetry, each second; a record."),
    Channel("board", "device", "cuff", wire.Cuff, 0, False, "One finished or failed measurement; a record."),
    Channel("board", "device", "event", wire.Event, 0, False, "Start, button, fault, local alarm; a record."),
    Channel("board", "device", "reply", wire.Reply, 1, False, "The answer to a command."),
    Channel("board", "device", "waveform", wire.Waveform, 0, False, "A second of the pleth, on request."),
    Channel("gateway", "device", "ack", wire.Ack, 0, False, "Which records are durable, each second."),
    Channel("gateway", "device", "annunciate", wire.Annunciate, 1, KEPT, "Lamp and sounder, each second."),
    Channel("gateway", "device", "cmd", wire.Cmd, 1, False, "A command that expires."),
    Channel("gateway", "chair", "state", wire.State, 0, KEPT, "The whole chair as a display needs it."),
    Channel("gateway", "chair", "alarm", wire.AlarmTransition, 1, False, "Every change of an alarm."),
    Channel("screen", "chair", "do", wire.Do, 1, False, "A staff action, repeated until it is answered."),
    Channel("gateway", "chair", "done", wire.Done, 1, False, "The answer to a staff action."),
    Channel("gateway", "site", "gateway", wire.Heartbeat, 1, KEPT, "Heartbeat each second, and last will."),
    Channel("gateway", "site", "gateway/alarm", wire.AlarmTransition, 1, False, "An alarm of the site; no chair."),
    Channel("screen", "site", "gateway/do", wire.Do, 1, False, "Acknowledge or pause alarms of the site."),
    Channel("gateway", "site", "gateway/done", wire.Done, 1, False, "The answer to it."),
)
MESSAGES = {one.message: one for one in reversed(CHANNELS)}
"""Each message with the first channel that carries it."""

_BOOT = "0f1e2d3c4b5a6978"
_RUN = "r-20260301-0800"
_RECORD: dict[str, Any] = {
    "boot": _BOOT,
    "seq": 118,
    "base": 112,
    "up_ms": 118_400,
    "at_ms": 1_772_352_118_400,
}
_IDS: dict[str, Any] = {"site": "clinic", "chair": "bay-3", "device": "cb-7f3a21", "session": "s-41"}

EXAMPLES: tuple[wire.Message, ...] = (
    wire.Status(
        boot=_BOOT, conn=1, online=True, firmware="0.1.0", reset_cause="power_on", up_ms=2_140,
        calibration=wire.Calibration(state="calibrated", made_on="2026-02-20"), faults=[], dropped=0,
    ),
    wire.Vitals(**_RECORD, age_ms=40, quality="good", sqi_pct=97.0, spo2_pct=96.4, pulse_bpm=71.0),
    wire.Cuff(
        **_RECORD, quality="good", trigger="schedule", duration_ms=31_000, sys_mmhg=128.0, dia_mmhg=81.0,
        map_mmhg=96.0, pulse_bpm=72.0, envelope=[(139.2, 0.62), (96.1, 1.71), (74.8, 0.93)],
    ),
    wire.Event(**_RECORD, kind="button", name="call"),
    wire.Reply(boot=_BOOT, id="c-9", result="refused", reason="expired"),
    wire.Waveform(boot=_BOOT, up_ms=118_400, rate_hz=25, ir=[-310, 120, 905, 640]),
    wire.Ack(boot=_BOOT, run=_RUN, upto=116, have=[(118, 118)]),
    wire.Annunciate(
        run=_RUN, beat=204, level="medium", sound=True, session="s-41", cuff_interval_s=300, cuff_next_s=180,
        limits=wire.FallbackLimits(
            spo2_low_pct=85, pulse_low_bpm=40, pulse_high_bpm=140, sys_low_mmhg=80, sys_high_mmhg=180,
        ),
    ),
    wire.Cmd(id="c-9", kind="measure", session="s-41", boot=_BOOT, valid_until_up_ms=123_000),
    wire.State(
        run=_RUN, **_IDS, online=True, alias="blue", phase="recovery", phase_s=312.0, level="medium",
        sound=True,
        alarms=[
            wire.AlarmView(
                id="a-7", rule="spo2_low", level="medium", condition="active", since_s=6.0,
                reason="SpO2 88 % below 90 %", value=88.0, limit=90.0, unit="%",
            ),
        ],
        readiness=wire.ReadinessView(
            state="NOT_READY",
            criteria=[wire.CriterionView(id="gait", label="Gait", verdict="unknown", detail="not observed")],
        ),
        vitals=wire.VitalsView(
            boot=_BOOT, seq=118, age_ms=220, freshness="live", quality="good", spo2_pct=88.0, pulse_bpm=74.0,
        ),
    ),
    wire.AlarmTransition(
        run=_RUN, **_IDS, id="a-7", rule="spo2_low", from_condition="pending", to_condition="active",
        level="medium", reason="SpO2 88 % below 90 %", at_ms=1_772_352_118_400, what="raised", value=88.0,
        limit=90.0, unit="%", sensor_delay_ms=45, condition_delay_ms=10_000,
    ),
    wire.Do(id="tablet-1-0017", session="s-41", who="M. Rossi", action=wire.Acknowledge(alarms=["a-7"])),
    wire.Done(id="tablet-1-0017", ok=True, session="s-41"),
    wire.Heartbeat(run=_RUN, online=True, chairs=6, devices_online=6, received=7_042, sink="ok"),
)  # fmt: skip


def document() -> dict[str, Any]:
    """The AsyncAPI document, from the gateway's side: it receives what boards and screens send."""
    types = [one.message for one in CHANNELS]
    references, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    examples = {type(example): msgspec.to_builtins(example) for example in EXAMPLES}
    for name, schema in schemas.items():
        if schema.get("type") == "object" and any(one.message.__name__ == name for one in CHANNELS):
            schema["required"] = ["v", *(key for key in schema.get("required", []) if key != "v")]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Chairside",
            "version": str(wire.VERSION),
            "description": (wire.__doc__ or "").strip(),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {one.key: _channel(one) for one in CHANNELS},
        "operations": {one.key: _operation(one) for one in CHANNELS},
        "components": {
            "messages": {
                one.message.__name__: {
                    "summary": one.about,
                    "payload": reference,
                    "examples": [{"payload": examples[one.message]}],
                }
                for one, reference in zip(CHANNELS, references, strict=True)
                if MESSAGES[one.message] is one
            },
            "schemas": schemas,
        },
    }


def _channel(one: Channel) -> dict[str, Any]:
    name = one.message.__name__
    return {
        "address": one.address,
        "summary": one.about,
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "parameters": {key: {"description": PARAMETERS[key]} for key in PARAMETERS if f"{{{key}}}" in one.address},
    }


def _operation(one: Channel) -> dict[str, Any]:
    return {
        "action": "send" if one.sender == "gateway" else "receive",
        "channel": {"$ref": f"#/channels/{one.key}"},
        "bindings": {"mqtt": {"qos": one.qos, "retain": one.retain, "bindingVersion": "0.2.0"}},
    }


def page() -> str:
    """The reference page: every topic, every field, one example each."""
    schemas = document()["components"]["schemas"]
    lines = [
        "# The contract on the wire",
        "",
        "Written by `python -m gateway.asyncapi` from the types in `gateway/wire/`, as is",
        "[asyncapi.json](asyncapi.json) (AsyncAPI 3.0) for machines. MQTT 3.1.1, JSON, UTF-8; what a board sends",
        f"or receives has at most {wire.BOARD_BYTES_MAX} bytes, a `state` at most {wire.STATE_BYTES_MAX}.",
        "",
    ]
    for paragraph in (wire.__doc__ or "").strip().split("\n\n")[1:]:
        drawn = paragraph.startswith("    ")
        lines += [f"```\n{paragraph}\n```" if drawn else paragraph, ""]
    lines += [
        "| topic | sender | QoS | what |",
        "|---|---|---|---|",
    ]
    for one in CHANNELS:
        how = f"{one.qos}{', retained' if one.retain else ''}"
        lines.append(f"| `{one.address}` | {one.sender} | {how} | {one.about} |")
    examples = {type(example): example for example in EXAMPLES}
    shown: set[str] = set()
    for one in CHANNELS:
        name = one.message.__name__
        if MESSAGES[one.message] is not one:
            continue
        example = json.dumps(msgspec.to_builtins(examples[one.message]), ensure_ascii=False)
        lines += [
            "",
            f"## {one.leaf}: {name}",
            "",
            *_fields(name, schemas, shown),
            "",
            "```json",
            example,
            "```",
        ]
    return "\n".join(lines) + "\n"


def _fields(name: str, schemas: dict[str, Any], shown: set[str]) -> list[str]:
    """The table of a message, followed by those of the structures in it that no table has shown yet."""
    shown.add(name)
    schema = schemas[name]
    lines = [schema["description"], ""] if "description" in schema else []
    lines += ["| field | must | value |", "|---|---|---|"]
    required = schema.get("required", [])
    inner: list[str] = []
    for field, value in schema["properties"].items():
        lines.append(f"| `{field}` | {'yes' if field in required else ''} | {_value(value, inner)} |")
    for other in inner:
        if other not in shown:
            lines += ["", f"**{other}**", "", *_fields(other, schemas, shown)]
    return lines


def _value(schema: dict[str, Any], inner: list[str]) -> str:
    """What a field may hold, in words; structures that it names are added to `inner`."""
    if "$ref" in schema:
        inner.append(schema["$ref"].rsplit("/", 1)[1])
        return inner[-1]
    if "anyOf" in schema:
        return " or ".join(_value(one, inner) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(one)}`" for one in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "prefixItems" in schema:
        return "[" + ", ".join(_value(one, inner) for one in schema["prefixItems"]) + "]"
    kind = str(schema.get("type", "any"))
    if kind == "array":
        most = f" (at most {schema['maxItems']})" if "maxItems" in schema else ""
        return f"list of {_value(schema.get('items', {}), inner)}{most}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_value(schema['additionalProperties'], inner)}"
    low, high = schema.get("minimum"), schema.get("maximum")
    limits = f" {low} to {high}" if low is not None and high is not None else ""
    length = f", at most {schema['maxLength']} characters" if "maxLength" in schema else ""
    pattern = f" `{schema['pattern']}`" if "pattern" in schema else ""
    return f"{kind}{limits}{length}{pattern}"


def rendered() -> dict[Path, str]:
    """Each generated file with its text."""
    return {
        DOCS / "asyncapi.json": json.dumps(document(), indent=2, ensure_ascii=False) + "\n",
        DOCS / "wire.md": page(),
    }


if __name__ == "__main__":
    sys.exit(generated.settle(rendered(), "gateway.asyncapi"))
