import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from stages.foundation.errors import StudyError
from stages.foundation.files import read_json, write_json
from stages.foundation.split import write_split
from tests.benchmark.checkpoints import CheckpointCost
from tests.benchmark.checkpoints import line as checkpoint_line
from tests.benchmark.contestants import CONTESTANTS
from tests.benchmark.growth import StageCost, TrainCost, verdict
from tests.benchmark.growth import page as growth_page
from tests.benchmark.machine import Machine
from tests.benchmark.phrases import write_source
from tests.benchmark.prediction import OURS, PEER_OF_TFIDF, WAYS, Pace
from tests.benchmark.prediction import main as prediction
from tests.benchmark.prediction import page as prediction_page
from tests.benchmark.table import Measurement, Result, page, plain, spread, table
from tests.benchmark.task import Task, read_rows, read_settings
from tests.benchmark.throughput import main
from tests.benchmark.time_to_accuracy import (
    BASELINE,
    COLUMNS,
    GOALS,
    PIPELINE,
    TITLES,
    Bench,
    Run,
    of_other_models,
    rows_of,
)
from tests.benchmark.time_to_accuracy import main as time_to_accuracy
from tests.benchmark.worker import Worker
from tests.engine.conftest import opinions
from tests.faults.project import git
from tests.pages.workspace import write_params
from tests.tiny_models import save_tiny_bert

MACHINE = Machine(processor="Abacus", cores=2, threads=1, bf16_units=[], versions={"torch": "2.13.0"})


def measured(contestant, rates, *, precision="fp32", predict_rates=()):
    return Measurement(
        contestant=contestant,
        precision=precision,
        train_rates=list(rates),
        predict_rates=list(predict_rates),
        peak_memory_mib=1234.5,
    )


RESULT = Result(
    model="minilm",
    encoder_parameters=10_000_000,
    mean_tokens=12.5,  # so that a row needs 0.5 GFLOP
    product_rates={"fp32": 100e9, "bf16": 200e9},
    measurements=[
        measured("seed", [2.0]),
        measured("trainer", [39, 41, 40], predict_rates=[90, 80]),
        measured("trainer-tuned", [50, 48], precision="bf16"),
        measured("engine", [118, 120, 125], predict_rates=[300]),
    ],
)


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_tells_median_range_ratios_share_and_memory():
    header, _, *rows = [cells(line) for line in table(RESULT) if line.startswith("|")]

    assert [row[0] for row in rows] == [CONTESTANTS[one.contestant].title for one in RESULT.measurements]
    assert all(len(row) == len(header) for row in rows)
    assert rows[-1][1:] == ["fp32", "120 [118, 125]", "3.00", "2.45", "60.0 %", "1,234 MiB", "300 (once)"]


def test_the_share_is_of_the_contestants_own_number_format():
    trainer, tuned = (RESULT.share(RESULT.measurements[at]) for at in (1, 2))

    assert trainer == pytest.approx(0.5e9 * 40 / 100e9)
    assert tuned == pytest.approx(0.5e9 * 49 / 200e9)


def test_a_baseline_that_took_no_part_leaves_its_column_empty():
    alone = Result(
        model="minilm",
        encoder_parameters=1,
        mean_tokens=1.0,
        product_rates={"fp32": 1.0},
        measurements=[measured("engine", [1.0, 2.0])],
    )

    assert cells(table(alone)[-1])[3:5] == ["-", "-"]


@pytest.mark.parametrize(
    ("rates", "text"),
    [
        ([], "-"),
        ([0.3456], "0.35 (once)"),
        ([9.0, 10.0, 12.0], "10.0 [9.0, 12.0]"),
        ([1200.0, 1000], "1,100 [1,000, 1,200]"),
    ],
)
def test_a_spread_keeps_three_digits(rates, text):
    assert spread(rates) == text


def test_the_page_names_machine_and_settings_and_the_json_keeps_every_repeat():
    text = page(MACHINE, ["20 steps of 32 rows."], [RESULT])

    assert "Abacus, 2 cores (no unit for bf16), threads: 1; torch 2.13.0." in text
    assert "20 steps of 32 rows." in text
    assert plain(MACHINE, [], [RESULT])["models"][0]["measurements"][3]["train_rates"] == [118, 120, 125]


@pytest.mark.parametrize(
    ("seconds", "peak", "word"), [(20, 1000, "Kept"), (40, 1000, "NOT KEPT"), (20, 3000, "NOT KEPT")]
)
def test_a_broken_promise_is_said(seconds, peak, word):
    costs = [
        StageCost(stage=stage, rows=1_000_000, wall_seconds=seconds, peak_memory_mib=peak)
        for stage in ("prepare", "subsample")
    ]

    assert f" {word}." in verdict(costs)
    assert verdict(costs) in growth_page("", costs, [])


def test_training_cost_is_told_by_the_row():
    cost = TrainCost(rows=8000, mean_tokens=13.3, train_seconds=40.0, peak_memory_mib=900)

    assert cells(growth_page("", [], [cost]).splitlines()[-1]) == ["8,000", "13.3", "40.0 s", "5.00 ms", "900 MiB"]


@pytest.fixture
def rows(tmp_path):
    write_source(tmp_path / "source", num_rows=200)
    return tmp_path / "source" / "train.tsv"


def test_a_source_is_as_large_as_asked_and_never_contradicts_itself(rows):
    lines = rows.read_text().splitlines()[1:]
    labels = {}

    assert len(lines) == 200
    assert all(labels.setdefault(text, label) == label for text, label in (line.split("\t") for line in lines))


def test_a_worker_trains_as_told_and_says_what_failed(tmp_path, repository, rows, monkeypatch):
    monkeypatch.chdir(repository)
    task = Task(folder=save_tiny_bert(tmp_path / "tiny"), params=read_settings(), rows=read_rows(rows, 64))

    with Worker("trainer", task) as worker:
        assert worker.precision == "fp32"
        assert worker.ask("train", num_rows=64, seed=0) > 0
        assert worker.ask("predict", num_rows=64) > 0
        assert worker.ask("peak_memory_mib") > 1
        with pytest.raises(RuntimeError, match=r"(?s)trainer failed:.*has no attribute 'juggle'"):
            worker.ask("juggle")


@pytest.mark.slow
def test_every_kind_of_contestant_ends_up_in_one_table(tmp_path, repository, rows, monkeypatch, capsys):
    monkeypatch.chdir(repository)
    tiny = save_tiny_bert(tmp_path / "tiny")
    names = ["seed", "trainer-tuned", "engine"]

    places = ["--models", str(tiny), "--rows", str(rows), "--out", str(tmp_path / "table")]
    sizes = ["--repeats", "1", "--steps", "2", "--warm-up-steps", "1"]

    main(["--contestants", *names, *places, *sizes])

    said = capsys.readouterr().out
    assert (tmp_path / "table.md").read_text() in said
    assert all(f"| {CONTESTANTS[name].title} |" in said for name in names)
    assert (tmp_path / "table.json").is_file()


def test_the_cost_of_checkpoints_is_a_share_of_the_time_and_the_rule_bounds_it():
    cost = CheckpointCost(
        method="full", train_seconds=100.0, write_seconds=[0.3, 3.0], look_seconds=0.001, mebibytes=400.0
    )

    assert cost.share(600) == pytest.approx(3 / 603 + 1e-5)
    assert cost.share(60) == pytest.approx(1 / 101 + 1e-5)  # 300 s lie between two
    assert checkpoint_line(cost, 600) == (
        "full: 100.0 s, 2 checkpoints of up to 400.0 MiB, the slowest took 3000 ms; "
        "0.50% of the time at one every 600 s"
    )


def timed(contestant, seed, seconds, accuracy, *, commit="abc", model="mpnet"):
    goal = GOALS[model]
    return Run(
        commit=commit,
        contestant=contestant,
        model=model,
        samples=goal.samples,
        epochs=goal.epochs,
        seed=seed,
        seconds=seconds,
        accuracy=accuracy,
    )


def test_time_to_accuracy_tells_median_range_ratio_and_how_many_seeds_reach_the_target():
    ours = [timed(PIPELINE, seed, *run) for seed, run in enumerate([(10, 0.91), (12, 0.9), (11, 0.899)])]
    theirs = [timed(BASELINE, seed, *run) for seed, run in enumerate([(40, 0.88), (44, 0.89), (50, 0.88)])]
    table = [
        cells(line) for line in rows_of(GOALS["mpnet"], [*theirs, timed(PIPELINE, 0, 1, 1, model="minilm"), *ours])
    ]

    assert all(len(row) == len(COLUMNS) for row in table)
    assert [row[3:-1] for row in table] == [
        [TITLES[PIPELINE], "11.0 [10.0, 12.0]", "4.00", "90.0 [89.9, 91.0]", "90 % by 2 of 3 seeds"],
        [TITLES[BASELINE], "44.0 [40.0, 50.0]", "1.00", "88.0 [88.0, 89.0]", "90 % by 0 of 3 seeds"],
    ]


@pytest.fixture
def scratch(tmp_path, repository):
    """One whose clone is there, as far as finished runs need it."""
    commit = git(repository, "rev-parse", "--short=12", "HEAD").strip()
    (tmp_path / "scratch" / commit).mkdir(parents=True)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(repository / name, tmp_path / "scratch" / commit)
    return tmp_path / "scratch"


def test_what_was_timed_before_is_taken_from_the_scratch_folder(scratch, tmp_path, capsys):
    commit = next(folder.name for folder in scratch.iterdir())
    kept = [
        timed(name, seed, 9, 0.9, commit=commit, model="minilm") for name in (PIPELINE, BASELINE) for seed in (1, 2)
    ]
    stale = [timed(PIPELINE, 1, 777, 0.1, commit="another", model="minilm")]
    write_json(scratch / "runs.json", [asdict(run) for run in stale + kept])

    places = ["--rows", str(tmp_path), "--scratch", str(scratch), "--out", str(tmp_path / "out")]
    time_to_accuracy(["--models", "minilm", "--seeds", "1", "2", *places])

    assert (tmp_path / "out.md").read_text() in capsys.readouterr().out
    assert "9.0 [9.0, 9.0]" in (tmp_path / "out.md").read_text()
    assert {run["commit"] for run in read_json(tmp_path / "out.json")["runs"]} == {commit}
    assert len(read_json(tmp_path / "out.json")["runs"]) == 4


def test_models_that_are_not_asked_for_keep_their_lines_if_the_same_machine_measured_them(tmp_path):
    there = {
        "machine": asdict(MACHINE),
        "goals": [asdict(goal) for goal in GOALS.values()],
        "runs": [asdict(timed(PIPELINE, 1, 9, 0.9, model=model)) for model in GOALS],
    }
    write_json(tmp_path / "page.json", there)

    goals, runs = of_other_models(tmp_path / "page.json", MACHINE, ["minilm"])

    assert [goal.model for goal in goals] == [run.model for run in runs] == ["mpnet"]
    assert of_other_models(tmp_path / "page.json", replace(MACHINE, threads=99), ["minilm"]) == ([], [])
    assert of_other_models(tmp_path / "none.json", MACHINE, []) == ([], [])


def test_without_the_tables_no_clone_is_begun(tmp_path):
    (tmp_path / "train.tsv").touch()

    with pytest.raises(StudyError, match=r"has no dev\.tsv; give GLUE's folder"):
        Bench(tmp_path / "scratch", tmp_path)
    assert not (tmp_path / "scratch").exists()


def test_a_script_with_trainer_ends_with_the_accuracy(tmp_path, repository, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_params({"train.lora.learning_rate": 1e-2})
    write_split(tmp_path / "train.parquet", opinions(256))
    write_split(tmp_path / "test.parquet", opinions(40, seed=1))
    save_tiny_bert(tmp_path / "tiny")

    words = "--folder tiny --train train.parquet --test test.parquet --contestant trainer-grouped --seed 1 --epochs 4"
    program = [sys.executable, "-m", "tests.benchmark.trainer_run", *words.split()]
    environment = os.environ | {"PYTHONPATH": str(repository)}
    said = subprocess.run(program, env=environment, capture_output=True, text=True, check=True).stdout

    accuracy = float(said.split()[-1])
    assert round(40 * accuracy, 6).is_integer()
    assert accuracy > 0.9


def test_prediction_is_told_beside_each_peer_and_how_many_times_as_fast():
    rates = dict(zip(WAYS, ([300.0, 310.0, 290.0], [50.0], [100.0]), strict=True))
    paces = [Pace(method="lora", way=way, precision="fp32", rates=found) for way, found in rates.items()]
    paces += [
        Pace(method="tfidf", way=way, precision="fp64", rates=[rate])
        for way, rate in ((OURS, 9000.0), (PEER_OF_TFIDF, 10000.0))
    ]

    lora, tfidf = prediction_page(MACHINE, "minilm", 4096, paces).splitlines()[-2:]

    assert cells(lora) == ["lora", "fp32", "300 [290, 310]", "50.0 (once)", "6.00", "100 (once)", "3.00"]
    assert cells(tfidf) == ["tfidf", "fp64", "9,000 (once)", "10,000 (once)", "0.900", "-", "-"]


@pytest.mark.slow
def test_prediction_is_measured_and_its_table_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_tiny_bert(tmp_path / "tiny")
    write_params({"train.device": "cpu", "train.precision": "fp32"})
    write_source(tmp_path / "rows", 200)

    sizes = ["--num-rows", "150", "--repeats", "1", "--model", "./tiny", "--methods", "lora", "--out", "prediction.md"]
    prediction(["--rows", str(tmp_path / "rows/train.tsv"), *sizes])

    told = (tmp_path / "prediction.md").read_text()
    assert cells(told.splitlines()[-1])[0] == "lora"
    assert told in capsys.readouterr().out
