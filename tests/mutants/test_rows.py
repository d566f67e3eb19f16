"""The list of mutants fits the code and the tests as they are now."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from itertools import chain

import pytest

from tests.mutants import ROWS
from tests.mutants.mutant import SOURCE, TESTS, Mutant
from tests.mutants.tree import ROOT

MUTANTS = list(chain.from_iterable(ROWS.values()))


@cache
def names_in(file: str) -> set[str]:
    body = ast.parse((ROOT / TESTS / file).read_text()).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_has_its_place_in_the_code_and_its_test(mutant: Mutant):
    source = (ROOT / SOURCE / mutant.file).read_text()
    assert ast.dump(ast.parse(mutant.broken(source))) != ast.dump(ast.parse(source)), "or it breaks nothing"
    assert mutant.test.partition("[")[0] in names_in(mutant.test_file)


def test_each_is_listed_once_and_every_invariant_has_one():
    assert all(ROWS.values())
    assert [n for n, count in Counter(mutant.name for mutant in MUTANTS).items() if count > 1] == []


def test_what_is_to_be_broken_must_occur_once():
    mutant = Mutant("a name", "a file", "a", "b", "a test file", "a test")
    assert mutant.broken("x = a") == "x = b"
    for source in ("x = y", "x = a + a"):
        with pytest.raises(ValueError, match="not once: adapt the mutant 'a name'"):
            mutant.broken(source)
