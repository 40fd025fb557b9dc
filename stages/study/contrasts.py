"""What is held against what: methods, sizes and contrasts, each pair on the same seeds and test rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import pairwise, takewhile

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
from stages.statistics.non_inferiority import NonInferiority, judge
from stages.statistics.sequential import judge_looks
from stages.statistics.significance import holm, page_trend
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
    """Whether LoRA is as good as full fine-tuning, at every size where both count and at every margin.

    What the claim fixed is judged at its looks, on cells that ran under it alone; all else on all seeds that there are.
    """
    first, second = (
        {size: group for size, group in groups.get(name, {}).items() if not group.left_out} for name in CLAIM
    )
    found = []
    for size in first:
        if size not in second or (pair := paired(first[size], second[size])) is None:
            continue
        failed = {*first[size].failed, *second[size].failed}
        planned = [] if claim is None else _planned(*pair, failed, claim)
        judged = {one.result.margin for one in planned}
        found += [*planned, *(_unplanned(*pair, failed, margin) for margin in margins if margin not in judged)]
    return found


def _planned(first: Group, second: Group, failed: Set[int], claim: Claim) -> list[Comparison]:
    """What the claim fixed, as far as its cells ran under it; nothing before the first look."""
    if first.cell.samples not in claim.sizes:
        return []
    under = {
        seed
        for seed, *results in zip(first.seeds, first.results, second.results, strict=True)
        if all(_ran_under(result, claim) for result in results)
    }
    order = list(takewhile(under.__contains__, claim.seeds))
    at = [first.seeds.index(seed) for seed in order]
    hits, fell = (first.hits[at], second.hits[at]), np.isin(order, list(failed))
    found = []
    for margin in claim.margins:
        looked = judge_looks(*hits, margin=margin, looks=claim.looks, failed=fell, alpha=claim.alpha)
        if looked is not None:
            counted = set(order[: looked.num_seeds])
            found.append(
                _comparison(
                    first.only(counted),
                    second.only(counted),
                    failed,
                    looked.result,
                    planned=True,
                    is_over=looked.is_over,
                    chance=looked.chance,
                )
            )
    return found


def _ran_under(result: Result, claim: Claim) -> bool:
    cell = result.cell
    same = (cell.protocol, cell.tuned is not None) == (claim.protocol, claim.tuned)
    return same and result.numbers.get("claim") == claim.digest and result.numbers["data"] == claim.data


def _unplanned(first: Group, second: Group, failed: Set[int], margin: float) -> Comparison:
    result = judge(first.hits, second.hits, margin=margin, failed=np.isin(first.seeds, list(failed)))
    return _comparison(first, second, failed, result, planned=False, is_over=True, chance=None)


def _comparison(
    first: Group,
    second: Group,
    failed: Set[int],
    result: NonInferiority,
    *,
    planned: bool,
    is_over: bool,
    chance: float | None,
) -> Comparison:
    return Comparison(
        samples=first.cell.samples,
        num_seeds=len(first.seeds),
        discordant=float((first.hits != second.hits).mean()),
        planned=planned,
        is_over=is_over,
        chance=chance,
        failed=tuple(sorted(failed & set(first.seeds))),
        result=result,
    )


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
