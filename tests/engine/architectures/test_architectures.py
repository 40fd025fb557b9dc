"""Each described architecture computes what Transformers and PEFT compute, and its saved models reload there."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from peft import PeftModel
from torch.nn.functional import cross_entropy, dropout, scaled_dot_product_attention
from torch.overrides import TorchFunctionMode
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from stages.engine.architectures import architecture_of
from stages.engine.architectures.architecture import ROLES
from stages.engine.architectures.mpnet import bucket
from stages.engine.models.base_model import find_base_model
from stages.engine.models.encoder import tokens_of
from stages.engine.packed.dropout import DropoutMasks
from stages.engine.packed.packed_encoder import PackedEncoder, position_ids
from stages.engine.packed.packing import pack
from stages.engine.params import Reading
from stages.engine.plain import PlainForward
from stages.engine.tokens import TokenRows
from stages.foundation.split import Split
from tests import tiny_models
from tests.engine.conftest import (
    CPU,
    MEAN,
    PARAMS,
    STILL_LORA,
    TRANSFORMERS,
    Recorder,
    assert_near,
    build,
    opinions,
    pairs,
    stir,
    texts_of,
    train,
)
from tests.tiny_models import STILL, TINY

PACKED = [name for name in TINY if name != "deberta-v2"]
READINGS = [TRANSFORMERS, MEAN, Reading(pooling="first", pooler="none"), Reading(pooling="mean", pooler="own")]
# float32 knows 6e-8 of a value. Logits and gradients have been through some 20 to 40 sums of up to 64 terms.
ROUNDING = 1e-5
LORA_DROPOUT = "lora_dropout"
ALSO_DROPPED = {  # settings beside those that `STILL` turns off
    **dict.fromkeys(("bert", "roberta", "xlm-roberta", "camembert", "electra"), ("classifier_dropout",)),
    "modernbert": ("attention_dropout", "embedding_dropout", "mlp_dropout", "classifier_dropout"),
}
DROPOUTS = [(name, key) for name in PACKED for key in (*STILL[name], *ALSO_DROPPED.get(name, ()), LORA_DROPOUT)]
ADAPTED = [["query", "value"], ["key", "output"], ["all-linear"], None]  # None: everything is trained


@pytest.fixture(scope="session")
def still(tmp_path_factory):
    """Finds a base model of an architecture, made once, with no dropout."""
    made = {}

    def find(name, **changes):
        key = (name, *changes.items())
        if key not in made:
            made[key] = find_base_model(str(TINY[name](tmp_path_factory.mktemp(name), **STILL[name] | changes)), {})
        return made[key]

    return find


@pytest.fixture(params=PACKED)
def base(request, still):
    return still(request.param)


def made(base, adapted, reading=TRANSFORMERS, **changes):
    lora = adapted and replace(STILL_LORA, target_modules=adapted)
    return stir(build(base, seed=0, lora=lora, pooling=reading.pooling, pooler=reading.pooler, **changes))


def batch_of(lengths):
    return pack(texts_of(lengths), np.arange(len(lengths)))


def outcome(classifier, forward, batch):
    """Logits, and the gradient of every weight that is trained, with whatever hooks it has."""
    logits = forward.logits(batch, None)
    weights = classifier.trainable()
    for weight in weights.values():
        weight.grad = None
    cross_entropy(logits, torch.arange(len(logits)) % 2).backward()
    return logits.detach(), {name: weight.grad for name, weight in weights.items()}


def assert_same(classifier, batch):
    reading = classifier.record.reading
    logits, gradients = outcome(classifier, PackedEncoder(classifier.transformer, torch.float32, reading), batch)
    expected, expected_gradients = outcome(classifier, PlainForward(classifier.transformer, "fp32", reading), batch)

    assert_near(logits, expected, rounding=ROUNDING)
    largest = max(gradient.abs().max().item() for gradient in expected_gradients.values())
    for name, wanted in expected_gradients.items():
        # Some are 0 but for the rounding of large terms: a key's bias, say, shifts all scores of a query alike.
        scale = max(wanted.abs().max().item(), largest / 20)
        assert gradients[name] is not None, name
        assert_near(gradients[name], wanted, rounding=4 * ROUNDING, scale=scale)


@pytest.mark.parametrize("adapted", ADAPTED, ids=str)
@given(lengths=st.lists(st.integers(1, 90), min_size=1, max_size=6))
@example(lengths=[3, 40, 5, 17, 4, 33, 100])
@example(lengths=[1])
@example(lengths=[16, 16, 17])
@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_texts_give_the_logits_and_gradients_of_transformers_and_peft(base, adapted, lengths):
    assert_same(made(base, adapted), batch_of(lengths))


@pytest.mark.parametrize("reading", READINGS[1:], ids=str)
@pytest.mark.parametrize("adapted", [["query", "value"], None], ids=str)
def test_the_head_reads_the_same_on_either_path(base, adapted, reading):
    assert_same(made(base, adapted, reading), batch_of([3, 40, 5, 17]))


@pytest.mark.parametrize("adapted", [["query", "value"], None], ids=str)
@pytest.mark.parametrize("name", PACKED)
def test_texts_of_512_tokens_are_read_as_transformers_reads_them(name, adapted, still):
    positions = {"max_position_embeddings": 512 + 2}
    base = still(name, **positions)

    assert_same(made(base, adapted, max_tokens=512), batch_of([512, 2, 511, 300]))


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("heads", [1, 3])
def test_any_number_of_heads_gives_the_same(name, heads, still):
    width, count = {"distilbert": ("dim", "n_heads")}.get(name, ("hidden_size", "num_attention_heads"))
    base = still(name, **{width: 12 * heads, count: heads})

    assert_same(made(base, ["query", "value"]), batch_of([3, 20, 7]))


WORDS = st.lists(st.sampled_from(tiny_models.WORDS), max_size=40).map(" ".join)


@pytest.mark.parametrize("adapted", [["query", "value"], None], ids=str)
@pytest.mark.parametrize("reading", [TRANSFORMERS, MEAN], ids=str)
@given(texts=st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6))
@example(texts=[("good film", "the plot is very bad ."), ("", "fine"), ("a film", ""), ("", ""), ("very " * 60, "not")])
@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_pairs_give_the_logits_and_gradients_of_transformers_and_peft(base, adapted, reading, texts):
    first, second = (list(part) for part in zip(*texts, strict=True))
    classifier = made(base, adapted, reading)
    split = Split(row_ids=None, sentences=first, second=second, labels=None, label_names=())

    read = tokens_of(split, classifier.transformer, classifier.tokenizer, 16)

    assert_same(classifier, pack(read, np.argsort(read.lengths)))


@pytest.mark.parametrize("name", ["bert", "electra"])
def test_the_segments_of_a_pair_change_its_logits_and_the_table_of_segments_learns_from_them(name, still):
    classifier = made(still(name), None)
    read = tokens_of(pairs(8), classifier.transformer, classifier.tokenizer, 128)
    told, untold = (pack(rows, np.arange(8)) for rows in (read, replace(read, types=None)))

    logits, gradients = outcome(classifier, PackedEncoder(classifier.transformer, torch.float32, TRANSFORMERS), told)
    others, _ = outcome(classifier, PackedEncoder(classifier.transformer, torch.float32, TRANSFORMERS), untold)

    assert (logits - others).abs().max() > 0.01
    (table,) = (gradient for name, gradient in gradients.items() if "token_type" in name)
    assert table.abs().sum(dim=1).min() > 1e-6


def test_predictions_with_merged_adapters_are_those_of_the_plain_path(base):
    classifier = made(base, ["all-linear"])
    batch = batch_of([3, 20, 7, 40])

    merged = PackedEncoder(classifier.transformer, torch.float32, TRANSFORMERS).merged().logits(batch, None)

    assert_near(
        merged, PlainForward(classifier.transformer, "fp32", TRANSFORMERS).logits(batch, None), rounding=ROUNDING
    )


def test_bf16_is_as_near_to_fp32_as_transformers_is(base):
    classifier, batch = made(base, ["query", "value"]), batch_of([3, 20, 7, 40, 12, 33, 5, 9])
    model = classifier.transformer
    exact = PlainForward(model, "fp32", TRANSFORMERS).logits(batch, None)

    plain = (PlainForward(model, "bf16", TRANSFORMERS).logits(batch, None) - exact).norm()
    packed = (PackedEncoder(model, torch.bfloat16, TRANSFORMERS).logits(batch, None) - exact).norm()

    assert packed <= 4 * plain  # the residual stream and the norms are rounded, too


def dropping(name, key, folder):
    """A classifier with adapters on all roles that drops where this one setting says, and nowhere else."""
    changes = STILL[name] | ({} if key == LORA_DROPOUT else {key: 0.3})
    lora = replace(STILL_LORA, target_modules=ROLES, dropout=0.3 if key == LORA_DROPOUT else 0.0)
    return stir(build(find_base_model(str(TINY[name](folder, **changes)), {}), seed=0, lora=lora))


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize(("name", "key"), DROPOUTS)
def test_each_dropout_varies_the_logits_as_much_as_in_transformers_and_peft(name, key, tmp_path):
    model = dropping(name, key, tmp_path).transformer
    batch, masks = pack(texts_of([9]), np.zeros(1500, dtype=np.int64)), DropoutMasks(0, CPU)
    torch.manual_seed(0)

    with torch.no_grad():
        packed = PackedEncoder(model, torch.float32, TRANSFORMERS).logits(batch, masks)
        plain = PlainForward(model, "fp32", TRANSFORMERS).logits(batch, masks)

    # Of 1500 draws the deviation is known to some 2 %, the ratio of two to 3 %; the means to 4 standard errors.
    assert plain.std(dim=0).min() > 0.01
    assert (packed.std(dim=0) / plain.std(dim=0) - 1).abs().max() < 0.1
    error = ((packed.var(dim=0) + plain.var(dim=0)) / 1500).sqrt()
    assert ((packed.mean(dim=0) - plain.mean(dim=0)).abs() < 4 * error).all()


class Dropouts(TorchFunctionMode):
    """Counts the calls that drop something."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is dropout:
            self.count += kwargs["p"] > 0 and kwargs["training"]
        elif function is scaled_dot_product_attention:
            self.count += kwargs["dropout_p"] > 0
        return function(*args, **kwargs)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize(("name", "key"), DROPOUTS)
def test_each_dropout_is_at_as_many_places_as_in_transformers_and_peft(name, key, tmp_path):
    """Several places share a setting, and one of them may vary the logits by little."""
    model, batch, masks = dropping(name, key, tmp_path).transformer, batch_of([9]), Recorder(0)

    with Dropouts() as plain:
        PlainForward(model, "fp32", TRANSFORMERS).logits(batch, masks)
    with Dropouts() as packed:
        PackedEncoder(model, torch.float32, TRANSFORMERS).logits(batch, masks)

    drawn = sum(len(mask) if key == LORA_DROPOUT else 1 for mask in masks.drawn)  # adapters side by side share a draw
    assert drawn == plain.count > 0
    assert packed.count == 0  # nothing is left to PyTorch, whose masks are others


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize("rows", [opinions, pairs])
@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("name", TINY)
def test_a_saved_model_gives_the_same_logits_in_plain_peft_and_transformers(name, method, rows, still, tmp_path):
    adapted = ["query", "value"] if name in PACKED else ["query_proj", "value_proj"]
    classifier = made(still(name), adapted if method == "lora" else None)
    train(classifier, rows(64), rows(20, seed=1), epochs=1)
    classifier.save(tmp_path)
    texts = rows(12, seed=3)

    loaded = AutoModelForSequenceClassification.from_pretrained(
        tmp_path if method == "full" else still(name).folder, num_labels=2
    )
    if method == "lora":
        loaded = PeftModel.from_pretrained(loaded, tmp_path)
    encoded = AutoTokenizer.from_pretrained(tmp_path)(
        texts.sentences, texts.second, padding=True, truncation=True, max_length=PARAMS.max_tokens, return_tensors="pt"
    )
    with torch.no_grad():
        logits = loaded.eval()(**encoded).logits

    assert_near(torch.from_numpy(classifier.predict(texts, 256)), logits, rounding=ROUNDING)


@pytest.mark.parametrize("name", ["roberta", "xlm-roberta", "camembert", "mpnet"])
def test_positions_count_from_the_padding_id_and_skip_it(name, still):
    """Held against the embeddings of Transformers themselves, a padding id in the middle of a text included."""
    model = made(still(name), None).transformer
    padding = model.base_model.embeddings.position_embeddings.padding_idx
    ids = np.array([2, 7, padding, 9, 3, 2, 3, 2, padding, padding, 6, 3], dtype=np.int32)
    lengths = np.array([5, 2, 5])
    batch = pack(TokenRows(ids, np.cumsum(lengths) - lengths, lengths), np.arange(3))

    positions = position_ids(architecture_of(model).encoder(model).embeddings, batch)

    assert positions.tolist() == [
        *(padding + at for at in (1, 2, 0, 3, 4)),
        *(padding + at for at in (1, 2)),
        *(padding + at for at in (1, 0, 0, 2, 3)),
    ]
    embedded = PackedEncoder(model, torch.float32, TRANSFORMERS)._embed(batch, None).split([5, 2, 5])
    for text, ours in zip(batch.input_ids.split([5, 2, 5]), embedded, strict=True):
        assert_near(ours, model.base_model.embeddings(input_ids=text[None])[0], rounding=ROUNDING)


@pytest.mark.parametrize("name", ["bert", "distilbert", "electra"])
def test_positions_of_the_others_count_from_0(name, still):
    model = made(still(name), None).transformer

    positions = position_ids(architecture_of(model).encoder(model).embeddings, batch_of([3, 2]))

    assert positions.tolist() == [0, 1, 2, 0, 1]


def test_the_buckets_of_distances_are_those_of_transformers(still):
    encoder = made(still("mpnet"), None).transformer.mpnet.encoder
    distances = torch.arange(-600, 601)

    assert torch.equal(bucket(distances), encoder.relative_position_bucket(distances))


def test_the_bias_by_distance_learns_under_full(still):
    classifier = made(still("mpnet"), None)
    _, gradients = outcome(
        classifier, PackedEncoder(classifier.transformer, torch.float32, TRANSFORMERS), batch_of([3, 40])
    )

    assert gradients["mpnet.encoder.relative_attention_bias.weight"].abs().max() > 1e-6
