"""`python -m stages.predict` as a person gives it."""

import csv
import io
import json
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest

from stages.predict import __main__ as command
from stages.predict import job, tables
from stages.scoring.calibration import read_calibrator, write_calibrator
from tests.pages.workspace import REPOSITORY
from tests.predict.conftest import save_model

GOOD, BAD = "a very good film", "the plot is bad"


@pytest.fixture
def predict(tfidf, here, monkeypatch, capsys):
    """Give the command in an empty folder; what it writes, and what it says beside it."""

    def run(*words, model=tfidf, given=b""):
        monkeypatch.setattr("sys.argv", ["predict", *map(str, words), *(["--model", str(model)] if model else [])])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
        command.main()
        said = capsys.readouterr()
        return said.out, said.err

    return run


@pytest.fixture
def complaint(predict):
    """Why the command refuses."""

    def run(*words, **more):
        with pytest.raises(SystemExit) as left:
            predict(*words, **more)
        assert str(left.value.code).startswith("predict: ")
        assert "\n" not in left.value.code
        return left.value.code

    return run


def rows_of(text):
    header, *rows = csv.reader(io.StringIO(text, newline=""), delimiter="\t")
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_texts_from_the_command_line(predict):
    out, err = predict(GOOD, BAD)

    rows = rows_of(out)
    assert [row["label"] for row in rows] == ["positive", "negative"]
    assert [row["text"] for row in rows] == [GOOD, BAD]
    assert all(0.5 < float(row["probability"]) <= 1 for row in rows)
    assert "tfidf, 2 classes" in err


def test_texts_from_standard_input_one_a_line_also_empty_ones(predict):
    out, err = predict("-", given=f"{GOOD}\n\n{BAD}".encode())

    assert [row["label"] for row in rows_of(out)] == ["positive", "", "negative"]
    assert [row["flagged"] for row in rows_of(out)][1] == "no text"
    assert err.splitlines()[-1].startswith("3 rows, ")
    assert "flagged: no text 1" in err


def test_nothing_on_standard_input_is_no_rows(predict):
    out, err = predict("-")

    assert rows_of(out) == []
    assert err.splitlines()[-1].startswith("0 rows, ")


def test_a_file_comes_back_in_its_order_with_columns_added_and_nothing_else_changed(predict, here):
    (here / "a.csv").write_bytes(f'id,text\r\n007,"{GOOD}\nand ""more"""\r\n1e5,{BAD}\r\n,\r\n'.encode())

    out, _ = predict("a.csv")

    assert re.sub(r"[01]\.\d{6}", "P", out) == (
        f'id,text,label,probability,flagged\r\n007,"{GOOD}\nand ""more""",positive,P,\r\n'
        f"1e5,{BAD},negative,P,\r\n,,,,no text\r\n"
    )


def test_rows_keep_their_order_over_many_windows(predict, here, monkeypatch):
    monkeypatch.setattr(tables, "WINDOW_ROWS", 7)
    texts = [f"a {'very ' * (at * 5 % 11)}{'good' if at % 3 else 'bad'} film" for at in range(100)]
    (here / "a.csv").write_text("text\n" + "".join(f"{text}\n" for text in texts))

    predict("a.csv", "--out", "b.csv")

    made = pd.read_csv("b.csv")
    assert made["text"].tolist() == texts
    assert made["label"].tolist() == ["positive" if at % 3 else "negative" for at in range(100)]


def test_probabilities_of_each_class_are_calibrated_and_sum_to_one(predict, tfidf):
    out, _ = predict(GOOD, "--probabilities", "--jsonl")

    row = json.loads(out)
    assert row["text"] == GOOD
    assert row["probability_positive"] == row["probability"]
    assert row["probability_positive"] + row["probability_negative"] == pytest.approx(1, abs=1e-6)


def test_parquet_goes_to_a_file_with_numbers_as_numbers(predict, here):
    pd.DataFrame({"sentence": [GOOD, None], "stars": [5, 1]}).to_parquet(here / "a.parquet")

    predict("a.parquet", "--out", "b.parquet")

    made = pd.read_parquet("b.parquet")
    assert made.columns.tolist() == ["sentence", "stars", "label", "probability", "flagged"]
    assert made["label"].tolist()[0] == "positive"
    assert made["label"].isna().tolist() == [False, True]
    assert made["probability"].dtype == float


def test_the_column_of_the_texts_can_be_named(predict, here):
    (here / "a.csv").write_text(f"text,review\n{GOOD},{BAD}\n")

    out, err = predict("a.csv", "--text", "review")

    assert ",negative," in out
    assert "a.csv: CSV, comma-separated, texts in review" in err


def test_a_file_with_gz_is_packed_again(predict, here):
    (here / "a.csv").write_text(f"text\n{GOOD}\n")

    predict("a.csv", "--out", "b.csv.gz")

    assert pd.read_csv("b.csv.gz")["label"].tolist() == ["positive"]


def test_a_file_of_a_header_alone_stays_one(predict, here):
    (here / "a.csv").write_text("text\n")

    assert predict("a.csv")[0] == "text,label,probability,flagged\n"


def test_a_text_of_100000_words_and_any_script_are_texts_like_others(predict):
    out, _ = predict("-", given=("good " * 100_000 + "\n\U0001f600 \u05e9\u05dc\u05d5\u05dd good\n").encode())

    assert [row["label"] for row in rows_of(out)] == ["positive", "positive"]


def test_the_summary_is_one_line_whatever_a_class_is_called(predict, here):
    folder = save_model(here / "model", names=("two\nlines", "=1+1"))
    (here / "a.csv").write_text(f"text\n{GOOD}\n{BAD}\n")

    _, err = predict("a.csv", "--out", "b.csv", model=folder)
    assert "two lines 1" in err.splitlines()[-1]
    assert pd.read_csv(here / "b.csv")["label"].tolist() == ["=1+1", "two\nlines"]


def test_texts_that_were_cut_are_told_once_at_the_end(predict, lora, here, monkeypatch):
    monkeypatch.setattr(tables, "WINDOW_ROWS", 2)
    (here / "a.csv").write_text("text\n" + f"{'good ' * 30}\ngood\n" * 3)

    _, err = predict("a.csv", model=lora)
    assert err.splitlines()[-1] == "of 3 rows what stands behind token 16 was not read"
    assert err.count("not read") == 1
    assert "not read" not in predict(GOOD, model=lora)[1]


def test_a_column_that_is_there_is_never_written_again_unless_the_new_ones_are_called_otherwise(
    predict, complaint, here
):
    (here / "a.csv").write_text(f"text,label\n{GOOD},1\n")

    assert "a.csv has a column label already; give the new columns other names, e.g. `--prefix " in complaint("a.csv")
    assert predict("a.csv", "--prefix", "p_")[0].startswith("text,label,p_label,p_probability,p_flagged\n")


@pytest.mark.parametrize("name", ["a.csv", "link.csv", "hard.csv"])
def test_the_input_is_never_written_over(complaint, here, name):
    (here / "a.csv").write_text(f"text\n{GOOD}\n")
    (here / "link.csv").symlink_to("a.csv")
    (here / "hard.csv").hardlink_to(here / "a.csv")

    assert "is the input" in complaint("a.csv", "--out", name)
    assert (here / "a.csv").read_text() == f"text\n{GOOD}\n"


def test_a_file_is_there_whole_or_not_at_all(complaint, here):
    (here / "a.csv").write_text(f"text,n\n{GOOD},1\n{GOOD}\n")
    (here / "b.csv").write_text("as it was")

    assert "line 3 has 1 value," in complaint("a.csv", "--out", "b.csv")
    assert (here / "b.csv").read_text() == "as it was"
    assert sorted(file.name for file in here.iterdir()) == ["a.csv", "b.csv"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["none.csv"], "none.csv is missing"),
        (["-", "--columns", "a"], "--columns names the columns of a file, and these are texts"),
        (["a.csv", "b.csv"], "a.csv is a file: give one file alone"),
        (["a.csv", GOOD], "a.csv is a file: give one file alone"),
        (["c.csv"], "c.csv has no column sentence or text; it has review, stars: say with --text"),
        (["two.csv"], "two.csv has sentence and text; it has sentence, text: say with --text"),
        (["a.csv", "--text", "body"], "a.csv has no column body; it has text"),
        (["twice.csv", "--text", "x"], "twice.csv has several columns x"),
        (["a.csv", "--text", "a", "b", "c"], "--text takes one column, or two"),
        (["a.csv", "--out", "b.jsonl"], "--out b.jsonl would hold csv: end its name in .csv, or add --jsonl"),
        (["a.csv", "--jsonl", "--out", "b.csv"], "--out b.csv would hold jsonl: end its name in .jsonl"),
        (["a.csv", "--out", "nowhere/b.csv"], "there is no folder nowhere"),
        (["a.csv", "--out", "."], "is no ordinary file"),
        (["p.parquet"], "Parquet can't be written to standard output"),
        (["notes.txt"], "notes.txt must end in one of"),
        (["numbers.jsonl"], "line 1: column text must hold texts, found 5"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(complaint, here, words, expected):
    for name, content in {
        "a.csv": "text\nx\n",
        "b.csv": "text\nx\n",
        "c.csv": "review,stars\nx,1\n",
        "two.csv": "sentence,text\nx,y\n",
        "twice.csv": "x,x\n1,2\n",
        "notes.txt": "x",
        "numbers.jsonl": '{"text": 5}\n',
    }.items():
        (here / name).write_text(content)
    pd.DataFrame({"text": ["x"]}).to_parquet(here / "p.parquet")

    assert expected in complaint(*words)


def test_a_model_of_pairs_wants_two_columns_and_another_one(predict, complaint, tfidf, here, tmp_path_factory):
    pairs = shutil.copytree(tfidf, tmp_path_factory.mktemp("pairs") / "model")
    write_calibrator(pairs, replace(read_calibrator(tfidf), reads_pairs=True))
    (here / "a.csv").write_text(f"question,text\n{GOOD},{BAD}\n")

    assert "reads pairs of texts: give a file, and both columns with --text" in complaint("a.csv", model=pairs)
    assert "reads pairs of texts" in complaint(GOOD, model=pairs)
    assert "reads single texts, --text names two columns" in complaint("a.csv", "--text", "question", "text")
    assert predict("a.csv", "--text", "question", "text", model=pairs)[0].startswith("question,text,label")


def test_bytes_that_are_no_text_are_one_clear_line(complaint):
    assert "standard input, line 2 is not UTF-8" in complaint("-", given=b"x\n\xff\n")
    assert "the command line, line 1 is not UTF-8" in complaint("\udcff")


def test_without_a_model_it_says_how_to_come_by_one(complaint, here):
    assert "data/model holds no model, there is no classifier.json in it; run `dvc repro`" in complaint("x", model=None)
    assert "give a folder that the stage train wrote" in complaint("x", model=here / "empty")


def test_where_there_is_no_terminal_progress_is_a_line_now_and_then(predict, here, monkeypatch):
    monkeypatch.setattr("stages.predict.progress.LINE_SECONDS", 0)
    monkeypatch.setattr(tables, "WINDOW_ROWS", 50)
    (here / "a.csv").write_text("text\n" + f"{GOOD}\n" * 100)

    _, err = predict("a.csv", "--out", "b.csv")

    assert "\n50 rows, " in err
    assert "\r" not in err


def test_results_stay_apart_from_what_the_engine_says(predict, monkeypatch, tfidf):
    loaded = job.found_model

    def talking(*given):
        sys.stdout.write("the engine speaks\n")
        return loaded(*given)

    monkeypatch.setattr(job, "found_model", talking)
    out, err = predict(GOOD)

    assert "the engine speaks" not in out
    assert "the engine speaks" in err


def started(*words, model, folder):
    return subprocess.Popen(
        [sys.executable, "-m", "stages.predict", *words, "--model", str(model)],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_closed_pipe_ends_it_quietly(tfidf, here):
    (here / "a.csv").write_text("text\n" + f"{GOOD}\n" * 50_000)
    running = started("a.csv", model=tfidf, folder=here)
    assert running.stdout.readline() == b"text,label,probability,flagged\n"
    running.stdout.close()
    said = running.stderr.read()

    assert running.wait() == 128 + signal.SIGPIPE
    assert b"Error" not in said
    assert b"Exception" not in said
    running.stdin.close()
    running.stderr.close()


def test_an_interrupt_ends_it_quietly(tfidf, here):
    running = started("-", model=tfidf, folder=here)
    assert b"tfidf" in running.stderr.readline()  # it waits for texts
    running.send_signal(signal.SIGINT)
    said = running.communicate()[1]

    assert running.returncode == 128 + signal.SIGINT
    assert b"Traceback" not in said


def test_the_help_names_every_way_in(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["predict", "--help"])
    with pytest.raises(SystemExit):
        command.main()

    said = capsys.readouterr().out
    for word in ("--experiment", "--model", "--jsonl", "- < texts.txt", "Parquet", "half the error"):
        assert word in " ".join(said.split())


def test_a_model_without_torch_is_used_without_torch(tfidf, here):
    watched = (
        "import atexit, runpy, sys\n"
        "atexit.register(lambda: print(sorted({'torch', 'transformers', 'dvc', 'matplotlib'} & set(sys.modules))))\n"
        f"sys.argv = ['predict', 'x', '--model', {str(tfidf)!r}]\n"
        "runpy.run_module('stages.predict', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", watched],
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == "[]"
