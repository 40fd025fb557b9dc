"""What report reads from params.yaml: the sections of the stages whose settings it repeats, as they read them."""

from dataclasses import dataclass

from stages.corpus.params import SubsampleParams
from stages.engine.params import EvaluateParams
from stages.foundation.errors import check_param
from stages.methods import with_methods
from stages.methods.method import MethodView


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportParams:
    """The section `report`."""

    worst_errors: int  # the most confident mistakes shown; 0: none

    def __post_init__(self) -> None:
        check_param(self.worst_errors >= 0, f"report.worst_errors must be 0 or more, got {self.worst_errors}")


@with_methods
@dataclass(frozen=True, kw_only=True, slots=True)
class ReportView(MethodView):
    """Everything the stage declares."""

    samples: int
    dataset: str
    subsample: SubsampleParams
    evaluate: EvaluateParams
    report: ReportParams
