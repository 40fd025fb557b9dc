"""What to do next, in plain sentences: each from a measured fact, by the rules that stand here and nowhere else.

A rule says what may help, never how much; what would come of it only the next experiment tells.
"""

from collections.abc import Callable
from typing import NamedTuple

from stages.methods import METHODS
from stages.reporting.experiment.classes import quoted, without_test_rows
from stages.reporting.experiment.outputs import Outputs
from stages.reporting.numbers import count, decimal, percent, points
from stages.reporting.params import ReportView

RUN = "dvc exp run"
STUDY = "python -m stages.study plan"

# Of the validation loss, in the last epoch. The learning rate falls to 0, so that the last epoch has nearly always the
# lowest loss, by a hair: only a fall that the rate's end has not stopped tells of too few epochs.
STILL_FALLING = 0.01
# Training loss over the lowest validation loss. The former is a mean over the whole pass, with dropout on, and so reads
# high; that it is down to half is no accident of how the two are taken.
FITTED = 0.5
# Of the test accuracy's interval, from end to end: 2.5 points to either side. A doubling of the labels gained about 2
# in the recorded study, which no wider interval can show.
WIDE = 0.05

# Share of the test rows. Below it, what is cut decides less than another draw of the test rows would.
MANY_CUT = 0.01


class Step(NamedTuple):
    """Something to do next, or not to do."""

    told: str
    command: str = ""  # does it; "" where none does


def next_steps(params: ReportView, outputs: Outputs) -> tuple[Step, ...]:
    """What to do next, the most promising first.

    Args:
        params: What was run.
        outputs: What came of it.
    """
    steps = (rule(params, outputs) for rule in RULES)
    return tuple(step for step in steps if step is not None)


def _more_than_guessing(_: ReportView, outputs: Outputs) -> Step | None:
    """Whether anything was learned at all."""
    name = _beaten_by(outputs)
    if not name:
        return None
    return Step(f"It is not shown to do better than always answering “{name}”: see below what it makes of each class.")


def _beaten_by(outputs: Outputs) -> str:
    """The most frequent class of the test rows where always answering it is within the accuracy's interval or above."""
    support = {name: numbers["support"] for name, numbers in outputs.classes["test"].items()}
    largest = max(support, key=support.__getitem__)
    share: float = support[largest] / outputs.scores["test_rows"]
    return largest if outputs.scores["test_accuracy_low"] <= share else ""


def _more_epochs(params: ReportView, outputs: Outputs) -> Step | None:
    """Whether it was trained for long enough."""
    if not METHODS[params.method].by_steps:
        return None
    longer = f"{RUN} -S {_twice_as_long(params, outputs.scores['train_rows'])}"
    losses = outputs.history["val_loss"]
    if len(losses) == 1:
        return Step("One epoch cannot tell whether the validation loss still falls; try more:", longer)
    if outputs.scores["best_epoch"] < len(losses):
        return _enough_epochs(params, outputs)
    fall = 1 - losses.iloc[-1] / losses.iloc[-2]
    if fall < STILL_FALLING:
        hardly = f"The validation loss hardly fell in the last epoch (by {percent(fall)})"
        return Step(f"{hardly}: more epochs promise little.")
    falling = f"The validation loss was still falling in the last epoch (by {percent(fall)})"
    return Step(f"{falling}, so more epochs may help:", longer)


def _twice_as_long(params: ReportView, train_rows: int) -> str:
    """The setting that decides how many steps are taken, doubled."""
    training = params.train
    if training.max_steps is not None:
        return f"train.max_steps={2 * training.max_steps}"
    at_least = training.trained.min_steps
    if training.protocol == "trained" and training.schedule(train_rows).steps == at_least:
        return f"train.trained.min_steps={2 * at_least}"
    return f"train.epochs={2 * training.epochs}"


def _enough_epochs(params: ReportView, outputs: Outputs) -> Step:
    """What the curves say where the kept epoch is not the last."""
    kept, last = outputs.scores["best_epoch"], len(outputs.history)
    lowest, training = outputs.history["val_loss"].min(), outputs.history["train_loss"].iloc[-1]
    when = f"The validation loss was lowest after epoch {kept} of {last}"
    if _beaten_by(outputs):
        return _little_learned(params, when, outputs.scores["train_rows"])
    if training > FITTED * lowest:
        return Step(f"{when}: longer training is not likely to help.")
    return Step(
        f"The model fits its training rows (loss {decimal(training)}) far better than validation (at best "
        f"{decimal(lowest)}, after epoch {kept} of {last}): more labels may help, more epochs hardly."
    )


def _little_learned(params: ReportView, when: str, train_rows: int) -> Step:
    """What to try where it is not clear what is missing: first of all enough steps."""
    steps, enough = params.train.schedule(train_rows).steps, params.train.trained.min_steps
    if not params.train.epochs_are_passes or steps >= enough:
        return Step(
            f"{when}, with little learned by then: whether epochs or labels are missing, the curves do not tell."
        )
    return Step(
        f"{when}, with little learned by then. Its {count(steps)} steps may be too few to learn from; this takes "
        f"{count(enough)}:",
        f"{RUN} -S train.protocol=trained",
    )


def _own_mixture(params: ReportView, outputs: Outputs) -> Step | None:
    """Whether another mixture of classes chose the epoch than is trained on."""
    if not of_other_mixtures(params, outputs):
        return None
    did = "chose the epoch and fitted" if METHODS[params.method].by_steps else "fitted"
    return Step(
        f"The validation rows are balanced and the training rows are not, so another mixture of classes {did} the "
        "probabilities; this validates with the mixture of the pool:",
        f"{RUN} -S prepare.validation_ratio=natural",
    )


def of_other_mixtures(params: ReportView, outputs: Outputs) -> bool:
    """Whether the validation rows were balanced while the training rows are as the pool, which is not."""
    return (
        params.subsample.class_ratio == "natural"
        and not params.subsample.validation_share
        and outputs.card["validation_ratio"] == "balanced"
        and outputs.pool["pool_balanced_max"] < outputs.pool["pool_rows"]
    )


def _whole_texts(params: ReportView, outputs: Outputs) -> Step | None:
    """Whether the model reads the texts to their end."""
    share = outputs.scores.get("test_rows_cut", 0) / outputs.scores["test_rows"]  # absent: nothing measured it
    if share <= MANY_CUT:
        return None
    most = params.train.max_tokens
    return Step(
        f"Of {percent(share)} of the test texts only the first {count(most)} tokens are read; where the model can "
        "read more, that may help:",
        f"{RUN} -S train.max_tokens={2 * most}",
    )


def _more_labels(params: ReportView, outputs: Outputs) -> Step | None:
    """How to find out what more labels bring."""
    scores, num_classes = outputs.scores, len(outputs.test.label_names)
    rows = params.samples
    if scores["test_accuracy"] == 1:
        return Step(f"All {count(scores['test_rows'])} test rows are right: only more, or harder, ones show progress.")
    is_balanced = params.subsample.class_ratio == "balanced"
    most = int(outputs.pool["pool_balanced_max" if is_balanced else "pool_rows"])
    if rows < most:
        larger = min(2 * rows, most)
        return Step(
            f"To see what more labels bring, run the next size, {count(larger)} of the {count(most)} rows at hand:",
            f"{RUN} -S samples={larger}",
        )
    smaller = rows // 2 - (rows // 2 % num_classes if is_balanced else 0)
    used = f"All {count(rows)} rows that the pool gives are used"
    if smaller < num_classes:
        return Step(f"{used}: more accuracy most likely takes more labels.")
    return Step(
        f"{used}. To see whether labelling more would pay, look at what the last half of them brought:",
        f"{RUN} -S samples={smaller}",
    )


def _whole_curve(_: ReportView, outputs: Outputs) -> Step | None:
    """How to have all sizes, seeds and methods in one answer."""
    if outputs.scores["test_accuracy"] == 1:
        return None
    return Step("For the whole curve, over sizes, seeds and methods, plan a study; that runs nothing yet:", STUDY)


def _more_test_rows(_: ReportView, outputs: Outputs) -> Step | None:
    """Whether the result is sharp enough to tell an improvement."""
    scores = outputs.scores
    width, rows = scores["test_accuracy_high"] - scores["test_accuracy_low"], int(scores["test_rows"])
    if width <= WIDE:
        return None
    return Step(
        f"The interval of the accuracy is {points(width)} points wide, for want of test rows: "
        f"{count(4 * rows)} instead of {count(rows)} would halve that."
    )


def _every_class(_: ReportView, outputs: Outputs) -> Step | None:
    """Whether the test split asks for every class."""
    unseen = without_test_rows(outputs.classes)
    if not unseen:
        return None
    return Step(
        f"Give the test split rows of {quoted(unseen)}: there are none, so no score here says how well that goes."
    )


RULES: tuple[Callable[[ReportView, Outputs], Step | None], ...] = (
    _more_than_guessing,
    _more_epochs,
    _own_mixture,
    _whole_texts,
    _more_labels,
    _whole_curve,
    _more_test_rows,
    _every_class,
)
