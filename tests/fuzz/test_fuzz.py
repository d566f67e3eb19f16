"""Every door with all that is in its corpus, and with a few hundred inputs that hypothesis spoils and shrinks."""

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutation import mutate
from tests.fuzz.target import CORPUS, Target
from tests.fuzz.targets import TARGETS

EXAMPLES = 200
THOUGHT_OF = [(target, name) for target in TARGETS.values() for name in target.corpus()]


@pytest.mark.parametrize(("target", "name"), THOUGHT_OF, ids=[f"{target.name}/{name}" for target, name in THOUGHT_OF])
def test_what_was_thought_of(target: Target, name: str):
    target.check(target.corpus()[name])


@pytest.mark.parametrize("name", TARGETS)
def test_some_of_what_it_begins_with_is_taken_and_some_refused(name: str):
    target = TARGETS[name]
    outcomes = {target.check(data) for data in target.seeds()}
    assert outcomes == {True, False}, "the target knows only one outcome: it cannot fail"


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_in(name: str):
    target = TARGETS[name]
    seeds, usable = target.seeds(), target.usable_seeds()

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(usable), st.randoms(use_true_random=False))
    def spoil(seed: bytes, rng: Random) -> None:
        target.check(mutate(seed, seeds, rng))

    spoil()


def test_each_folder_of_the_corpus_belongs_to_a_target():
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
