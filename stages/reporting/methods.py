"""What the report says of each method: who names the class, how it was trained, how to read its curves."""

from stages.reporting.experiment.outputs import Numbers
from stages.reporting.numbers import NARROW, count
from stages.reporting.params import LoraView, ReportView

METHODS = {
    "lora": "lora: adapter and head on a frozen model",
    "full": "full: every parameter, and a head",
    "head": "head: a linear head on a frozen model",
    "tfidf": "tfidf: logistic regression, no model",
}
ENGINES = {"packed": "packed, without padding", "plain": "plain, Transformers' own"}


def headline(params: ReportView) -> str:
    """Size, data and method."""
    trained = params.method if params.method == "tfidf" else f"{params.method} on {params.model}"
    return f"{count(params.samples)} samples of {params.dataset}: {trained}"


def classifier(params: ReportView) -> str:
    """Who names the class, for the middle of a sentence."""
    return {
        "lora": f"{params.model} with LoRA",
        "full": f"{params.model} with all parameters trained",
        "head": f"a linear head on the frozen {params.model}",
        "tfidf": "logistic regression on TF-IDF weights",
    }[params.method]


def training(params: ReportView, scored: Numbers) -> list[list[str]]:
    """How the classifier was trained, as rows of a table."""
    rows = [["method", METHODS[params.method]]]
    if params.method == "tfidf":
        rows += [*_tfidf(params), ["trained parameters", count(scored["trainable_parameters"])]]
    else:
        rows = [["model", params.model], *rows, *_own_rows(params), *_trained_share(scored), *_descent(params, scored)]
    engine: str = scored["engine_used"]
    return [*rows, ["engine", ENGINES.get(engine, engine)], ["precision", scored["precision_used"]]]


def chosen_by(params: ReportView) -> str:
    """What the splits chose."""
    if params.method == "tfidf":
        return "Neither validation nor test chose anything."
    return "Validation chose the epoch that was kept, so its scores are a little too good; test chose nothing."


def curves_note(params: ReportView) -> str:
    """How to read the curves."""
    if params.method == "tfidf":
        return "Logistic regression has no epochs: both values are taken once, of the fitted weights."
    dropout = "" if params.method == "head" else "with dropout on and "
    note = (
        f"Training values are means over the epoch, {dropout}while the weights move; validation values are "
        "taken after it. The epoch with the lowest validation loss is kept."
    )
    if params.train.max_steps is None:
        return note
    return f"{note} An epoch is here an equal share of {count(params.train.max_steps)} steps, not a pass over the rows."


def _own_rows(params: ReportView) -> list[list[str]]:
    """What only this method has; each has a learning rate of its own."""
    train = params.train
    rate, rows = {
        "lora": (train.lora.learning_rate, _adapter(train.lora)),
        "full": (train.full.learning_rate, []),
        "head": (train.head.learning_rate, [["features", "mean of the last hidden states of the frozen encoder"]]),
    }[params.method]
    return [*rows, ["learning rate", f"{rate:g} at the first step, falling linearly to 0"]]


def _adapter(lora: LoraView) -> list[list[str]]:
    return [
        ["adapter", f"rank {lora.rank}, alpha {lora.alpha}, dropout {lora.dropout:g}"],
        ["adapted layers", ", ".join(lora.target_modules)],
    ]


def _tfidf(params: ReportView) -> list[list[str]]:
    tfidf = params.train.tfidf
    return [
        ["features", f"TF-IDF weights; longest run of words: {tfidf.max_ngram}"],
        ["regularization", f"C = {tfidf.inverse_regularization:g}"],
    ]


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
    if training.max_steps is not None:
        steps = f"at most {count(training.max_steps)}, in {training.epochs} equal rounds, here called epochs"
        rows.append(["optimizer steps", steps])
    run, best = scored["epochs_run"], scored["best_epoch"]
    rows.append(["epochs", f"{run} of at most {training.epochs}, epoch {best} kept"])
    rows.append(["patience, in epochs", f"{training.patience} without a better validation loss"])
    return rows
