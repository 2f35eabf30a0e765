"""The documents of the wire contract are fresh, whole, and say what the gateway's decoder does."""

import json
from typing import Any

import jsonschema
import msgspec
import pytest

from gateway import asyncapi, wire

DOCUMENT = json.loads((asyncapi.DOCS / "asyncapi.json").read_text(encoding="utf-8"))


def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return jsonschema.Draft202012Validator(schema)


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        here = [node["$ref"]] if "$ref" in node else []
        return here + [found for value in node.values() for found in references(value)]
    return [found for value in node for found in references(value)] if isinstance(node, list) else []


def test_the_committed_documents_are_what_the_types_say() -> None:
    """A change of `gateway/wire.py` without new documents is found."""
    for path, text in asyncapi.rendered().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run python -m gateway.asyncapi"


def test_every_reference_leads_somewhere() -> None:
    """A tool that follows the document's references never ends in nothing."""
    found = references(DOCUMENT)
    assert found
    for reference in found:
        node = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            assert part in node, reference
            node = node[part]


def test_every_message_of_the_contract_has_a_topic_and_an_example() -> None:
    """A message type that is added to the contract cannot be forgotten here."""
    families = wire.Message, wire.GatewayMessage, wire.Record
    every = {
        thing
        for thing in vars(wire).values()
        if isinstance(thing, type) and issubclass(thing, wire.Message) and thing not in families
    }
    assert {channel.message for channel in asyncapi.CHANNELS} == every
    assert {type(example) for example in asyncapi.EXAMPLES} == every


@pytest.mark.parametrize("example", asyncapi.EXAMPLES, ids=lambda example: type(example).__name__)
def test_an_example_is_taken_by_the_schema_and_by_the_decoder(example: wire.Message) -> None:
    """What the document shows can be sent as it stands."""
    payload = wire.encode(example)
    validator(type(example).__name__).validate(json.loads(payload))
    assert wire.decode(payload, type(example), wire.STATE_BYTES_MAX) == example


@pytest.mark.parametrize("example", asyncapi.EXAMPLES, ids=lambda example: type(example).__name__)
def test_schema_and_decoder_refuse_the_same(example: wire.Message) -> None:
    """Without any one required field, or with another version, neither takes the message."""
    name = type(example).__name__
    sound = msgspec.to_builtins(example)
    wrong = [{**sound, "v": 2}, {**sound, "v": "1"}]
    required = DOCUMENT["components"]["schemas"][name]["required"]
    wrong += [{key: value for key, value in sound.items() if key != field} for field in required]
    for message in wrong:
        assert not validator(name).is_valid(message), message
        with pytest.raises(wire.Refused):
            wire.decode(json.dumps(message).encode(), type(example), wire.STATE_BYTES_MAX)
