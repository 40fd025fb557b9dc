"""Score the model of one experiment on validation and test, and publish what Git keeps.

Reads   data/model/, data/prepared/, data/subset/, data/history.csv, data/cost.json, data/provenance.json
Writes  data/predictions/, metrics/scores.json, metrics/classes.json, metrics/cost.json, metrics/provenance.json,
        plots/history.csv, plots/confusion.csv, plots/learning_curve.json
"""

from collections.abc import Sequence

from stages.engine.lengths import cut_table, say_cut, write_lengths
from stages.engine.params import EvaluateView
from stages.engine.threads import polite_threads
from stages.engine.training.history import best_epoch, read_history
from stages.foundation import paths, versions
from stages.foundation.files import read_json, write_json, write_text
from stages.foundation.log import say
from stages.foundation.params import read_params
from stages.foundation.split import read_split
from stages.foundation.stage import run_stage
from stages.methods import load
from stages.scoring.classification import Scores, score
from stages.scoring.tables import (
    class_table,
    learning_curve_point,
    score_table,
    support_table,
    write_confusion,
    write_predictions,
)

LISTED = 8  # names that a line gives before it only counts


@polite_threads()
def main() -> None:
    """Predict with the kept epoch, once; the test split chooses nothing."""
    params = read_params("evaluate", EvaluateView).evaluate
    classifier = load(paths.MODEL, params.device)
    subset = read_split(paths.SUBSET)
    names = subset.label_names
    chosen = read_json(paths.DATA_CARD)["positive"]
    positive = 1 if chosen is None else names.index(chosen)

    scores, lengths = {}, {"train": classifier.lengths(subset)}
    classes = {"train": support_table(subset.labels, names)}
    for name, source, target in (
        ("test", paths.TEST, paths.TEST_PREDICTIONS),
        ("val", paths.VALIDATION, paths.VALIDATION_PREDICTIONS),
    ):
        split = read_split(source)
        logits = classifier.predict(split, params.batch_tokens)
        lengths[name] = classifier.lengths(split)
        scores[name] = score(logits, split.labels, confidence_level=params.confidence_level, positive=positive)
        classes[name] = class_table(scores[name], names)
        write_predictions(target, split, logits)
        if name == "test":
            write_confusion(paths.CONFUSION_PLOT, split, logits)

    train_rows = len(subset)
    record = classifier.record
    history = read_history(paths.HISTORY)
    outcome = {
        "best_epoch": best_epoch(history).epoch,
        "epochs_run": len(history),
        "trainable_parameters": record.trainable_parameters,
        "total_parameters": record.total_parameters,
        "trainable_percent": 100 * record.trainable_parameters / record.total_parameters,
        "scoring_version": versions.SCORING,
    }
    write_json(paths.SCORES, score_table(scores, train_rows) | cut_table(lengths) | outcome)
    write_lengths(paths.LENGTHS, lengths)
    write_json(paths.CLASS_SCORES, classes)
    write_json(paths.LEARNING_CURVE_PLOT, [learning_curve_point(scores["test"], train_rows)])
    write_json(paths.COST_METRICS, read_json(paths.COST))
    write_json(paths.PROVENANCE_METRICS, read_json(paths.PROVENANCE))
    write_text(paths.HISTORY_PLOT, paths.HISTORY.read_text(encoding="utf-8"))
    say_cut({"test": lengths["test"]})
    for line in told(scores["test"], train_rows, names, positive):
        say(line)


def told(test: Scores, train_rows: int, label_names: Sequence[str], positive: int) -> list[str]:
    """What the terminal says of the test scores, and of classes without test rows, of which they say nothing."""
    accuracy, num_classes = test.accuracy, len(label_names)
    of = f"of the positive class, {label_names[positive]}" if num_classes == 2 else f"means over {num_classes} classes"
    lines = [
        f"test accuracy {accuracy.value:.1%} [{accuracy.low:.1%}, {accuracy.high:.1%}] "
        f"on {test.num_examples:,} rows, after {train_rows:,} training rows",
        f"test precision {test.precision:.3f}, recall {test.recall:.3f}, F1 {test.f1:.3f}: {of}",
    ]
    unseen = [name for name, one in zip(label_names, test.by_class, strict=True) if not one.support]
    if unseen:
        more = f" and {len(unseen) - LISTED} more" if len(unseen) > LISTED else ""
        lines.append(f"no test row is of class {', '.join(unseen[:LISTED])}{more}: the scores say nothing of it")
    return lines


if __name__ == "__main__":
    run_stage("evaluate", main)
