"""The answer page, section by section: the answer first, then what it rests on."""

from stages.reporting.document import Block, Bullets, Document, Prose, Section
from stages.reporting.numbers import count
from stages.reporting.study.answer import answer, caveats
from stages.reporting.study.choices import choices
from stages.reporting.study.claims import differences, every_difference, labels, verdicts
from stages.reporting.study.evidence import (
    calibration,
    cost,
    every_point,
    fixed_steps,
    labels_paid,
    leak,
    learning_curve,
    mistakes,
    provenance,
    slices,
)
from stages.reporting.study.findings import Findings
from stages.reporting.study.tuning import tuning
from stages.reporting.words import SYNTHETIC


def study_document(findings: Findings) -> Document:
    """Everything that the page says."""
    sections = (
        _opening(findings),
        choices(findings),
        verdicts(findings),
        labels(findings),
        labels_paid(findings),
        learning_curve(findings),
        differences(findings),
        fixed_steps(findings),
        calibration(findings),
        cost(findings),
        slices(findings),
        mistakes(findings),
        leak(findings),
        tuning(findings),
        provenance(findings),
        every_difference(findings),
        every_point(findings),
    )
    return Document(f"{findings.dataset}: how many labels, and which method? ({findings.model})", sections)


def _opening(findings: Findings) -> Section:
    """The headline, and what must be read with it."""
    headline, *further = answer(findings)
    blocks: list[Block] = [Prose(headline, "answer")]
    if findings.synthetic:
        blocks.append(SYNTHETIC)
    if further:
        blocks.append(Bullets(tuple(further)))
    blocks += [Prose("What to keep in mind:", "lead"), Bullets(tuple(caveats(findings)))]
    if findings.missing:
        number = len(findings.missing)
        cells = "1 cell of the grid is" if number == 1 else f"{count(number)} cells of the grid are"
        blocks.append(Prose(f"{cells} not finished, see “How it was made”."))
    return Section("", tuple(blocks))
