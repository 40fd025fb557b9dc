"""An answer within so many minutes: plan a cell, make it, look at the answer so far, until the time is spent."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.log import duration, say
from stages.foundation.params import read_params
from stages.methods import METHODS, TrainView
from stages.reporting.study.advice import Advice, MoreOfCurve, advice_in_words, so_far, why_not
from stages.statistics.curves import CurveFit, fit_curve, gain
from stages.statistics.decision import USUAL_SEED_SD, Decision, choose, seed_spread
from stages.study.analysis import CONFIDENCE_LEVEL, RESAMPLING_SEED
from stages.study.budget import (
    MOST_SEEDS,
    Budget,
    Step,
    Trained,
    affordable,
    decision_size,
    forecast,
    in_order,
    ladder,
    next_step,
    seeds_of,
    worth_of_seed,
)
from stages.study.cells import Cell, StudyParams
from stages.study.collect import Computations, Coverage, collect, take_stock
from stages.study.groups import Group, Groups, curves_of
from stages.study.plan import SECONDS_BESIDE_TRAINING
from stages.study.pool import find_pool
from stages.study.repository import experiments
from stages.study.resolve import resolved
from stages.study.runner import make_cell, require_committed
from stages.study.store import Results, require_same_record, write_results

REPORT_SECONDS = 30.0  # for the pages and the answer at the end, at least
REPORT_SHARE = 0.75  # of what a cell takes beside training: a busy machine is slow at both
MORE = (1, 3)  # times the labels of a curve's largest size: twice and four times as many in all


@dataclass(frozen=True, kw_only=True, slots=True)
class Answering:
    """What is asked, and what it may take."""

    root: Path
    study: StudyParams  # of params.yaml
    dataset: str
    model: str
    budget: Budget
    every: tuple[int, ...]  # training rows: sizes of the whole ladder, of which more time takes more
    computations: Computations
    until: float  # time.monotonic() at which all must be over

    def left(self, beside: float) -> float:
        """Seconds for training, where a cell takes so many beside it; the end takes its share."""
        return self.until - time.monotonic() - max(REPORT_SECONDS, REPORT_SHARE * beside)

    def cell(self, method: str, samples: int, seed: int) -> Cell:
        """As the study makes it."""
        protocol = self.study.protocol if METHODS[method].by_steps else "seed"
        return Cell(
            dataset=self.dataset, model=self.model, method=method, protocol=protocol, samples=samples, seed=seed
        )

    def stock(self, known: Results) -> Coverage:
        """What is finished; of the results those that are not known yet are read."""
        cells = [
            self.cell(method, size, seed)
            for method in self.budget.methods
            for size in self.every
            for seed in self.budget.seeds
        ]
        coverage = take_stock(self.root, cells, self.computations, experiments(self.root))
        if known.rows is not None:
            new = {key: made for key, made in coverage.finished.items() if key not in known.by_key}
            coverage = replace(coverage, results=known, finished=new)
        return collect(self.root, coverage)


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Where the answer stands."""

    coverage: Coverage
    groups: Groups  # of the finished cells
    samples: int | None  # training rows at which methods are compared; None: no cell counts yet
    compared: tuple[str, ...]
    decision: Decision | None

    @classmethod
    def of(cls, coverage: Coverage, methods: tuple[str, ...]) -> "State":
        """Compare the cells that count."""
        rows, found = coverage.results.rows, coverage.found()
        groups = curves_of(found, rows, list(methods)) if rows is not None and found else {}
        counted = _counted(groups)
        samples = decision_size({key: len(group.seeds) for key, group in counted.items()})
        compared = tuple(method for method in methods if samples is not None and (method, samples) in counted)
        hits = [counted[method, samples].hits for method in compared if samples is not None]
        return cls(
            coverage=coverage,
            groups=groups,
            samples=samples,
            compared=compared,
            decision=choose(hits, confidence_level=CONFIDENCE_LEVEL, seed=RESAMPLING_SEED) if hits else None,
        )

    @property
    def trained(self) -> list[Trained]:
        """The finished cells, as planning sees them."""
        return [
            Trained(
                method=cell.method, samples=cell.samples, seed=cell.seed, seconds=float(result.numbers["train_seconds"])
            )
            for cell, result in self.coverage.found().items()
        ]

    @property
    def chances(self) -> dict[str, float]:
        """Of each method that was compared to be the best."""
        if self.decision is None:
            return {}
        return {name: option.chance for name, option in zip(self.compared, self.decision.options, strict=True)}

    def told(self) -> str:
        """The answer so far in a line; empty as long as there is none."""
        if self.decision is None or self.samples is None:
            return ""
        return so_far(self.compared, self.samples, self.decision)

    def worth(self) -> dict[tuple[str, int], float]:
        """Of one more seed."""
        if self.samples is None:
            return {}
        spreads = {key: (seed_spread(group.hits)[0], len(group.seeds)) for key, group in _counted(self.groups).items()}
        return worth_of_seed(spreads, self.chances, decided_at=self.samples)


def prepare(root: Path, study: StudyParams, *, dataset: str, model: str, methods: list[str], minutes: int) -> Answering:
    """Ask data and engine what can be trained, and how long there is.

    Raises:
        StudyError: If the data are not there or cannot be carved, or a model is not there.
    """
    until = time.monotonic() + 60 * minutes
    require_committed(root)
    pool = find_pool(root, dataset, [])
    if pool is None:
        raise StudyError(f"{paths.SOURCES}/{dataset} is not there; put the data into it, as its README.md says")
    say(str(pool))
    order, every = in_order(methods), ladder(pool)
    train = read_params("train", TrainView).train
    by_protocol = replace(train, protocol=study.protocol)

    def work(method: str, samples: int) -> float:
        return float(by_protocol.schedule(samples).steps if METHODS[method].by_steps else samples)

    return Answering(
        root=root,
        study=study,
        dataset=dataset,
        model=model,
        budget=Budget(
            sizes=affordable(every, seconds=60 * minutes, methods=order),
            methods=order,
            seeds=seeds_of(study.seeds, study.tuning.seeds, MOST_SEEDS),
            work=work,
        ),
        every=tuple(every),
        computations=resolved(root, order, model=model, precisions=study.precisions),
        until=until,
    )


def answer_within(asked: Answering) -> None:
    """Train as long as there is time, then write the pages and say the answer.

    Raises:
        StudyError: If there is nothing to tell, since no cell was finished.
    """
    state, beside, failed = _train(asked)
    if state.samples is None or state.decision is None:
        raise StudyError(_nothing(state, failed))
    _write(asked, state)
    say("")
    for sentence in advice_in_words(advise(asked, state, state.samples, state.decision, beside=beside, failed=failed)):
        say(sentence)


def advise(
    asked: Answering, state: State, samples: int, decision: Decision, *, beside: float, failed: Mapping[str, str]
) -> Advice:
    """The short answer, curves and all."""
    choice = state.compared[decision.best]
    more, refusal = _more(state.groups, choice)
    rows = state.coverage.results.rows
    return Advice(
        samples=samples,
        largest=asked.budget.sizes[-1],
        num_test_rows=0 if rows is None else len(rows.row_ids),
        methods=state.compared,
        num_seeds=tuple(len(state.groups[method][samples].seeds) for method in state.compared),
        decision=decision,
        more=more,
        refusal=refusal,
        not_compared=tuple(
            (
                method,
                f"it failed: {failed[method]}" if method in failed else _why_not(asked, state, method, samples, beside),
            )
            for method in asked.budget.methods
            if method not in state.compared
        ),
    )


def _train(asked: Answering) -> tuple[State, float, dict[str, str]]:
    """Cell by cell; returns the state, the seconds a cell takes beside training, and methods that failed, with why."""
    state = State.of(asked.stock(Results(rows=None, by_key={})), asked.budget.methods)
    say(f"{len(state.trained)} cells are there; sizes {', '.join(f'{size:,}' for size in asked.budget.sizes)}")
    beside: list[float] = []
    failed: dict[str, str] = {}
    last: Step | None = None
    while True:
        usual = median(beside) if beside else float(SECONDS_BESIDE_TRAINING)
        step = _next(asked, state, usual, failed)
        cheap = last is not None and step is not None and last.reason == step.reason == "cheap"
        if last is not None and not cheap and (told := state.told()):
            say(told)
        if step is None:
            return state, usual, failed
        last, cell = step, asked.cell(step.method, step.samples, step.seed)
        made = make_cell(asked.root, cell, asked.computations[cell.method][0], seconds=max(1.0, asked.left(usual)))
        if made is None:
            say(f"{_clock(asked)} {cell.name}: not finished in time; the next call goes on with it")
            return state, usual, failed
        say(f"{_clock(asked)} {cell.name}: {made.complaint or made.outcome}; {duration(made.seconds)}")
        state = State.of(asked.stock(state.coverage.results), asked.budget.methods)
        if result := state.coverage.found().get(cell):
            beside.append(max(0.0, made.seconds - float(result.numbers["train_seconds"])))
        else:
            failed[cell.method] = made.complaint or "no experiment holds what it computed"


def _next(asked: Answering, state: State, beside: float, failed: Mapping[str, str]) -> Step | None:
    methods = tuple(method for method in asked.budget.methods if method not in failed)
    worth = {key: value for key, value in state.worth().items() if key[0] in methods}
    return next_step(
        replace(asked.budget, methods=methods),
        state.trained,
        left=asked.left(beside),
        beside=beside,
        chances=state.chances,
        worth=worth,
    )


def _write(asked: Answering, state: State) -> None:
    """The pages and the record, of the finished cells alone."""
    from stages.study.report import PAGE, write_pages  # drawing: a slow import

    found = state.coverage.found()
    coverage = replace(state.coverage, cells={cell: state.coverage.cells[cell] for cell in found})
    study = replace(asked.study, methods=list(asked.budget.methods), contrasts=[])
    require_same_record(asked.dataset, coverage.results)
    write_results(asked.dataset, coverage.results)
    write_pages(coverage, study, with_sentences=False)
    say(f"the page of all {len(found)} cells: {PAGE}")


def _counted(groups: Groups) -> dict[tuple[str, int], Group]:
    return {
        (method, size): group for method, sizes in groups.items() for size, group in sizes.items() if not group.left_out
    }


def _more(groups: Groups, choice: str) -> tuple[MoreOfCurve | None, str]:
    """By the curve of the choice, else of the first method that has one; and why not that of the choice."""
    refusal = ""
    for method in (choice, *(name for name in groups if name != choice)):
        fit, fault = _fit({size: group for (name, size), group in _counted(groups).items() if name == method})
        refusal = refusal or fault
        if fit is not None:
            gains = tuple((times * fit.largest, gain(fit, times * fit.largest)) for times in MORE)
            return MoreOfCurve(method=method, samples=fit.largest, gains=gains), refusal
    return None, refusal


def _fit(sizes: Mapping[int, Group]) -> tuple[CurveFit | None, str]:
    """The curve beyond the labels at hand: what is asked is what further ones would bring."""
    try:
        fit = fit_curve(
            np.array(list(sizes), dtype=np.int64),
            tuple(group.hits for group in sizes.values()),
            confidence_level=CONFIDENCE_LEVEL,
            seed=RESAMPLING_SEED,
            seed_variance=USUAL_SEED_SD**2,
        )
    except StudyError as error:
        return None, str(error)
    return fit, ""


def _why_not(asked: Answering, state: State, method: str, samples: int, beside: float) -> str:
    sizes = state.groups.get(method, {})
    seconds = forecast(method, samples, state.trained, asked.budget.work, beside=beside)
    return why_not(list(sizes), seconds, sizes[samples].left_out if samples in sizes else "")


def _nothing(state: State, failed: Mapping[str, str]) -> str:
    if failed:
        return "; ".join(f"{method}: {reason}" for method, reason in failed.items())
    left_out = [group.left_out for sizes in state.groups.values() for group in sizes.values()]
    if left_out:
        return f"no cell was trained enough to say anything: {left_out[0]}"
    return "no cell was finished in this time; give the same command again, it goes on, or more --minutes"


def _clock(asked: Answering) -> str:
    return f"[{duration(max(0.0, asked.until - time.monotonic()))} left]"
