"""What is held against what: methods, sizes and contrasts, each pair on the same seeds and test rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from stages.reporting.study.findings import (
    Claim,
    Comparison,
    Difference,
    Family,
    Leak,
    PrecisionDifference,
    Side,
    Trend,
)
from stages.statistics.bootstrap import two_way_difference
from stages.statistics.non_inferiority import judge
from stages.statistics.significance import holm, page_trend
from stages.study.cells import Cell
from stages.study.groups import Group, Groups, paired
from stages.study.store import Result, RowFacts

CLAIM = ("lora", "full")  # the first is asked to be as good as the second


def differences(groups: Groups, confidence_level: float) -> list[Difference]:
    """Paired differences, p-values corrected within each family."""
    own = {name: sizes for name, sizes in groups.items() if _contrast(sizes) == ""}
    families: dict[Family, list[tuple[Group, Group]]] = {
        "methods": list(_methods(own)),
        "sizes": list(_sizes(own)),
        "contrasts": [(other, plain) for plain, other in _contrasts(groups)],
    }
    return [one for family, pairs in families.items() for one in _family(family, pairs, confidence_level)]


def comparisons(groups: Groups, margins: Sequence[float], claim: Claim | None) -> list[Comparison]:
    """Whether LoRA is as good as full fine-tuning, at every size where both count and at every margin."""
    first, second = (
        {size: group for size, group in groups.get(name, {}).items() if not group.left_out} for name in CLAIM
    )
    pairs = {size: pair for size in first if size in second and (pair := paired(first[size], second[size]))}
    found = []
    for size, (one, other) in pairs.items():
        failed = sorted((first[size].failed.keys() | second[size].failed.keys()) & set(one.seeds))
        found += [
            Comparison(
                samples=size,
                num_seeds=len(one.seeds),
                discordant=float((one.hits != other.hits).mean()),
                primary=Claim(samples=size, seeds=one.seeds) == claim and margin == margins[0],
                failed=tuple(failed),
                result=judge(one.hits, other.hits, margin=margin, failed=np.isin(one.seeds, failed)),
            )
            for margin in margins
        ]
    return found


def claim_of(cells: Iterable[Cell]) -> Claim | None:
    """The one comparison that the grid itself fixes: its largest size with both methods, on all its seeds there."""
    seeds: dict[int, dict[str, set[int]]] = {}
    for cell in cells:
        if cell.method in CLAIM and not cell.contrast:
            seeds.setdefault(cell.samples, {}).setdefault(cell.method, set()).add(cell.seed)
    common = {size: set.intersection(*by_method.values()) for size, by_method in seeds.items() if len(by_method) == 2}
    largest = max((size for size, shared in common.items() if shared), default=None)
    return None if largest is None else Claim(samples=largest, seeds=tuple(sorted(common[largest])))


def precision_differences(
    twins: Iterable[Sequence[Result]], rows: RowFacts, confidence_level: float
) -> list[PrecisionDifference]:
    """What number formats make of the same cells, curve by curve and size by size.

    Args:
        twins: Of each cell its results, one for each format, the preferred first.
        rows: The test rows that all share.
        confidence_level: Of the intervals.
    """
    pairs: dict[tuple[str, int, str, str], list[tuple[Result, Result]]] = {}
    for first, *others in (results for results in twins if results):
        for second in others:
            key = (first.cell.curve, first.cell.samples, first.precision, second.precision)
            pairs.setdefault(key, []).append((first, second))
    found = []
    for (curve, samples, *precisions), both in sorted(pairs.items()):
        left, right = (Group(results=side, labels=rows.labels) for side in zip(*both, strict=True))
        interval, _ = two_way_difference(left.hits, right.hits, confidence_level=confidence_level)
        found.append(
            PrecisionDifference(
                curve=curve,
                samples=samples,
                first=precisions[0],
                second=precisions[1],
                num_seeds=len(both),
                difference=interval,
                reclassified=float((left.predicted != right.predicted).mean()),
            )
        )
    return found


def trends(groups: Groups) -> list[Trend]:
    """Page's test over the sizes that have all of a curve's seeds; three sizes and two seeds at least."""
    found = []
    for name, sizes in groups.items():
        seeds = set().union(*(group.seeds for group in sizes.values()))
        complete = [group for group in sizes.values() if set(group.seeds) == seeds]
        if len(complete) < 3 or len(seeds) < 2:
            continue
        accuracies = np.stack([group.hits.mean(axis=1) for group in complete], axis=1)
        found.append(Trend(curve=name, num_seeds=len(seeds), num_sizes=len(complete), p_value=page_trend(accuracies)))
    return found


def leaks(groups: Groups) -> list[Leak]:
    """The random carve beside the grouped partition, on common seeds."""
    found = []
    for grouped, carved in _contrasts(groups, contrast="random"):
        found.append(
            Leak(
                method=grouped.cell.method,
                samples=grouped.cell.samples,
                num_seeds=len(grouped.seeds),
                overlap_grouped=_overlap(grouped),
                overlap_random=_overlap(carved),
                val_grouped=float(np.mean(grouped.numbers("val_accuracy"))),
                val_random=float(np.mean(carved.numbers("val_accuracy"))),
                test_grouped=float(grouped.hits.mean()),
                test_random=float(carved.hits.mean()),
                kept_grouped=float(np.mean(grouped.numbers("best_epoch"))),
                kept_random=float(np.mean(carved.numbers("best_epoch"))),
            )
        )
    return found


def _methods(groups: Groups) -> Iterator[tuple[Group, Group]]:
    """The first method against every other, size by size."""
    names = list(groups)
    for name in names[1:]:
        for size, group in groups[name].items():
            if size in groups[names[0]] and (pair := paired(groups[names[0]][size], group)):
                yield pair


def _sizes(groups: Groups) -> Iterator[tuple[Group, Group]]:
    """Each size of the first method against the next smaller."""
    for smaller, larger in pairwise(next(iter(groups.values()), {}).values()):
        if pair := paired(larger, smaller):
            yield pair


def _contrasts(groups: Groups, contrast: str = "") -> Iterator[tuple[Group, Group]]:
    """params.yaml's own protocol and each other one, at the same method, size and seeds."""
    for sizes in groups.values():
        for size, group in sizes.items():
            own = groups.get(group.cell.method, {}).get(size)
            if _contrast(sizes) and contrast in ("", _contrast(sizes)) and own and (pair := paired(own, group)):
                yield pair


def _family(name: Family, pairs: Sequence[tuple[Group, Group]], confidence_level: float) -> list[Difference]:
    measured = []
    for first, second in pairs:
        interval, p_value = two_way_difference(first.hits, second.hits, confidence_level=confidence_level)
        measured.append((first, second, interval, p_value))
    corrected = holm(np.array([p_value for *_, p_value in measured]))
    return [
        Difference(
            family=name,
            first=_side(first),
            second=_side(second),
            num_seeds=len(first.seeds),
            difference=interval,
            gained=float((first.hits & ~second.hits).sum(axis=1).mean()),
            lost=float((~first.hits & second.hits).sum(axis=1).mean()),
            p_value=p_value,
            p_holm=float(p_holm),
            significant=bool(p_holm < 1 - confidence_level),
            left_out=bool(first.left_out or second.left_out),
        )
        for (first, second, interval, p_value), p_holm in zip(measured, corrected, strict=True)
    ]


def _side(group: Group) -> Side:
    cell = group.cell
    return Side(curve=cell.curve, method=cell.method, contrast=cell.contrast, samples=cell.samples)


def _contrast(sizes: Mapping[int, Group]) -> str:
    return next(iter(sizes.values())).cell.contrast


def _overlap(group: Group) -> float:
    return float(np.mean(group.numbers("subset_val_any")) / np.mean(group.numbers("val_rows")))
