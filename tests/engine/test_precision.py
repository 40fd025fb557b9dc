import pytest
import torch

from stages.engine import precision
from stages.engine.precision import WORTHWHILE, bf16_speedup, choose_precision, dtype_of, matrix_products_in
from tests.engine.conftest import CPU


@pytest.mark.parametrize(
    ("speedup", "chosen"), [(6.0, "bf16"), (WORTHWHILE, "bf16"), (WORTHWHILE - 0.01, "fp32"), (0.5, "fp32")]
)
def test_on_a_processor_auto_takes_bf16_where_it_is_worthwhile(monkeypatch, speedup, chosen):
    monkeypatch.setattr(precision, "bf16_speedup", lambda: speedup)

    assert choose_precision("auto", CPU) == (
        chosen,
        f"bf16 matrix products run at {speedup:.1f} times the fp32 rate here",
    )


@pytest.mark.parametrize("wanted", ["bf16", "fp32"])
def test_what_params_yaml_says_is_not_measured(monkeypatch, wanted):
    monkeypatch.setattr(precision, "bf16_speedup", lambda: pytest.fail("measured"))

    assert choose_precision(wanted, CPU) == (wanted, "as params.yaml says")


@pytest.mark.parametrize(("supported", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_on_cuda_auto_takes_bf16_where_the_device_has_it(monkeypatch, supported, chosen):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)

    assert choose_precision("auto", torch.device("cuda"))[0] == chosen


def test_where_bf16_was_never_tried_auto_takes_fp32():
    assert choose_precision("auto", torch.device("mps")) == ("fp32", "bf16 was never tried on mps")


def test_the_measurement_is_a_positive_ratio():
    assert 0 < bf16_speedup() < 1000


@pytest.mark.parametrize("name", ["bf16", "fp32"])
def test_matrix_products_come_out_in_the_format_asked_for(name):
    layer = torch.nn.Linear(4, 4)
    with matrix_products_in(name, CPU):
        assert layer(torch.ones(1, 4)).dtype == dtype_of(name)
    assert layer.weight.dtype == torch.float32


def test_a_rate_that_one_decimal_cannot_tell_is_told_in_words(monkeypatch):
    monkeypatch.setattr(precision, "bf16_speedup", lambda: 0.04)

    _, reason = choose_precision("auto", CPU)
    assert reason == "bf16 matrix products run at less than a tenth of the fp32 rate here"
