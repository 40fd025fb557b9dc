"""Classify texts with a trained model.

    python -m stages.predict "a fine film" "two hours too long"
    python -m stages.predict - < texts.txt                   one text a line
    python -m stages.predict reviews.csv --out judged.csv    the same file with columns added
    python -m stages.predict reviews.parquet --text body --jsonl --experiment n8000 | head

Each row gets three columns: `label`, the most probable class; its `probability`, calibrated on validation rows; and
`flagged`, empty unless a person should look: `unsure` below the probability above which validation rows had half the
error rate of all, `class unproven` where validation has too few rows of a class to vouch for it, `no text`.
"""

import os
import signal
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from contextlib import redirect_stdout
from pathlib import Path

from stages.foundation.errors import can_be_mended, one_line

QUIET_END = 128  # and the signal's number: what a shell says of a program that a signal ended


def main() -> None:
    """Predict; what a person can mend becomes one line and exit code 1, Ctrl-C and a closed pipe end quietly."""
    asked = _parser().parse_args()
    try:
        _run(asked)
    except KeyboardInterrupt:
        sys.exit(QUIET_END + signal.SIGINT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # type: ignore[union-attr]
        sys.exit(QUIET_END + signal.SIGPIPE)
    except Exception as error:
        if not can_be_mended(error):
            raise
        sys.exit(f"predict: {one_line(error)}")


def _run(asked: Namespace) -> None:
    results = sys.stdout.buffer
    with redirect_stdout(sys.stderr):  # what the engine says of itself must not stand among the results
        from stages.predict.job import Options, predict_all  # imports of some seconds, after a glance at the options

        options = Options(
            inputs=asked.inputs,
            text=asked.text,
            columns=asked.columns,
            model=asked.model,
            experiment=asked.experiment,
            out=asked.out,
            as_json_lines=asked.jsonl,
            all_probabilities=asked.probabilities,
            prefix=asked.prefix,
        )
        predict_all(options, results)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        "python -m stages.predict", description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="texts; or - for standard input, one text a line; or one file: TSV, CSV, JSON Lines, a JSON array (each "
        "also .gz), Parquet",
    )
    model = parser.add_mutually_exclusive_group()
    model.add_argument("--model", type=Path, metavar="FOLDER", help="a trained model; without it data/model, the last")
    model.add_argument("--experiment", metavar="NAME", help="the model of a DVC experiment, commit, branch or tag")
    columns = "of a file, the column of the texts, or both columns of pairs; without it `sentence` or `text`"
    add("--text", nargs="+", metavar="COLUMN", help=columns)
    add("--columns", nargs="+", metavar="NAME", help="names of all columns of a TSV or CSV file without a header")
    add("--out", type=Path, metavar="FILE", help="write there, whole or not at all; without it to standard output")
    add("--jsonl", action="store_true", help="write JSON Lines; without it the format of the input")
    add("--probabilities", action="store_true", help="add a column for each class, too: `probability_<class>`")
    add("--prefix", default="", metavar="WORD", help="put before the names of added columns, e.g. predicted_")
    return parser


if __name__ == "__main__":
    main()
