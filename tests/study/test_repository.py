import hashlib
import subprocess

import pytest

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.study.repository import experiments, git, read_committed, read_outputs

LOCK = """
schema: '2.0'
stages:
  prepare:
    cmd: p
    deps: [{path: data/sources/mine, hash: md5, md5: d.dir}]
    params: {params.yaml: {dataset: mine}}
  subsample: {cmd: s, deps: [], params: {params.yaml: {samples: 1000, seed: 7}}}
  train:
    cmd: t
    deps: []
    params: {params.yaml: {method: lora, model: minilm, train.lora: {learning_rate: 0.0005}}}
    outs: [{path: data/model, hash: md5, md5: ab12cd, size: 30}]
  evaluate: {cmd: e, deps: [], outs: [{path: data/predictions, hash: md5, md5: cd34ef.dir, size: 12}]}
"""


def commit(folder, text, message="a commit"):
    (folder / "dvc.lock").write_text(text)
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=n", "-c", "user.email=e@x.y", "commit", "-qm", message)
    return git(folder, "rev-parse", "HEAD").strip()


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "-q")
    return tmp_path


def test_experiments_of_every_baseline_are_found_by_their_refs_and_so_is_the_commit_at_hand(repository):
    first = commit(repository, LOCK)
    second = commit(repository, LOCK.replace("1000", "8000"))
    git(repository, "update-ref", f"refs/exps/{first[:2]}/{first[2:]}/n1000", first)
    git(repository, "update-ref", f"refs/exps/{second[:2]}/{second[2:]}/n8000", second)
    git(repository, "update-ref", "refs/exps/stash", first)
    git(repository, "update-ref", "refs/exps/apply/stash", first)

    found = {made.name: made for made in experiments(repository)}

    assert set(found) == {"HEAD", "n1000", "n8000"}
    assert found["n1000"].baseline == first
    assert found["n8000"].params()["samples"] == 8000
    assert found["HEAD"].identity == found["n8000"].identity != found["n1000"].identity
    assert found["n1000"].output_bytes() == 42


def with_metrics(repository, text, recorded=None):
    """The lock of an experiment whose scores read so; `recorded`: what its stages wrote instead."""
    (repository / "metrics").mkdir(exist_ok=True)
    (repository / paths.SCORES).write_text(text)
    digest = hashlib.md5((text if recorded is None else recorded).encode()).hexdigest()
    return LOCK.replace(
        "outs: [{path: data/pred", f"outs: [{{path: metrics/scores.json, md5: {digest}}}, {{path: data/pred"
    )


def test_metrics_are_read_where_their_bytes_are_those_that_the_lock_records(repository):
    commit(repository, with_metrics(repository, '{"scoring_version": 1}'))

    (made,) = experiments(repository)

    assert made.altered == []
    assert made.metrics[paths.SCORES] == {"scoring_version": 1}
    assert made.identity.versions == {"scoring": 1}


@pytest.mark.parametrize("text", ['{"scoring_version": 2}', '{"scoring_version": 1} ', '{"scoring_version": ', ""])
def test_metrics_that_are_not_what_the_stages_wrote_are_named_and_not_read(repository, text):
    commit(repository, with_metrics(repository, text, recorded='{"scoring_version": 1}'))

    (made,) = experiments(repository)

    assert made.altered == [paths.SCORES]
    assert made.metrics[paths.SCORES] == {}
    assert made.identity.versions == {}


def test_metrics_that_the_lock_does_not_know_are_none_of_this_experiment(repository):
    with_metrics(repository, "{}")
    commit(repository, LOCK)

    assert experiments(repository)[0].altered == [paths.SCORES]


@pytest.mark.parametrize("lock", ["", "stages: {}", LOCK.replace("evaluate", "other")])
def test_a_commit_without_a_finished_experiment_is_none(repository, lock):
    commit(repository, lock)

    assert experiments(repository) == []


def test_committed_files_are_read_in_one_go_and_what_is_missing_reads_as_empty(repository):
    (repository / "a.txt").write_text("ä\n\nb")
    (repository / "empty.txt").write_text("")
    head = commit(repository, LOCK)

    names = ["a.txt", "none.txt", "empty.txt", "dvc.lock"]

    assert read_committed(repository, [f"{head}:{name}" for name in names]) == ["ä\n\nb", "", "", LOCK]
    assert read_committed(repository, []) == []


def test_outputs_that_the_cache_no_longer_holds_are_none(repository):
    subprocess.run(["dvc", "init", "-q"], cwd=repository, check=True, capture_output=True)
    (repository / "dvc.yaml").write_text("stages:\n  evaluate: {cmd: e, outs: [data/predictions]}\n")
    head = commit(repository, LOCK)

    assert read_outputs(repository, head, [paths.TEST_PREDICTIONS]) is None


@pytest.mark.parametrize("broken", ["<<<<<<< HEAD\n" + LOCK, LOCK[:-60] + '"', "- a list\n", "stages: []\n"])
def test_a_committed_lock_that_cannot_be_read_is_one_line(repository, broken):
    commit(repository, broken)

    with pytest.raises(StudyError, match=r"^dvc.lock of HEAD can't be read: `rm dvc.lock && dvc repro`") as refused:
        experiments(repository)
    assert "\n" not in str(refused.value)


def test_a_git_command_that_fails_says_why_in_one_line(repository):
    with pytest.raises(
        StudyError, match=r"^git rev-parse failed, and a study needs a Git repository: .*nowhere"
    ) as refused:
        git(repository, "rev-parse", "nowhere")

    assert "\n" not in str(refused.value)
