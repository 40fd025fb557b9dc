"""The claim file: what is asked of LoRA, fixed and committed before the cells run that are to tell it.

A cell counts for the claim if the commit that it was made on held the file, to the letter: so `gather` notes the file's
digest with every cell. What anybody asks of a command line moves nothing of it; all other comparisons are told as not
planned.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from stages.foundation.errors import StudyError, check
from stages.foundation.files import read_yaml, write_text
from stages.foundation.schema import build
from stages.reporting.study.findings import Claim
from stages.study.cells import Cell, Protocol, StudyParams
from stages.study.contrasts import CLAIM
from stages.study.repository import git
from stages.study.store import claim_digest, claim_file

ALPHA = 0.05  # of each size and margin, over all its looks
HEAD = "# Fixed before its cells ran. `python -m stages.study run --until-settled` makes what it still needs.\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimFile:
    """The first method is worse than the second by less than the margin, at each size: is that so?"""

    dataset: str
    data: str  # digest of the source's files, so of the test rows
    test_rows: int
    model: str
    protocol: Protocol  # as train.protocol
    tuned: bool  # whether `tune` chose the learning rates
    methods: list[str]  # on trial, and held against
    sizes: list[int]  # training rows
    margins: list[float]  # accuracy, fraction; each is judged, and the first is told first
    alpha: float  # chance of calling the first non-inferior where it is worse by the margin; of each size and margin
    seeds: list[int]  # in the order in which they count
    looks: list[int]  # seeds at each look

    def __post_init__(self) -> None:
        check(tuple(self.methods) == CLAIM, f"methods must be {list(CLAIM)}, got {self.methods}")
        rises = all(low < high for low, high in zip([1, *self.looks], self.looks, strict=False))
        check(bool(self.looks) and rises, f"looks must rise from 2 on, got {self.looks}")
        fits = len(self.seeds) == self.looks[-1] == len(set(self.seeds))
        check(fits, f"seeds must be as many as the last look, {self.looks[-1]}, and differ, got {self.seeds}")
        check(bool(self.sizes) and bool(self.margins), "sizes and margins must name one at least")
        for value in (self.alpha, *self.margins):
            check(0 < value < 1, f"margins and alpha are fractions between 0 and 1, got {value}")

    def cells(self, num_seeds: int, samples: int, values: Mapping[tuple[str, int], float]) -> list[Cell]:
        """Both methods on the first seeds at one size; `values` holds what tuning chose, by method and size."""
        return [
            Cell(
                dataset=self.dataset,
                model=self.model,
                method=method,
                protocol=self.protocol,
                samples=samples,
                seed=seed,
                tuned=values.get((method, samples)),
            )
            for seed in self.seeds[:num_seeds]
            for method in self.methods
        ]


def propose(
    study: StudyParams, *, dataset: str, model: str, data: str, test_rows: int, seeds: Sequence[int]
) -> ClaimFile:
    """The claim that the section `study` describes, on the seeds given."""
    return ClaimFile(
        dataset=dataset,
        data=data,
        test_rows=test_rows,
        model=model,
        protocol=study.protocol,
        tuned=study.tuned,
        methods=list(CLAIM),
        sizes=sorted(study.sizes),
        margins=list(study.margins),
        alpha=ALPHA,
        seeds=list(seeds[: study.looks[-1]]),
        looks=list(study.looks),
    )


def require_unseen(cells: Sequence[Cell], missing: Collection[Cell]) -> None:
    """Refuse to fix a claim on cells whose numbers are there: nothing about them is fixed beforehand any more.

    Raises:
        StudyError: If cells are there; says which seeds to leave out.
    """
    seen = sorted({cell.seed for cell in cells if cell not in missing})
    if seen:
        free = max(cell.seed for cell in cells) + 1
        raise StudyError(
            f"cells of seed {', '.join(map(str, seen))} are finished already, so that a claim about them would not be "
            f"fixed beforehand; take others, e.g. --seeds {free}-{free + len({cell.seed for cell in cells}) - 1}"
        )


def write_claim(claim: ClaimFile) -> Path:
    """Write the file of a claim; one that is there and says something else is never replaced.

    Raises:
        StudyError: If another claim is fixed already.
    """
    file = claim_file(claim.dataset, claim.model)
    if file.is_file() and read_claim_file(file) != claim:
        raise StudyError(
            f"{file} fixes another claim. Cells made under it would no longer count as planned: to ask anew, on cells "
            "that nobody has seen, `git rm` it, commit, and give this command again"
        )
    write_text(file, HEAD + yaml.safe_dump(asdict(claim), sort_keys=False, default_flow_style=None, width=120))
    return file


def read_claim_file(file: Path) -> ClaimFile:
    """Read a claim file, strictly.

    Raises:
        StudyError: If it is not as `ClaimFile` says.
    """
    found: ClaimFile = build(ClaimFile, read_yaml(file), file)
    return found


def read_claim(dataset: str, model: str) -> Claim | None:
    """The claim about a data set and a model as the pages tell it; None where none was fixed."""
    file = claim_file(dataset, model)
    if not file.is_file():
        return None
    told = read_claim_file(file)
    return Claim(
        file=file.as_posix(),
        digest=claim_digest(file.read_text(encoding="utf-8")),
        data=told.data,
        protocol=told.protocol,
        tuned=told.tuned,
        sizes=tuple(told.sizes),
        margins=tuple(told.margins),
        alpha=told.alpha,
        seeds=tuple(told.seeds),
        looks=tuple(told.looks),
    )


def committed_claim(root: Path, dataset: str, model: str) -> ClaimFile:
    """The claim that the last commit holds.

    Raises:
        StudyError: If there is none, or it is not committed as it is.
    """
    file = claim_file(dataset, model)
    if not (root / file).is_file():
        raise StudyError(
            f"no claim is fixed: there is no {file}. `python -m stages.study claim --sizes ...` writes it; commit it, "
            "then give this command again"
        )
    if git(root, "status", "--porcelain", "--", str(file)):
        raise StudyError(f"{file} is not in the last commit as it is; `git add {file}`, commit, then give this again")
    return read_claim_file(root / file)
