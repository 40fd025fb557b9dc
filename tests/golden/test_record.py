"""Each numerical version computes what it computed when it was declared."""

import json
import subprocess

import grimp
import numpy as np
import pytest

from stages.foundation import versions
from tests.corpus.real_sst2 import needs_sst2
from tests.golden.record import RECORDS, computed, records

# Exactness is for what is counted or drawn (fresh weights: on any processor with AVX2; PyTorch draws normal numbers in
# another way without). Losses and logits after 40 AdamW steps carry the rounding of another processor's order of sums:
# between SSE4, AVX2 and AVX-512, one thread and two, 6e-7 at most was seen on losses and 2e-6 on logits. A learning
# rate that is off by 1 % shows as 1e-3 and more on the losses of every method and architecture, 2e-3 on the logits.
LOSS_TOLERANCE = 1e-5  # nats
LOGIT_TOLERANCE = 5e-5
TEMPERATURE_TOLERANCE = 1e-4  # the search ends within 1e-6 of its logarithm, which is 2e-5 of the highest, 20
TOLERANCES = {
    "training loss": LOSS_TOLERANCE,
    "validation loss": LOSS_TOLERANCE,
    "logits": LOGIT_TOLERANCE,
    "temperature": TEMPERATURE_TOLERANCE,
}
SCORE_TOLERANCE = 1e-12
OF_SST2 = f"corpus-{versions.CORPUS}-sst2"  # reads what may lie beside the checkout
MEND = "numbers changed: raise the version of this room or method and append its record, or undo the change"

# Rooms that a version holds to what they compute. `foundation` and `hub` read and write for all of them, and the record
# is made through the pages; what else a page reaches must be listed here, or lie in one of these.
GUARDED = tuple(f"stages.{room}" for room in ("corpus", "engine", "methods", "scoring", "hub", "foundation"))
PAGES = ("stages.prepare", "stages.subsample", "stages.train", "stages.evaluate")
# What reads finished experiments into the study's record, and the modules beside those rooms that it may reach: these
# measure, which the records of texts and predictions hold; those say which cell it is and compute none of its numbers.
COLLECT = "stages.study.collect"
MEASURING = ("stages.study.gather", "stages.study.store")
NAMING = tuple(f"stages.study.{name}" for name in ("cells", "identity", "repository"))


def differing(recorded, made, *, tolerance=None, path=""):
    """Every place where two records differ, with both values."""
    if isinstance(recorded, dict) and isinstance(made, dict):
        for key in recorded.keys() | made.keys():
            inner = TOLERANCES.get(key, tolerance)
            yield from differing(recorded.get(key), made.get(key), tolerance=inner, path=f"{path}/{key}")
    elif tolerance is not None and recorded is not None and made is not None:
        off = np.abs(np.array(recorded) - np.array(made)).max()
        if not off <= tolerance:
            yield f"{path} is off by {off:.1e}"
    elif recorded != made:
        yield f"{path} was {recorded}, is {made}"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in records() if name != OF_SST2])
def test_a_version_computes_what_it_computed_when_it_was_declared(name):
    assert_computed_again(name)


@needs_sst2
@pytest.mark.slow
def test_the_rows_of_sst2_are_those_of_the_recorded_study():
    assert_computed_again(OF_SST2)


def assert_computed_again(name):
    file = RECORDS / f"{name}.json"
    assert file.exists(), f"{name} has no record: python -m tests.golden.record appends it"

    made = json.loads(json.dumps(computed(records()[name])))

    tolerance = SCORE_TOLERANCE if name.startswith("scoring") else None
    differences = list(differing(json.loads(file.read_text()), made, tolerance=tolerance))
    assert not differences, f"{MEND}\n" + "\n".join(differences[:20])


def test_records_are_appended_and_never_rewritten(repository):
    """What a version computed is a fact: Git knows of no change to it."""
    log = ["git", "log", "-m", "--diff-filter=MDR", "--format=%h %s", "--", str(RECORDS.relative_to(repository))]
    changed = subprocess.run(log, cwd=repository, capture_output=True, text=True, check=True)

    assert changed.stdout == ""
    now = ["git", "diff", "HEAD", "--name-only", "--diff-filter=MDR", "--", str(RECORDS.relative_to(repository))]
    assert subprocess.run(now, cwd=repository, capture_output=True, text=True, check=True).stdout == ""


@pytest.mark.parametrize(("page", "beside"), [*((page, PAGES) for page in PAGES), (COLLECT, (*MEASURING, *NAMING))])
def test_all_that_a_page_or_the_record_reaches_lies_in_a_guarded_room(page, beside):
    reached = {page, "stages", "stages.study", "stages.statistics"} | set(GUARDED) | set(beside)

    graph = grimp.build_graph("stages")
    for method in graph.find_children("stages.methods"):  # found as the room is imported
        graph.add_import(importer="stages.methods", imported=method)
    for module in graph.find_upstream_modules(page):
        guarded = any(module == room or module.startswith(f"{room}.") for room in GUARDED)
        assert guarded or module in reached, f"{page} computes with {module}, which no numerical version guards"


def test_a_difference_is_found_wherever_it_lies():
    recorded = {"a": {"training loss": [1.0, 2.0], "first": [1, 2]}, "b": "x"}

    assert list(differing(recorded, recorded)) == []
    near = {"a": {"training loss": [1.0, 2.0 + LOSS_TOLERANCE / 2], "first": [1, 2]}, "b": "x"}
    assert list(differing(recorded, near)) == []
    for other in (
        {"a": {"training loss": [1.0, 2.001], "first": [1, 2]}, "b": "x"},
        {"a": {"training loss": [1.0, float("nan")], "first": [1, 2]}, "b": "x"},
        {"a": {"training loss": [1.0, 2.0], "first": [2, 1]}, "b": "x"},
        {"a": {"training loss": [1.0, 2.0]}, "b": "x"},
        {"a": {"training loss": [1.0, 2.0], "first": [1, 2]}},
        {"a": {"training loss": [1.0, 2.0], "first": [1, 2]}, "b": "x", "c": 1},
    ):
        assert len(list(differing(recorded, other))) == 1
