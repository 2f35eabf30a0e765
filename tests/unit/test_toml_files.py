"""The line of every key, and what is said of a value that does not fit its type."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta, Struct
from properties import examples

from gateway import protocols
from gateway.toml_files import document, places, shape
from gateway.toml_files.refusal import FileRefused, Misfit, key_of, shown

TRICKY = '''
# [not.a.table] x = 1
title = "a # no comment = 1 [x]"
'quoted key' = 'a "quoted" text'
dotted.inner.key = 3 # a comment = 2
long = """
[nor = this]
ends with two quotes """""
raw = \'\'\'
it's [raw]
\'\'\'
many = [ # a comment with ]
  1, "two, [2]",
  { deep = [ { deeper = 4 }, 5 ] }, # and one more }
]
empty = []
nothing = {}
date = 1979-05-27T07:32:00Z

[table.under]
key = 1

[[list]]
id = "first"

[[list]]
id = "second"
[list.table]
x = 1
[[list.inner]]
y = 2
[[list.inner]]
y = 3
'''


def leaves(value: Any, path: tuple = ()) -> list[tuple]:
    """The path of everything that is no table and no list."""
    if isinstance(value, dict):
        return [leaf for name, item in value.items() for leaf in leaves(item, (*path, name))]
    if isinstance(value, list):
        return [leaf for number, item in enumerate(value) for leaf in leaves(item, (*path, number))]
    return [path]


def test_every_value_of_a_tricky_text_has_its_line() -> None:
    """Comments, texts over lines, lists over lines, dotted keys, tables in lists."""
    found = places.lines(TRICKY)
    lines = TRICKY.splitlines()
    for path in leaves(tomllib.loads(TRICKY)):
        assert path in found, path
        name = next(step for step in reversed(path) if isinstance(step, str))
        shows = lines[found[path] - 1]
        assert name in shows or isinstance(path[-1], int), (path, shows)
    assert lines[found["list", 1, "inner", 1, "y"] - 1] == "y = 3"
    assert lines[found["list", 1] - 1] == "[[list]]"
    assert "deeper = 4" in lines[found["many", 2, "deep", 0, "deeper"] - 1]


@pytest.mark.parametrize("path", sorted(protocols.FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_value_of_our_protocols_has_its_line(path: Path) -> None:
    """The line shows the key and the value."""
    text = path.read_text(encoding="utf-8")
    found, lines = places.lines(text), text.splitlines()
    for leaf in leaves(tomllib.loads(text)):
        keys = [step for step in leaf if isinstance(step, str)]
        assert keys[-1] in lines[found[leaf] - 1]


WORDS = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=5)
TEXTS = st.text(st.sampled_from("ab \"'\\#=[]{},.\n"), max_size=8)


def written(value: Any) -> str:
    """As TOML within a line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {written(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",\n".join(map(written, value)) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    return "true" if value is True else "false" if value is False else str(value)


PLAIN = st.integers() | st.booleans() | TEXTS
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=8
)


@given(st.dictionaries(WORDS, VALUES, max_size=5))
@settings(max_examples=examples(150), deadline=None)
def test_any_text_is_walked_to_its_end(values: dict[str, Any]) -> None:
    """Whatever stands in it, every value has the line that its value stands on."""
    text = "\n".join(f"{name} = {written(value)}" for name, value in values.items())
    assert tomllib.loads(text) == values
    found = places.lines(text)
    lines = text.splitlines()
    for leaf in leaves(values):
        value: Any = values
        for step in leaf:
            value = value[step]
        assert written(value) in lines[found[leaf] - 1]


class Inner(Struct, forbid_unknown_fields=True):
    level: Literal["low", "high"]
    limit: Annotated[float, Meta(gt=0, le=10)] | None = None


class Outer(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(pattern="^[a-z]{1,4}$")]
    inner: tuple[Inner, ...] = ()
    count: Annotated[int, Meta(ge=1)] = 1


@pytest.mark.parametrize(
    ("value", "misfit"),
    [
        ({"name": "ab\n"}, Misfit(("name",), "'ab?'", "a text like ^[a-z]{1,4}$")),
        ({"name": "ab", "count": True}, Misfit(("count",), "true", "a whole number from 1")),
        ({"name": "ab", "count": 1.0}, Misfit(("count",), "1", "a whole number from 1")),
        ({"name": "ab", "count": 0}, Misfit(("count",), "0", "a whole number from 1")),
        ({"name": "ab", "cuont": 0}, Misfit(("cuont",), "a key that is not known",
                                            "name, inner, count (did you mean count?)")),
        ({}, Misfit(("name",), "nothing", "a text like ^[a-z]{1,4}$; it must be given")),
        ({"name": "ab", "inner": [{"level": "lo"}]}, Misfit(("inner", 0, "level"), "'lo'",
                                                             "one of high, low (did you mean low?)")),
        ({"name": "ab", "inner": {"level": "low"}}, Misfit(("inner",), "a table", "a list: a table of level, limit")),
        ({"name": "ab", "inner": [{"level": "low", "limit": float("nan")}]},
         Misfit(("inner", 0, "limit"), "nan", "a number over 0 to 10")),
        ({"name": "ab", "inner": [{"level": "low", "limit": 10**400}]},
         Misfit(("inner", 0, "limit"), "a number of more than 20 digits", "a number over 0 to 10")),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_told_with_what_would(value: dict[str, Any], misfit: Misfit) -> None:
    """In words that are made from the type."""
    assert shape.misfits(value, Outer) == [misfit]


def test_what_fits_has_no_misfit() -> None:
    """Defaults may be left out; a whole number is a number."""
    assert shape.misfits({"name": "ab", "inner": [{"level": "low", "limit": 3}, {"level": "high"}]}, Outer) == []


def test_an_entry_is_named_as_people_name_it() -> None:
    """By its id or level where it has one, else by its place, counted from 1."""
    raw = {"rules": [{"id": "spo2_low", "tiers": [{"level": "high"}, {}]}, {}]}
    assert key_of(("rules", 0, "tiers", 0, "below"), raw) == "rules.spo2_low.high.below"
    assert key_of(("rules", 0, "tiers", 1), raw) == "rules.spo2_low.tiers[2]"
    assert key_of(("rules", 1, "id"), raw) == "rules[2].id"


def test_a_value_is_shown_shortly_and_on_one_line() -> None:
    """Whatever somebody pasted into the file."""
    assert shown("a\x1b[31m\nb") == "'a?[31m?b'"
    assert len(shown("x" * 10_000)) == len(shown(["x" * 50] * 100)) == 60
    assert shown([1, True, {"password": "secret"}]) == "[1, true, a table]"


def test_a_file_of_another_kind_is_told_by_its_line(tmp_path: Path) -> None:
    """What stands there, without what may be a secret."""
    path = tmp_path / "x.toml"
    path.write_text('a = 1\npassword = "hunter2\n')
    with pytest.raises(FileRefused, match=r"x\.toml:2: found what is not TOML: .*password =\*\*\*"):
        document.read(path)
    path.write_bytes(b"a = 1\nb = '\xe9'\n")
    with pytest.raises(FileRefused, match=r"x\.toml:2: found the byte 0xe9; allowed: a file of TOML in UTF-8"):
        document.read(path)
