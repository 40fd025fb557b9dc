"""From finished cells to all that the answer page tells."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.split import read_split
from stages.methods import METHODS
from stages.reporting.study.findings import Choice, Claim, Curve, Findings, LabelsToTarget, MoreLabels, Point
from stages.statistics.bootstrap import two_way_bootstrap
from stages.statistics.calibration import calibrate
from stages.statistics.curves import CurveFit, chance_of, fit_curve, gain, labels_to_target
from stages.statistics.decision import choose
from stages.study.cells import StudyParams
from stages.study.collect import Coverage
from stages.study.contrasts import (
    comparisons,
    differences,
    leaks,
    precision_differences,
    trends,
)
from stages.study.groups import Group, Groups, curves_of
from stages.study.provenance import provenance
from stages.study.slices import mistakes, slices
from stages.study.store import Result, RowFacts
from stages.study.tune import Trial, sensitivities

RESAMPLING_SEED = 1  # of the calibration's intervals and the curves' draws, so that the page repeats
MORE = (0.25, 1, 3)  # times the labels of the largest size
CONFIDENCE_LEVEL = 0.95  # of every interval but the verdicts', and 1 less the level at which a gain counts as shown


def analyse(
    coverage: Coverage,
    study: StudyParams,
    *,
    with_sentences: bool,
    claim: Claim | None = None,
    trials: Sequence[Trial] = (),
) -> Findings:
    """Compute everything.

    Args:
        coverage: The cells.
        study: Of params.yaml, with what the command line says.
        with_sentences: Whether the worst errors have their texts.
        claim: What was fixed before its cells ran.
        trials: What tuning tried.

    Raises:
        StudyError: If no cell is finished, or the texts are asked for and are not those of the results.
    """
    rows, found = coverage.results.rows, coverage.found()
    if rows is None or not found:
        raise StudyError("no cell of this grid is finished; make them with `python -m stages.study run`")
    groups = curves_of(found, rows, list(study.methods))
    curves = tuple(_curve(name, sizes) for name, sizes in groups.items())
    largest = [sizes[max(sizes)] for sizes in groups.values() if not _first(sizes).cell.contrast]
    cell = next(iter(found))
    return Findings(
        dataset=cell.dataset,
        model=cell.model,
        synthetic=bool(_first(next(iter(groups.values()))).results[0].numbers["synthetic"]),
        protocol=study.protocol,
        tuned=study.tuned,
        num_test_rows=len(rows.row_ids),
        choices=tuple(_choices(groups)),
        curves=curves,
        differences=tuple(differences(groups, CONFIDENCE_LEVEL)),
        trends=tuple(trends(groups)),
        claim=claim,
        comparisons=tuple(comparisons(groups, study.margins, claim)),
        targets=tuple(_targets(curves, study)),
        more_labels=tuple(_more_labels(curves, study)),
        slices=tuple(part for group in largest for part in slices(group, rows, CONFIDENCE_LEVEL)),
        mistakes=tuple(mistakes(largest[0], rows, _sentences(rows) if with_sentences else {})) if largest else (),
        leaks=tuple(leaks(groups)),
        sensitivities=tuple(sensitivities(trials, study, model=cell.model)),
        pooled_precisions=_pooled(found.values()),
        precisions=tuple(
            precision_differences(map(coverage.in_each_precision, coverage.cells), rows, CONFIDENCE_LEVEL)
        ),
        provenance=tuple(provenance(list(found.values()))),
        missing=tuple(cell.name for cell in coverage.missing),
        stale=tuple(coverage.stale),
        confidence_level=CONFIDENCE_LEVEL,
    )


def _choices(groups: Groups) -> list[Choice]:
    """At each size the decision among the methods that count there."""
    own = {name: sizes for name, sizes in groups.items() if not _first(sizes).cell.contrast}
    found = []
    for samples in sorted({size for sizes in own.values() for size in sizes}):
        hits = {
            name: sizes[samples].hits for name, sizes in own.items() if samples in sizes and not sizes[samples].left_out
        }
        if hits:
            decision = choose(list(hits.values()), confidence_level=CONFIDENCE_LEVEL, seed=RESAMPLING_SEED)
            found.append(Choice(samples=samples, methods=tuple(hits), decision=decision))
    return found


def curve_table(findings: Findings) -> pd.DataFrame:
    """The learning curves as `dvc plots` draws them: a row per curve and size, fractions."""
    records = [
        {
            "method": curve.name,
            "train_rows": point.samples,
            "accuracy": point.accuracy.value,
            "accuracy_low": point.accuracy.low,
            "accuracy_high": point.accuracy.high,
        }
        for curve in findings.curves
        for point in curve.points
    ]
    return pd.DataFrame(records)


def _pooled(results: Iterable[Result]) -> tuple[str, ...]:
    """The number formats of the cells of methods that leave a choice of them."""
    named = sorted({result.precision for result in results if METHODS[result.cell.method].computation is None})
    return tuple(named) if len(named) > 1 else ()


def _curve(name: str, sizes: Mapping[int, Group]) -> Curve:
    cell = _first(sizes).cell
    fit, refusal = _fit(sizes) if not cell.contrast else (None, "a contrast, not fitted")
    return Curve(
        name=name,
        method=cell.method,
        contrast=cell.contrast,
        points=tuple(_point(group) for group in sizes.values()),
        fit=fit,
        refusal=refusal,
    )


def _fit(sizes: Mapping[int, Group]) -> tuple[CurveFit | None, str]:
    """The curve through the sizes that count, up to the labels that there are, as far as the cells tell."""
    counted = {size: group for size, group in sizes.items() if not group.left_out}
    pools = [
        int(result.numbers["pool_rows"])
        for group in counted.values()
        for result in group.results
        if result.numbers.get("pool_rows")
    ]
    try:
        fit = fit_curve(
            np.array(list(counted), dtype=np.int64),
            tuple(group.hits for group in counted.values()),
            confidence_level=CONFIDENCE_LEVEL,
            seed=RESAMPLING_SEED,
            most_rows=max(pools, default=None),
            sources=_sources(list(counted.values())),
        )
    except StudyError as error:
        return None, str(error)
    return fit, ""


def _sources(groups: Sequence[Group]) -> NDArray[np.float64] | None:
    """(K,) source sentences at each size, mean over the seeds; None where cells take part that did not count them."""
    if not all(result.numbers.get("sources") for group in groups for result in group.results):
        return None
    means = np.array([np.mean(group.numbers("sources")) for group in groups])
    return np.maximum.accumulate(means)


def _point(group: Group) -> Point:
    hits = group.hits
    train_rows, val_rows = (int(np.median(group.numbers(name))) for name in ("train_rows", "val_rows"))
    chose = METHODS[group.cell.method].by_steps or train_rows < group.cell.samples
    return Point(
        samples=group.cell.samples,
        train_rows=train_rows,
        val_rows=val_rows if chose else 0,
        seeds=group.seeds,
        accuracy=two_way_bootstrap(hits, confidence_level=CONFIDENCE_LEVEL),
        seed_accuracies=tuple(hits.mean(axis=1).tolist()),
        val_accuracy=float(np.mean(group.numbers("val_accuracy"))),
        calibration=calibrate(
            group.logits.astype(np.float64),
            group.labels,
            np.array(group.numbers("temperature")),
            confidence_level=CONFIDENCE_LEVEL,
            seed=RESAMPLING_SEED,
        ),
        train_seconds=float(np.median(group.numbers("train_seconds"))),
        trainable_parameters=int(np.median(group.numbers("trainable_parameters"))),
        steps=float(np.mean(group.numbers("steps"))),
        left_out=group.left_out,
        failed=tuple(group.failed.items()),
    )


def _targets(curves: tuple[Curve, ...], study: StudyParams) -> list[LabelsToTarget]:
    found = []
    for curve in curves:
        if curve.fit is None:
            continue
        for target in study.targets:
            low, value, high = labels_to_target(curve.fit, target)
            found.append(
                LabelsToTarget(
                    curve=curve.name,
                    target=target,
                    low=low,
                    value=value,
                    high=high,
                    smallest=round(curve.fit.sizes[0]),
                    reach=float(curve.fit.reach),
                )
            )
    return found


def _more_labels(curves: tuple[Curve, ...], study: StudyParams) -> list[MoreLabels]:
    """A quarter more than the largest size, twice and four times as many, as far as the curve reaches."""
    found = []
    for curve in curves:
        if curve.fit is None:
            continue
        last = next(point for point in curve.points if point.samples == curve.fit.largest)
        ahead = [target for target in sorted(study.targets) if target > last.accuracy.value]
        for more in (round(times * last.samples) for times in MORE):
            samples = last.samples + more
            if samples <= curve.fit.reach:
                found.append(
                    MoreLabels(
                        curve=curve.name,
                        samples=last.samples,
                        more=more,
                        gain=gain(curve.fit, more),
                        target=ahead[0] if ahead else None,
                        chance=chance_of(curve.fit, ahead[0], samples) if ahead else 0.0,
                        seconds=last.train_seconds * samples / last.samples,
                    )
                )
    return found


def _sentences(rows: RowFacts) -> dict[int, str]:
    """The texts of the test rows, as the workspace's own experiment holds them."""
    test = read_split(paths.TEST)
    if not np.array_equal(test.row_ids, rows.row_ids) or not np.array_equal(test.labels, rows.labels):
        raise StudyError(f"{paths.TEST} holds another data set's rows; run `dvc exp run` with this one first")
    return dict(zip(test.row_ids.tolist(), test.sentences, strict=True))


def _first(sizes: Mapping[int, Group]) -> Group:
    return next(iter(sizes.values()))
