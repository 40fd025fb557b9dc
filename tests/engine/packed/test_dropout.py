import pytest
import torch

from stages.engine.packed.dropout import DropoutMasks

CPU = torch.device("cpu")
SHAPE = (100, 999)  # no multiple of the four elements that share a random number
COUNT = 100 * 999


def draw(seed, probability, dtype=torch.float32):
    return DropoutMasks(seed, CPU).draw(SHAPE, probability, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_what_is_kept_grows_by_what_is_dropped(probability, dtype):
    mask = draw(0, probability, dtype)

    assert mask.shape == SHAPE
    assert mask.dtype == dtype
    dropped, kept = mask.unique().tolist()
    assert dropped == 0
    # Probabilities are multiples of 2**-16: at 0.9, 1 / (1 - p) is off by up to 8e-5 of itself. bf16 has 8 bits.
    assert kept == pytest.approx(1 / (1 - probability), rel=1e-4 if dtype == torch.float32 else 2**-8)


@pytest.mark.parametrize("probability", [0.1, 0.5])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_share_of_what_is_dropped_is_the_probability(probability, seed):
    share = (draw(seed, probability) == 0).double().mean().item()

    deviation = (probability * (1 - probability) / COUNT) ** 0.5
    assert abs(share - probability) < 4 * deviation + 2**-17  # 2**-17: the rounded probability


@pytest.mark.parametrize("lane", range(4))
def test_the_four_elements_of_a_random_number_are_dropped_alike(lane):
    dropped = draw(0, 0.1).flatten()[lane::4] == 0

    deviation = (0.1 * 0.9 / len(dropped)) ** 0.5
    assert abs(dropped.double().mean().item() - 0.1) < 4 * deviation


def test_the_same_seed_gives_the_same_masks_in_the_same_order():
    one, other = DropoutMasks(7, CPU), DropoutMasks(7, CPU)

    for shape in [(3,), (5, 7), (2, 3, 4, 5)]:
        assert torch.equal(one.draw(shape, 0.5, torch.float32), other.draw(shape, 0.5, torch.float32))


def test_another_seed_gives_other_masks():
    assert not torch.equal(draw(0, 0.5), draw(1, 0.5))


@pytest.mark.parametrize("probability", [0, 0.0, 1e-9])
def test_without_dropout_there_is_no_mask(probability):
    assert draw(0, probability) is None


def correlation(one, other):
    return torch.corrcoef(torch.stack([one.flatten().double(), other.flatten().double()]))[0, 1].abs().item()


@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_masks_in_succession_and_neighbouring_elements_have_nothing_to_do_with_each_other(probability):
    masks = DropoutMasks(0, CPU)
    first, second = (masks.draw(SHAPE, probability, torch.float32) for _ in range(2))

    chance = 4 / COUNT**0.5  # four standard deviations of the correlation of independent numbers
    assert correlation(first, second) < chance
    for distance in range(1, 9):
        flat = first.flatten()
        assert correlation(flat[:-distance], flat[distance:]) < chance


def test_no_two_masks_of_a_sequence_are_alike():
    masks = DropoutMasks(0, CPU)
    drawn = [masks.draw((64,), 0.5, torch.float32) for _ in range(100)]

    assert len({tuple(mask.tolist()) for mask in drawn}) == 100


def test_the_masks_of_adapters_side_by_side_have_nothing_to_do_with_each_other():
    query, value = DropoutMasks(0, CPU).draw((2, *SHAPE), 0.1, torch.float32)

    assert correlation(query, value) < 4 / COUNT**0.5
