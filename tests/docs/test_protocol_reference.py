"""The reference of protocols, alarms and readiness is today's, and names all there is."""

import pytest

from gateway import protocol_reference, protocols
from gateway.protocol_files import ranges

PAGES = protocol_reference.pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_made_from_the_types_and_protocols_of_today(name: str) -> None:
    """Otherwise: `python -m gateway.protocol_reference`."""
    page = (protocol_reference.FOLDER / name).read_text("utf-8")
    assert protocol_reference.render(page, PAGES[name]) == page


def test_every_rule_question_and_criterion_is_on_its_page() -> None:
    """With the name that a clinic's own file uses."""
    for protocol in protocols.load_all().values():
        for rule in protocol.rules:
            assert f"`{rule.id}`" in PAGES["alarms.md"]["alarms"]
        for criterion in protocol.criteria:
            assert f"| `{criterion.id}` | {criterion.label} |" in PAGES["readiness.md"]["readiness"]
        for plan in protocol.observations:
            assert f"| {plan.label} | `{plan.item}` |" in PAGES["readiness.md"]["readiness"]
    assert all(f"`{action}`" in PAGES["protocols.md"]["actions"] for action in ranges.actions())


def test_a_page_without_a_place_for_a_table_is_told() -> None:
    """A table that nobody sees would look current."""
    with pytest.raises(ValueError, match="no place for alarms"):
        protocol_reference.render("# Alarms\n", PAGES["alarms.md"])


def test_the_picture_is_todays() -> None:
    """It is what people look at first."""
    picture = protocol_reference.protocol_picture.draw(protocols.load_all()["esketamine"])
    assert protocol_reference.PICTURE.read_text("utf-8") == picture
