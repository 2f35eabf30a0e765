"""The documentation is true as far as a machine can see: links lead somewhere, commands are ones that exist."""

import importlib.util
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import msgspec
import pytest
import typer
from markdown_it import MarkdownIt
from markdown_it.token import Token
from typer.core import TyperCommand, TyperGroup
from typer.testing import CliRunner

from gateway.cli import app
from gateway.config import Config

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SHELLS = {"sh", "bash", "shell"}
Command = TyperCommand | TyperGroup
ASSIGNMENT = re.compile(r"^[A-Z_]+=\S*$")


def tokens(page: Path) -> Iterator[Token]:
    """All tokens of a page, those inside paragraphs and tables too."""
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        yield token
        yield from token.children or []


def links(page: Path) -> list[str]:
    found = [token.attrGet("href") or token.attrGet("src") for token in tokens(page)]
    return [str(link) for link in found if link]


def commands(page: Path) -> list[str]:
    """Each command of each shell block, without comments, one by one where `&&` joins them."""
    blocks = [token.content for token in tokens(page) if token.type == "fence" and token.info.strip() in SHELLS]
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [part.strip() for line in lines if line for part in line.split("&&")]


def everywhere(what: str) -> list[object]:
    found = {"commands": commands, "links": links}[what]
    return [
        pytest.param(page, thing, id=f"{page.relative_to(ROOT)}: {thing[:50]}")
        for page in PAGES
        for thing in found(page)
    ]


def walk(command: Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Command]]:
    """Every command below `command` with the words that lead to it."""
    if isinstance(command, TyperGroup):
        for name, child in command.commands.items():
            yield from walk(child, (*words, name))
    else:
        yield words, command


CHAIRSIDE = typer.main.get_command(app)
COMMANDS = dict(walk(CHAIRSIDE))


def parse(arguments: list[str]) -> None:
    """Fails if `chairside` with these arguments would be refused before it begins."""
    command: Command = CHAIRSIDE
    while isinstance(command, TyperGroup) and arguments and not arguments[0].startswith("-"):
        assert arguments[0] in command.commands, f"chairside has no command {arguments[0]!r}"
        command, arguments = command.commands[arguments[0]], arguments[1:]
    if "--help" not in arguments:
        command.make_context("chairside", list(arguments))


def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.MULTILINE))


@pytest.mark.parametrize(("page", "link"), everywhere("links"))
def test_a_link_leads_to_a_file_of_the_repository(page: Path, link: str) -> None:
    """Every link that is not to the web, and every picture, is there."""
    if re.match(r"^(https?|mailto):", link):
        return
    file, _, _ = link.partition("#")
    path = (page.parent / unquote(file)).resolve() if file else page
    assert path.exists(), f"{page.name} links to {link}"
    assert path.is_relative_to(ROOT), f"{page.name} links out of the repository: {link}"


@pytest.mark.parametrize(("page", "command"), everywhere("commands"))
def test_a_command_of_the_documentation_exists_with_its_options(page: Path, command: str) -> None:
    """What a reader types is a target of the Makefile, an option of ours, or a file that is there."""
    words = shlex.split(command)
    while ASSIGNMENT.match(words[0]):
        words.pop(0)
    match words:
        case ["make", *rest]:
            asked = [word for word in rest if "=" not in word]
            assert set(asked) <= targets()
            subprocess.run(["make", "--dry-run", *rest], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        case [".venv/bin/chairside", *rest]:
            parse(rest)
        case [".venv/bin/python", "-m", "pytest", path, *_]:
            assert (ROOT / path).exists()
        case [".venv/bin/python", "-m", module, *_]:
            assert importlib.util.find_spec(module), module
        case _:
            pytest.fail(f"{page.name}: nothing checks {command!r}; mark the block as `console` if it is not ours")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_has_help_with_an_example_that_works(words: tuple[str, ...]) -> None:
    """`--help` shows one line to copy, and that line is not refused."""
    text = COMMANDS[words].help or ""
    example = re.search(r"Example: +(chairside .+)", text)
    assert example, f"chairside {' '.join(words)}: no example in {text!r}"
    line = re.sub(r"^chairside ", "", example[1].strip())
    assert tuple(shlex.split(line)[: len(words)]) == words
    parse(shlex.split(line))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_is_documented(words: tuple[str, ...]) -> None:
    """A command that no page names does not exist for a reader."""
    page = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    assert f"`chairside {' '.join(words)}`" in page


def test_the_documented_commands_exist() -> None:
    """A command that was renamed does not stay in the reference."""
    page = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    documented = {tuple(words.split()) for words in re.findall(r"^\| `chairside ([a-z -]+)`", page, re.MULTILINE)}
    assert documented == set(COMMANDS)


def test_the_numbers_of_the_calibration_page_make_a_calibration(tmp_path: Path) -> None:
    """Who copies the two tables of the page gets a calibration, not a refusal."""
    page = ROOT / "docs" / "how-to" / "calibrate-a-board.md"
    saturation, pressure = (token.content for token in tokens(page) if token.info == "csv")
    (tmp_path / "oximeter.csv").write_text(saturation)
    (tmp_path / "manometer.csv").write_text(pressure)
    files = ["--spo2", tmp_path / "oximeter.csv", "--pressure", tmp_path / "manometer.csv"]
    words = ["bench", "calibrate", "cb-7f3a21", *files, "--out", tmp_path / "calibration.json"]
    answer = CliRunner().invoke(app, [str(word) for word in words])
    assert answer.exit_code == 0, answer.output
    made = json.loads((tmp_path / "calibration.json").read_text())
    assert made["device"] == "cb-7f3a21"
    assert {"spo2", "pressure"} <= set(made)


def test_every_setting_is_documented() -> None:
    """Each key of the configuration file stands in its reference."""
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    for field in msgspec.inspect.type_info(Config).fields:  # type: ignore[attr-defined]
        kinds = field.type.types if isinstance(field.type, msgspec.inspect.UnionType) else (field.type,)
        for kind in kinds:
            inner = getattr(kind, "fields", ())
            for key in [f"{field.name}.{one.name}" for one in inner] or [field.name]:
                assert f"`{key}`" in page, key


def test_the_help_of_make_names_what_a_reader_needs() -> None:
    """`make` alone prints the targets with what they do."""
    help_ = subprocess.run(["make"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for target in ("setup", "demo", "check", "test", "test-long", "format", "clean"):
        assert re.search(rf"make {target} +\S", help_), help_


def test_the_first_limit_a_reader_meets_is_that_this_is_no_medical_device() -> None:
    """README and the page of limitations say it before anything else that could be taken for a promise."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert 0 < readme.find("Not a certified medical device") < readme.find("## Try it")
    limits = (ROOT / "docs" / "explanation" / "limitations.md").read_text(encoding="utf-8")
    assert "not a certified medical device" in limits.split("\n2. ")[0]
