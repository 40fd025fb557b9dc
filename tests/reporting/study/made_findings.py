"""What a study might find, made up: nine sizes, three seeds, full fine-tuning at two sizes, both contrasts."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from stages.foundation.interval import Interval
from stages.reporting.study.findings import (
    Choice,
    Claim,
    Comparison,
    Curve,
    Difference,
    Findings,
    LabelsToTarget,
    Leak,
    MoreLabels,
    Point,
    PrecisionDifference,
    Sensitivity,
    Side,
    Slice,
    Trend,
)
from stages.scoring.mistakes import Mistake
from stages.statistics.calibration import Calibration, ReliabilityBin
from stages.statistics.curves import Backtest, CurveFit, FamilyFit
from stages.statistics.decision import Decision, Option
from stages.statistics.non_inferiority import NonInferiority
from stages.statistics.variance import Variance

SIZES = (250, 500, 1000, 2000, 4000, 8000, 16000, 32000, 56000)
SEEDS = (42, 43, 44)
ENDS = {"lora": (0.13, 2.0, 0.45), "full": (0.125, 2.1, 0.45), "head": (0.18, 1.1, 0.38), "tfidf": (0.16, 1.45, 0.26)}
PARAMETERS = {"lora": 74_498, "full": 22_788_484, "head": 770}
SPEED = {"lora": 0.0105, "full": 0.017, "head": 0.0021, "tfidf": 0.00006}  # seconds per row


def interval(value: float, reach: float, confidence_level: float = 0.95) -> Interval:
    return Interval(
        value=value, low=max(value - reach, -1.0), high=min(value + reach, 1.0), confidence_level=confidence_level
    )


def truth(method: str, samples: float) -> float:
    asymptote, scale, power = ENDS[method]
    return 1 - asymptote - scale * samples**-power


def calibration(method: str) -> Calibration:
    confidence = np.linspace(0.52, 0.99, 15)
    gap = {"lora": 0.09, "full": 0.13, "head": 0.02, "tfidf": -0.05}[method]
    bend = gap * np.sin(np.pi * (confidence - 0.45))
    rough = 0.015 * np.cos(7 * confidence)
    return Calibration(
        ece_of_noise=0.03,
        nll=0.41,
        brier=0.119,
        temperature=1 + 6 * gap,
        nll_after=0.352,
        brier_after=0.111,
        ece=interval(abs(gap) * 0.8 + 0.01, 0.015),
        ece_after=interval(0.021, 0.011),
        bins=_bins(confidence, confidence - bend + rough),
        bins_after=_bins(confidence - bend / 1.3, confidence - bend / 1.3 + rough),
    )


def _bins(confidence: np.ndarray, accuracy: np.ndarray) -> tuple[ReliabilityBin, ...]:
    right = np.clip(accuracy, 0, 1)
    return tuple(
        ReliabilityBin(confidence=float(first), accuracy=float(second), num_rows=174)
        for first, second in zip(confidence, right, strict=True)
    )


def point(
    method: str, samples: int, *, seeds: tuple[int, ...] = SEEDS, lift: float = 0.0, steps: float | None = None
) -> Point:
    accuracy = truth(method, samples) + lift
    spread = 0.006 * np.cos(samples + np.arange(len(seeds)))
    return Point(
        samples=samples,
        train_rows=samples,
        val_rows=0 if method == "tfidf" else 1000,
        seeds=seeds,
        accuracy=interval(accuracy, 0.021 + 2 / samples),
        seed_accuracies=tuple(float(accuracy + each) for each in spread),
        val_accuracy=accuracy + 0.012,
        calibration=calibration(method),
        train_seconds=round(SPEED[method] * samples * 4.5, 1),
        trainable_parameters=PARAMETERS.get(method, 18 * samples),
        steps=0.0 if method == "tfidf" else steps or float(np.ceil(samples / 32) * 4.33),
        left_out="",
        failed=(),
    )


def fit(method: str) -> CurveFit:
    sizes = np.geomspace(SIZES[0], 4 * SIZES[-1], 200)
    accuracy = np.array([truth(method, size) for size in sizes])
    reach = 0.012 + 0.012 * np.log(sizes / 4000) ** 2 / 10
    return CurveFit(
        sizes=sizes,
        accuracy=accuracy,
        low=accuracy - reach,
        high=accuracy + reach,
        draws=np.stack([accuracy - reach, accuracy, accuracy + reach]),
        confidence_level=0.95,
        families=(
            FamilyFit(name="pow3", weight=0.46, leave_one_out=0.0041),
            FamilyFit(name="pow4", weight=0.27, leave_one_out=0.0052),
            FamilyFit(name="mmf4", weight=0.17, leave_one_out=0.0063),
            FamilyFit(name="wbl4", weight=0.10, leave_one_out=0.0078),
            FamilyFit(name="last value", weight=0.0, leave_one_out=0.0214),
        ),
        backtests=(
            Backtest(
                largest_fitted=8000,
                predicted_size=56000,
                predicted=interval(truth(method, 56000) + 0.007, 0.019),
                observed=truth(method, 56000),
                last_value=truth(method, 8000),
            ),
        ),
        axis="rows",
        largest=SIZES[-1],
        reach=4 * SIZES[-1],
    )


def curve(method: str, sizes: tuple[int, ...] = SIZES) -> Curve:
    enough = len(sizes) >= 6
    return Curve(
        name=method,
        method=method,
        contrast="",
        points=tuple(point(method, samples) for samples in sizes),
        fit=fit(method) if enough else None,
        refusal="" if enough else f"{len(sizes)} sizes are too few for a fit, which takes six.",
    )


def contrasts() -> tuple[Curve, ...]:
    steps = tuple(point("lora", samples, lift=0.012 - 0.003 * at, steps=1750) for at, samples in enumerate(SIZES[1::2]))
    carved = (point("lora", 56000, lift=0.016),)
    refusal = "4 sizes are too few for a fit, which takes six."
    return (
        Curve(name="lora, 1,750 steps", method="lora", contrast="fixed_steps", points=steps, fit=None, refusal=refusal),
        Curve(name="lora, random carve", method="lora", contrast="random", points=carved, fit=None, refusal=refusal),
    )


def side(method: str, samples: int, contrast: str = "") -> Side:
    name = {"": method, "fixed_steps": f"{method}, 1,750 steps", "random": f"{method}, random carve"}[contrast]
    return Side(curve=name, method=method, contrast=contrast, samples=samples)


def difference(family: str, first: Side, second: Side, value: float, reach: float = 0.016) -> Difference:
    significant = abs(value) > reach
    return Difference(
        family=family,
        first=first,
        second=second,
        num_seeds=3,
        difference=interval(value, reach),
        gained=51.3,
        lost=39.7,
        p_value=0.0004 if significant else 0.21,
        p_holm=0.0032 if significant else 0.63,
        significant=significant,
        left_out=False,
    )


def differences() -> tuple[Difference, ...]:
    methods = [
        difference("methods", side("lora", rows), side(method, rows), truth("lora", rows) - truth(method, rows))
        for method, sizes in (("full", (8000, 56000)), ("head", SIZES), ("tfidf", SIZES))
        for rows in sizes
    ]
    sizes = [
        difference("sizes", side("lora", large), side("lora", small), truth("lora", large) - truth("lora", small))
        for small, large in pairwise(SIZES)
    ]
    steps = [
        difference("contrasts", side("lora", samples, "fixed_steps"), side("lora", samples), 0.012 - 0.003 * at)
        for at, samples in enumerate(SIZES[1::2])
    ]
    return (*methods, *sizes, *steps)


def comparisons() -> tuple[Comparison, ...]:
    def compare(samples: int, margin: float, value: float, verdict: str, needed: int | None) -> Comparison:
        result = NonInferiority(
            num_seeds_needed=None,
            margin=margin,
            difference=interval(value, 0.0135, 0.9),
            without_failed=None,
            variance=Variance(seed=1e-4, row=0.03, rest=0.04, num_seeds=3, num_rows=872),
            verdict=verdict,
            num_rows_needed=needed,
        )
        return Comparison(
            samples=samples,
            num_seeds=3,
            discordant=0.098,
            planned=samples == 56000,
            is_over=verdict != "inconclusive",
            chance=0.4 if verdict == "inconclusive" else None,
            failed=(),
            result=result,
        )

    return (
        compare(8000, 0.01, -0.0252, "inferior", None),
        compare(8000, 0.02, -0.0252, "inconclusive", 1550),
        compare(56000, 0.01, -0.0041, "inconclusive", 6059),
        compare(56000, 0.02, -0.0041, "non-inferior", None),
    )


def targets() -> tuple[LabelsToTarget, ...]:
    reach = 4.0 * SIZES[-1]

    def target(name: str, value: float, *labels: float | None) -> LabelsToTarget:
        low, middle, high = labels
        return LabelsToTarget(curve=name, target=value, low=low, value=middle, high=high, smallest=250, reach=reach)

    return (
        target("lora", 0.8, 812.3, 1184.0, 2010.7),
        target("lora", 0.85, 9120.0, 21650.0, None),
        target("lora", 0.9, None, None, None),
        target("tfidf", 0.8, 31020.0, None, None),
        target("tfidf", 0.85, None, None, None),
    )


def more_labels() -> tuple[MoreLabels, ...]:
    def bought(name: str, more: int, gain: float, target: float | None, chance: float) -> MoreLabels:
        return MoreLabels(
            curve=name,
            samples=56000,
            more=more,
            gain=interval(gain, 0.006),
            target=target,
            chance=chance,
            seconds=0.02 * (56000 + more),
        )

    return (
        bought("lora", 14000, 0.004, 0.9, 0.02),
        bought("lora", 56000, 0.009, 0.9, 0.11),
        bought("lora", 168000, 0.015, 0.9, 0.31),
        bought("tfidf", 56000, 0.01, None, 0.0),
    )


def slices() -> tuple[Slice, ...]:
    names = {
        "up to 9 words": 128,
        "10 to 19 words": 341,
        "20 words and more": 403,
        "with a negation": 187,
        "without a negation": 685,
        "class negative": 428,
        "class positive": 444,
    }
    return tuple(
        Slice(
            curve=method,
            samples=56000,
            name=name,
            num_rows=rows,
            accuracy=interval(truth(method, 56000) + 0.02 - 0.009 * at, 0.9 / rows**0.5),
        )
        for method in ("lora", "full", "head", "tfidf")
        for at, (name, rows) in enumerate(names.items())
    )


def mistakes() -> tuple[Mistake, ...]:
    texts = (
        "no one but a convict guilty of some truly heinous crime should have sat through this <film> & liked it",
        "",
        "a gripping | movie, played with performances that are all *understated* and touching @midnight #1",
    )
    return tuple(
        Mistake(
            row_id=17 * at + 3,
            num_wrong=3,
            num_seeds=3,
            confidence=0.995 - 0.01 * at,
            actual="negative",
            predicted="positive",
            sentence=text,
        )
        for at, text in enumerate(texts)
    )


def leaks() -> tuple[Leak, ...]:
    def leak(samples: int, overlap: float, gap: float) -> Leak:
        return Leak(
            method="lora",
            samples=samples,
            num_seeds=3,
            overlap_grouped=0.0,
            overlap_random=overlap,
            val_grouped=0.878,
            val_random=0.878 + gap,
            test_grouped=0.861,
            test_random=0.866,
            kept_grouped=3.0,
            kept_random=3.3,
        )

    return leak(8000, 0.641, 0.017), leak(56000, 0.993, 0.038)


def choices() -> tuple[Choice, ...]:
    def option(accuracy: float, chance: float, loss: float) -> Option:
        return Option(accuracy=interval(accuracy, 0.02), chance=chance, loss=loss)

    three = Decision(
        options=(option(0.85, 0.3, 0.004), option(0.855, 0.7, 0.001), option(0.78, 0, 0.07)), best=1, rivalry=None
    )
    alone = Decision(options=(option(0.61, 1.0, 0.0),), best=0, rivalry=None)
    return (
        Choice(samples=250, methods=("tfidf",), decision=alone),
        Choice(samples=8000, methods=("lora", "full", "tfidf"), decision=three),
    )


def sensitivities() -> tuple[Sensitivity, ...]:
    def tried(method: str, samples: int, best: int) -> Sensitivity:
        values = tuple((0.0005 if method == "lora" else 1.0) * factor for factor in (0.25, 0.5, 1, 2, 4))
        losses = tuple(0.3 + 0.05 * (at - best) ** 2 + 200 / samples for at in range(5))
        name = "learning rate" if method == "lora" else "inverse regularization"
        return Sensitivity(
            method=method,
            samples=samples,
            tuned=name,
            values=values,
            losses=losses,
            num_seeds=1,
            chosen=values[best],
        )

    return (tried("lora", 1000, 3), tried("lora", 8000, 2), tried("lora", 56000, 1), tried("tfidf", 8000, 4))


def claim() -> Claim:
    return Claim(
        file="metrics/study/sst2-files-minilm.claim.yaml",
        digest="5ad1c0ffee00",
        data="0123.dir",
        protocol="trained",
        tuned=True,
        sizes=(56000,),
        margins=(0.01, 0.02),
        alpha=0.05,
        seeds=(42, 43, 44, 45, 46),
        looks=(3, 5),
    )


def study() -> Findings:
    """A study that is nearly finished."""
    return Findings(
        dataset="sst2-files",
        model="minilm",
        synthetic=False,
        protocol="seed",
        tuned=False,
        num_test_rows=872,
        choices=choices(),
        curves=(curve("lora"), curve("full", (8000, 56000)), curve("head"), curve("tfidf"), *contrasts()),
        differences=differences(),
        trends=tuple(Trend(curve=name, num_seeds=3, num_sizes=9, p_value=2e-5) for name in ("lora", "head", "tfidf")),
        claim=claim(),
        comparisons=comparisons(),
        targets=targets(),
        more_labels=more_labels(),
        slices=slices(),
        mistakes=mistakes(),
        leaks=leaks(),
        sensitivities=sensitivities(),
        pooled_precisions=("bf16", "fp32"),
        precisions=(
            PrecisionDifference(
                curve="lora",
                samples=1000,
                first="bf16",
                second="fp32",
                num_seeds=3,
                difference=interval(0.004, 0.012),
                reclassified=0.052,
            ),
        ),
        provenance=(
            ("data set", "sst2-files, 67,349 rows read, 57,368 in the largest balanced subset"),
            ("model", "minilm, sentence-transformers/all-MiniLM-L6-v2@c9745ed1d9f207416be6d2e6f8de32d1f16199bf"),
            ("seeds", "42, 43, 44"),
            ("commit", "8c89c30d5d1b5ef0a4f5a8a1df41de9f0f5a2f10"),
            ("versions", "Python 3.11.2, torch 2.9.1, transformers 4.57.3, scikit-learn 1.8.0"),
            ("hardware", "Intel Xeon, 1 thread, bf16"),
        ),
        missing=tuple(f"sst2-files-minilm-full-n{samples}-s{seed}" for samples in SIZES[:4] for seed in SEEDS),
        stale=("sst2-56000 (9d2f0ab): other code", "sst2-8000 (9d2f0ab): other params, code"),
        confidence_level=0.95,
    )


def with_left_out() -> Findings:
    """LoRA was not trained enough at its two smallest sizes, and one of its runs at 2,000 rows failed."""
    found = study()
    lora = found.curves[0]
    points = [
        replace(each, left_out="validation loss 0.69, where knowing nothing is 0.69") if each.samples <= 500 else each
        for each in lora.points
    ]
    points[3] = replace(points[3], failed=((44, "validation accuracy 70.1 %, where the median is 85.0 %"),))
    return replace(found, curves=(replace(lora, points=tuple(points)), *found.curves[1:]))


def bare() -> Findings:
    """A study of which nothing is finished."""
    nothing = dict.fromkeys(
        (
            *("choices", "curves", "differences", "trends", "comparisons", "targets"),
            *("more_labels", "slices", "mistakes", "leaks", "sensitivities", "stale"),
        ),
        (),
    )
    return replace(study(), **nothing)


def one_seed() -> Findings:
    """Two methods at three sizes, one seed: no fit, no comparison, no contrast."""
    few = tuple(
        replace(
            curve(method, (1000, 8000, 56000)),
            points=tuple(point(method, samples, seeds=(42,)) for samples in (1000, 8000, 56000)),
        )
        for method in ("lora", "tfidf")
    )
    return replace(
        study(),
        synthetic=True,
        choices=(),
        curves=few,
        differences=(difference("methods", side("lora", 8000), side("tfidf", 8000), 0.03),),
        trends=(),
        claim=None,
        comparisons=(),
        targets=(),
        more_labels=(),
        slices=(),
        mistakes=(),
        leaks=(),
        sensitivities=(),
        missing=(),
        stale=(),
    )
