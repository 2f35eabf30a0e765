"""The simulator must not know how the firmware computes: it would agree with any mistake."""

import ast
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CURVE_NUMBERS = {1.5958, 34.66, 112.69, 45.06, 30.354, 94.845, 110.0, 25.0}
RATIO_RANGE = ((0.44, 0.74), (0.51, 0.85))


def simulator_modules() -> list[Path]:
    return sorted((ROOT / "simulators").rglob("*.py"))


def numbers(tree: ast.AST) -> set[float]:
    """Every numeric constant, its sign apart."""
    return {
        float(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and type(node.value) in (int, float)
    }


def assigned(tree: ast.Module, names: set[str]) -> set[float]:
    """Numbers inside the module-level assignments to these names; all names must exist."""
    found: set[float] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in names:
            names = names - {node.targets[0].id}
            found |= numbers(node.value)
    assert not names, f"the firmware has no {names}: this test must follow its names"
    return found


def firmware_secrets() -> set[float]:
    chair = ROOT / "firmware" / "chair"
    oximetry = ast.parse((chair / "oximetry.py").read_text())
    oscillometry = ast.parse((chair / "oscillometry.py").read_text())
    return assigned(oximetry, {"_CURVE", "_RATIO_RANGE"}) | assigned(oscillometry, {"RATIOS"})


def test_no_simulator_module_imports_firmware() -> None:
    """No module imports the firmware's packages, not even by a path."""
    for path in simulator_modules():
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                assert name.split(".")[0] not in ("chair", "drivers", "firmware"), f"{path} imports {name}"


def test_no_simulator_module_repeats_the_saturation_curve() -> None:
    """Neither the firmware's coefficients nor a published curve's stand in the simulator."""
    # Numbers so plain that they say nothing: a half, three quarters or 1 may stand anywhere; pairs are looked for
    # below.
    secrets = {number for number in firmware_secrets() if number not in (0.5, 0.75, 1.0)}
    secrets |= CURVE_NUMBERS - {110.0, 25.0}
    for path in simulator_modules():
        shared = numbers(ast.parse(path.read_text())) & secrets
        assert not shared, f"{path} repeats {shared} of the firmware"


def test_no_simulator_module_holds_a_pair_of_envelope_ratios() -> None:
    """No list, tuple or pair of neighbouring constants looks like systolic and diastolic ratios."""
    (sys_low, sys_high), (dia_low, dia_high) = RATIO_RANGE
    for path in simulator_modules():
        if "world" not in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Tuple | ast.List) or len(node.elts) != 2:
                continue
            values = [e.value for e in node.elts if isinstance(e, ast.Constant) and isinstance(e.value, float)]
            for first, second in pairwise(values):
                assert not (sys_low <= first <= sys_high and dia_low <= second <= dia_high), f"{path}: {values}"
