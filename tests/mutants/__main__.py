"""Breaks the product at one place after the other, and sees that a test turns red: `make mutants`.

    python -m tests.mutants [WORD ...]

Only those in whose line all the words occur, without any: all. Exit code 1 when a break survives its test.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest

from tests.mutants import ROWS
from tests.mutants.mutant import Mutant
from tests.mutants.tree import Tree

WORKERS = 2
RED = "red"


def main(words: Sequence[str]) -> int:
    chosen = list(chosen_by(words))
    if not chosen:
        print("no mutant has all these words in its line")
        return 2
    with tempfile.TemporaryDirectory(prefix="mutants") as folder, ThreadPoolExecutor(WORKERS) as pool:
        trees = [Tree(Path(folder) / str(number)) for number in range(WORKERS)]
        if not all(tree.is_its_own for tree in trees):
            print(f"the copies are not what is imported, but {trees[0].imported()}: nothing is tried")
            return 2
        nodes = sorted({mutant.node for _, mutant in chosen})
        parts = [nodes[number::WORKERS] for number in range(WORKERS)]
        for code, said in pool.map(lambda tree, part: tree.run(part) if part else (0, ""), trees, parts):
            if code != pytest.ExitCode.OK:
                print(f"{said}\na test fails without any mutant, so nothing is tried")
                return 1
        free: SimpleQueue[Tree] = SimpleQueue()
        for tree in trees:
            free.put(tree)
        unnoticed = 0
        for row, verdict in zip(chosen, pool.map(lambda row: tried(row[1], free), chosen), strict=True):
            print(f"{line(row)} | {verdict}", flush=True)
            unnoticed += verdict != RED
    print(f"{len(chosen)} mutants, {unnoticed} not noticed")
    return 1 if unnoticed else 0


def chosen_by(words: Sequence[str]) -> Iterator[tuple[str, Mutant]]:
    for invariant, mutants in ROWS.items():
        for mutant in mutants:
            if all(word.lower() in line((invariant, mutant)).lower() for word in words):
                yield invariant, mutant


def tried(mutant: Mutant, free: SimpleQueue[Tree]) -> str:
    tree = free.get()
    try:
        code, said = tree.run_broken(mutant)
    except ValueError as err:
        return str(err)
    finally:
        free.put(tree)
    if code == pytest.ExitCode.TESTS_FAILED:
        return RED
    return "GREEN: survived" if code == pytest.ExitCode.OK else f"no verdict, pytest ended with {code}:\n{said}"


def line(row: tuple[str, Mutant]) -> str:
    invariant, mutant = row
    return f"{invariant} | {mutant.name} | {mutant.node}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
