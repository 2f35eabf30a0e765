"""The page about the firmware names every task, every fault and every reason that the firmware has."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from gateway import wire
from hardware import reference

PAGE = reference.PAGE.read_text("utf-8")
CHAIR = reference.FIRMWARE / "chair"
WORD = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# Where a word that is returned is a reason: why there is no measurement, or why a command is refused.
REASONS = ("supervisor", "cuff", "oscillometry", "hold", "commands")
NO_REASONS = {"right"}  # how a cuff empties that has nothing wrong


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def words(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and WORD.fullmatch(inner.value):
            yield inner.value


def faults() -> set[str]:
    """Words that are added to a set called faults, by a part or by the status."""
    found = set()
    for path in CHAIR.glob("*.py"):
        for node in ast.walk(tree(path)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("add", "append")
            ):
                owner = ast.unparse(node.func.value)
                if owner.endswith("faults"):
                    found |= {word for argument in node.args for word in words(argument)}
    return found


def reasons() -> dict[str, str]:
    """Words that are returned or handed over as the reason of an end, with their file."""
    found = {}
    for name in REASONS:
        for node in ast.walk(tree(CHAIR / f"{name}.py")):
            said: list[ast.AST] = []
            if isinstance(node, ast.Return) and node.value is not None:
                said = [node.value] if not isinstance(node.value, ast.Dict) else list(node.value.values)
            elif isinstance(node, ast.Call) and ast.unparse(node.func).rsplit(".", 1)[-1] in (
                "_fail",
                "_end",
                "_break_down",
            ):
                said = list(node.args)
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith("['reason']"):
                said = [node.value]
            for part in said:
                for inner in [part] if isinstance(part, ast.Constant) else _branches(part):
                    if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and WORD.fullmatch(inner.value):
                        found[inner.value] = name
    return found


def refusals() -> set[str]:
    """Why a step of an update is refused: the first word of each."""
    found = set()
    for name in ("update", "manifest"):
        for node in ast.walk(tree(CHAIR / f"{name}.py")):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Refused"):
                found |= {
                    str(inner.value).split()[0]
                    for inner in ast.walk(node)
                    if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
                }
    return found


def _branches(node: ast.AST) -> list[ast.AST]:
    """What an expression may turn out to be."""
    if isinstance(node, ast.IfExp):
        return [leaf for side in (node.body, node.orelse) for leaf in _branches(side)]
    if isinstance(node, ast.BoolOp):
        return [leaf for value in node.values for leaf in _branches(value)]
    return [node]


def test_the_tables_from_the_sources_are_current() -> None:
    """Pins and limits are those of today's files."""
    assert reference.render(PAGE) == PAGE


def test_every_task_stands_with_its_period() -> None:
    """Each that the program starts, by the part that runs it."""
    run = next(
        node
        for node in ast.walk(tree(CHAIR / "app.py"))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "parts"
    )
    started = [ast.unparse(node.func).replace("self._", "") for node in run.value.elts if isinstance(node, ast.Call)]  # type: ignore[attr-defined]
    assert len(started) >= 7
    for name in started:
        assert f"`{name}`" in section("Tasks"), name


def test_every_fault_stands_with_what_the_board_does() -> None:
    """Those of the status and of fault events."""
    found = faults()
    assert {"oximeter", "pressure_adc"} <= found
    for name in found - {"cuff_"}:
        assert f"`{name}`" in section("Faults"), name


@pytest.mark.parametrize("quality", get_args(wire.Quality))
def test_every_quality_stands(quality: str) -> None:
    """Why there is no saturation."""
    assert f"`{quality}`" in section("Why there is no saturation")


def test_every_reason_stands() -> None:
    """Why a measurement failed, a command was refused, or an update was not taken."""
    for name, file in reasons().items():
        assert name in NO_REASONS or f"`{name}`" in PAGE, f"{name} of chair/{file}.py"
    assert len(refusals()) > 5
    for name in refusals():
        assert f"`{name}`" in section("Why a command is refused"), name
