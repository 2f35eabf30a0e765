"""`chairside check-config`: what a clinic approves, what it changed, and everything that is wrong."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from gateway import protocol_picture, protocols
from gateway.cli import app
from gateway.core.protocol import content_hash
from gateway.protocol_files import ranges, words

EXAMPLE = (Path(__file__).parents[2] / "gateway" / "gateway.example.toml").read_text(encoding="utf-8")
CLINIC = """
[rules.spo2_low]
medium = { below = 92, delay_s = 15 }

[only.esketamine.cuff]
dosing_s = 900

[end]
of = "clinic"
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A configuration with a clinic's own values beside it."""
    text = EXAMPLE.replace("[protocols]", '[protocols]\nlimits = "clinic.toml"')
    (tmp_path / "gateway.toml").write_text(text, encoding="utf-8")
    (tmp_path / "clinic.toml").write_text(CLINIC, encoding="utf-8")
    return tmp_path / "gateway.toml"


def run(*arguments: object) -> tuple[int, str, str]:
    """Exit code, what was said, and what was complained about."""
    answer = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["check-config", *map(str, arguments)])
    return answer.exit_code, answer.stdout, answer.stderr


def test_what_the_clinic_changed_is_marked_with_what_it_was(site: Path) -> None:
    """Whoever approves the table sees at a glance what is not the protocol's own."""
    code, said, _ = run("--config", site, "--protocol", "esketamine")
    assert code == 0
    flat = " ".join(said.replace("│", " ").split())
    for expected in (
        "3 values are the clinic's own",
        "below 92 %",
        "(was below 90 %",
        "every 15 min (was every 10 min)",
    ):
        assert expected in flat


def test_every_protocol_is_shown_with_its_hash(site: Path) -> None:
    """The one offered first in front; each with the hash that its sessions carry."""
    code, said, _ = run("--config", site)
    assert code == 0
    loaded = protocols.load_all(limits=site.with_name("clinic.toml"))
    assert sorted(loaded, key=said.index)[0] == "demo"
    for protocol in loaded.values():
        assert said.count(content_hash(protocol)) == 2
        for criterion in protocol.criteria:
            assert criterion.label in said


def test_programs_get_the_same(site: Path) -> None:
    """One document: what is in effect, and what was changed."""
    code, said, _ = run("--config", site, "--json")
    assert code == 0
    told = json.loads(said)["protocols"]
    assert set(told) == set(protocols.load_all())
    changed = {change["key"]: (change["was"], change["is"]) for change in told["esketamine"]["changed"]}
    assert changed == {
        "rules.spo2_low.medium.below": (90, 92),
        "rules.spo2_low.medium.delay_s": (10, 15),
        "cuff.dosing_s": (600, 900),
    }
    assert "cuff.dosing_s" not in {change["key"] for change in told["iv-ketamine"]["changed"]}
    limits = site.with_name("clinic.toml")
    assert told["demo"]["hash"] == content_hash(protocols.load_all(limits=limits)["demo"])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("spo2_low", "spo2_lo", "clinic.toml:2: rules.spo2_lo: found a name that is not there; allowed: spo2_low"),
        ("esketamine", "ketamine", "clinic.toml:5: only.ketamine: found a protocol that is not there; allowed: demo"),
        ("below = 92", "below = 98", "clinic.toml:3: rules.spo2_low.medium.below: found 98, which 97 crosses"),
        ("[only.", "[live_s]\n[only.", "clinic.toml:5: live_s: found a table; allowed: a number over 0 to 10"),
        ("[only.", "[rule]\n[only.", "clinic.toml:5: rule: found a key that is not known"),
        ("dosing_s = 900", "dosing_s = 5", "clinic.toml:6: cuff.dosing_s: found 5; allowed: 0 for none, or at least"),
        ('of = "clinic"', 'of = "clini"', "clinic.toml:8: end: found 'clini'; allowed: [end] of = \"clinic\""),
        ("medium =", "kind = 'technical'\nmedium =", "clinic.toml:3: rules.spo2_low.kind: found 'technical'"),
    ],
)
def test_what_a_clinic_cannot_change_is_told_with_its_line(site: Path, old: str, new: str, says: str) -> None:
    """A misspelt name is an error, not a limit that stays as it was."""
    site.with_name("clinic.toml").write_text(CLINIC.replace(old, new, 1), encoding="utf-8")
    code, said, complaints = run("--config", site)
    assert (code, said) == (2, "")
    assert says in complaints


def test_everything_that_is_wrong_is_told_at_once(site: Path) -> None:
    """In every file, each in one line."""
    site.write_text(site.read_text().replace('name = "clinic"', "name = 3").replace("port = 8080", "port = 0"))
    code, _, complaints = run("--config", site)
    assert code == 2
    lines = complaints.splitlines()
    assert [line.split(": ")[2] for line in lines] == ["site.name", "web.port"]
    assert all(line.startswith(f"chairside: {site}:") and "; allowed: " in line for line in lines)


def test_a_protocol_that_is_not_there_is_told_with_the_one_that_was_meant(site: Path) -> None:
    """So is a default."""
    code, _, complaints = run("--config", site, "--protocol", "esketamin")
    assert code == 2
    assert "--protocol: found 'esketamin'; allowed: demo" in complaints
    assert "did you mean esketamine?" in complaints
    site.write_text(site.read_text().replace('default = "demo"', 'default = "dem"'))
    assert "protocols.default: found 'dem'" in run("--config", site)[2]


def test_a_picture_goes_into_its_file(site: Path) -> None:
    """A folder that is not there is said in one sentence."""
    picture = site.with_name("esketamine.svg")
    code, _, _ = run("--config", site, "--protocol", "esketamine", "--svg", picture)
    assert code == 0
    assert "from 180 mmHg" in picture.read_text(encoding="utf-8")
    code, _, complaints = run("--config", site, "--svg", site.parent / "none" / "x.svg")
    assert code == 2
    assert "--svg: " in complaints


@pytest.mark.parametrize("protocol", protocols.load_all().values(), ids=lambda one: one.id)
class TestThePicture:
    """What a person approves must all be in it."""

    def test_every_limit_question_and_criterion_is_in_it(self, protocol: protocols.Protocol) -> None:
        """In words, not only in colour."""
        root = ElementTree.fromstring(protocol_picture.draw(protocol))
        said = [element.text or "" for element in root.iter() if element.tag.endswith("text")]
        for rule in protocol.rules:
            for level, limit in words.levels(rule).items():
                if rule.measure in ranges.ORDINARY:
                    assert any(text.startswith(f"{words.MARKS[level]} {limit}") for text in said)
            assert rule.measure in ranges.ORDINARY or any(text.startswith(rule.reason) for text in said)
        for label in [one.label for one in (*protocol.criteria, *protocol.observations)]:
            assert label in said
        assert any(content_hash(protocol) in text for text in said)

    def test_nothing_is_drawn_outside(self, protocol: protocols.Protocol) -> None:
        """Boxes lie within the sheet and have a size."""
        root = ElementTree.fromstring(protocol_picture.draw(protocol))
        wide, high = float(root.attrib["width"]), float(root.attrib["height"])
        for box in (element for element in root.iter() if element.tag.endswith("rect")):
            x, y = float(box.get("x", 0)), float(box.get("y", 0))
            width, height = float(box.attrib["width"]), float(box.attrib["height"])
            assert width >= 0
            assert height >= 0
            assert 0 <= x <= x + width <= wide + 0.1
            assert 0 <= y <= y + height <= high + 0.1
