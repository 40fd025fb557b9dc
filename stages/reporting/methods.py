"""What the report says of the method: who names the class, how it was trained, how to read its curves.

What only one method has to say stands in its file in `stages.methods`.
"""

from stages.methods import METHODS
from stages.reporting.experiment.outputs import Numbers
from stages.reporting.numbers import NARROW, count
from stages.reporting.params import ReportView

POOLING = {"first": "the last state of the first token", "mean": "the mean of the last states of all tokens"}
POOLER = {"own": ", through the architecture's own dense layer", "none": ""}
TRANSFORMERS = "what Transformers' classifier of this model reads: nearly always the last state of the first token"
FALLING = "at the first step, falling linearly to 0"
ENGINES = {"packed": "packed, without padding", "plain": "plain, Transformers' own"}


def headline(params: ReportView) -> str:
    """Size, data and method."""
    trained = f"{params.method} on {params.model}" if METHODS[params.method].has_base_model else params.method
    return f"{count(params.samples)} samples of {params.dataset}: {trained}"


def classifier(params: ReportView) -> str:
    """Who names the class, for the middle of a sentence."""
    return METHODS[params.method].words.classifier.format(model=params.model)


def training(params: ReportView, scored: Numbers, provenance: Numbers) -> list[list[str]]:
    """How the classifier was trained, as rows of a table."""
    method = METHODS[params.method]
    engine: str = provenance["engine_used"]
    rows = [["method", f"{method.name}: {method.words.title}"], *method.words.own_rows(params.own)]
    if method.by_steps:
        rows.append(["learning rate", f"{params.own.learning_rate:g} {_course(params, scored['train_rows'])}"])
    if method.has_base_model:
        reading = params.train.reading
        read = TRANSFORMERS if reading.is_transformers else POOLING[reading.pooling] + POOLER[reading.pooler]
        rows = [["model", params.model], *rows, ["the head reads", read], *_trained_share(scored)]
    else:
        rows.append(["trained parameters", count(scored["trainable_parameters"])])
    if method.by_steps:
        rows += _descent(params, scored)
    return [*rows, ["engine", ENGINES.get(engine, engine)], ["precision", provenance["precision_used"]]]


def chosen_by(params: ReportView) -> str:
    """What the splits chose."""
    if not METHODS[params.method].by_steps:
        return "Neither validation nor test chose anything."
    return "Validation chose the epoch that was kept, so its scores are a little too good; test chose nothing."


def curves_note(params: ReportView, train_rows: int) -> str:
    """How to read the curves."""
    method = METHODS[params.method]
    if not method.by_steps:
        return method.words.curves
    note = f"{method.words.curves} The epoch with the lowest validation loss is kept."
    steps = params.train.schedule(train_rows).steps
    if params.train.epochs_are_passes:
        return note
    return f"{note} An epoch is here an equal share of {count(steps)} steps, not a pass over the rows."


def _trained_share(scored: Numbers) -> list[list[str]]:
    trained, whole = scored["trainable_parameters"], scored["total_parameters"]
    percent = f"{scored['trainable_percent']:.3g}{NARROW}%"
    return [["trained parameters", f"{count(trained)} of {count(whole)} ({percent})"]]


def _descent(params: ReportView, scored: Numbers) -> list[list[str]]:
    """The settings of gradient descent, and how far it went."""
    training = params.train
    rows = [
        ["batch", f"{training.batch_size} rows"],
        ["weight decay, gradient norm", f"{training.weight_decay:g}, at most {training.max_grad_norm:g}"],
        ["longest text", f"{training.max_tokens} tokens"],
    ]
    schedule = training.schedule(scored["train_rows"])
    rows.append(["protocol", training.protocol])
    if not training.epochs_are_passes:
        steps = f"at most {count(schedule.steps)}, in {len(schedule.rounds)} equal rounds, here called epochs"
        rows.append(["optimizer steps", steps])
    run, best = scored["epochs_run"], scored["best_epoch"]
    rows.append(["epochs", f"{run} of at most {len(schedule.rounds)}, epoch {best} kept"])
    rows.append(["patience, in epochs", f"{schedule.patience} without a better validation loss"])
    return rows


def _course(params: ReportView, train_rows: int) -> str:
    """How the learning rate moves."""
    warmup = params.train.schedule(train_rows).warmup_steps
    return f"after {count(warmup)} steps of rising to it, then falling linearly to 0" if warmup else FALLING
