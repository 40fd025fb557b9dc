"""The layers that a LoRA adapts: what roles and names mean in each architecture, and parts of a fused layer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from stages.engine.adapters import find_targets
from stages.engine.forward import prepare_forward
from stages.engine.models.base_model import find_base_model
from stages.engine.models.encoder import load_encoder
from stages.engine.packed.packing import pack
from stages.foundation.errors import StudyError
from stages.methods import load
from tests.engine.conftest import STILL_LORA, TRANSFORMERS, assert_near, build, opinions, stir, texts_of, train
from tests.tiny_models import LORA, TINY

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

KEY = "train.lora.target_modules"
WIDTH, LAYERS = 32, 4  # of the tiny ModernBERT
ROBERTA = {
    "query": "roberta.encoder.layer.{}.attention.self.query",
    "key": "roberta.encoder.layer.{}.attention.self.key",
    "value": "roberta.encoder.layer.{}.attention.self.value",
    "attention_output": "roberta.encoder.layer.{}.attention.output.dense",
    "intermediate": "roberta.encoder.layer.{}.intermediate.dense",
    "output": "roberta.encoder.layer.{}.output.dense",
}


def as_roberta(prefix):
    return {role: name.replace("roberta", prefix) for role, name in ROBERTA.items()}


ROLES = {
    "bert": as_roberta("bert"),
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
    "electra": as_roberta("electra"),
    "distilbert": {
        "query": "distilbert.transformer.layer.{}.attention.q_lin",
        "key": "distilbert.transformer.layer.{}.attention.k_lin",
        "value": "distilbert.transformer.layer.{}.attention.v_lin",
        "attention_output": "distilbert.transformer.layer.{}.attention.out_lin",
        "intermediate": "distilbert.transformer.layer.{}.ffn.lin1",
        "output": "distilbert.transformer.layer.{}.ffn.lin2",
    },
    "mpnet": as_roberta("mpnet")
    | {
        "query": "mpnet.encoder.layer.{}.attention.attn.q",
        "key": "mpnet.encoder.layer.{}.attention.attn.k",
        "value": "mpnet.encoder.layer.{}.attention.attn.v",
        "attention_output": "mpnet.encoder.layer.{}.attention.attn.o",
    },
    "modernbert": dict.fromkeys(("query", "key", "value"), "model.layers.{}.attn.Wqkv")
    | {
        "attention_output": "model.layers.{}.attn.Wo",
        "intermediate": "model.layers.{}.mlp.Wi",
        "output": "model.layers.{}.mlp.Wo",
    },
    "deberta-v2": as_roberta("deberta")
    | {role: f"deberta.encoder.layer.{{}}.attention.self.{role}_proj" for role in ("query", "key", "value")},
}
ROLE_NAMES = tuple(ROBERTA)


@pytest.fixture(scope="session")
def base_of(tmp_path_factory):
    """Finds a base model of an architecture, made once."""
    made = {}

    def find(name):
        if name not in made:
            made[name] = find_base_model(str(TINY[name](tmp_path_factory.mktemp(name))), {})
        return made[name]

    return find


@pytest.fixture
def fused(base_of):
    return base_of("modernbert")


def adapted(base, *wanted, **changes):
    """Full names of what PEFT adapts in a classifier."""
    model = build(base, seed=0, lora=replace(LORA, target_modules=list(wanted), **changes)).transformer
    return {name for name, module in model.named_modules() if hasattr(module, "lora_A")}


def numbered(name):
    return [name.format(layer) for layer in range(LAYERS if name.startswith("model.") else 2)]


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("role", ROLE_NAMES)
def test_a_role_means_the_same_layers_in_every_architecture(base_of, name, role):
    assert adapted(base_of(name), role) == set(numbered(ROLES[name][role]))


@pytest.mark.parametrize("name", TINY)
def test_all_linear_is_every_layer_of_the_encoder_and_nothing_of_pooler_and_head(base_of, name):
    every = {full for role in ROLE_NAMES for full in numbered(ROLES[name][role])}
    embeddings = {"electra.embeddings_project"} if name == "electra" else set()

    assert adapted(base_of(name), "all-linear") == every | embeddings


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("bert", "attention.self.key", numbered(ROLES["bert"]["key"])),
        ("bert", "word_embeddings", ["bert.embeddings.word_embeddings"]),
        (
            "bert",
            "dense",
            ["bert.pooler.dense"]
            + [
                full
                for role in ("attention_output", "intermediate", "output")
                for full in numbered(ROLES["bert"][role])
            ],
        ),
        ("distilbert", "q_lin", numbered(ROLES["distilbert"]["query"])),
        ("modernbert", "Wqkv", numbered(ROLES["modernbert"]["query"])),
        ("modernbert", "layers.1.mlp.Wo", ["model.layers.1.mlp.Wo"]),
        ("deberta-v2", "value_proj", numbered(ROLES["deberta-v2"]["value"])),
    ],
)
def test_a_name_means_all_layers_that_end_in_it(base_of, name, raw, expected):
    assert adapted(base_of(name), raw) == set(expected)


def test_roles_and_names_stand_side_by_side(base_of):
    roles = ROLES["mpnet"]
    assert adapted(base_of("mpnet"), "value", "attn.o", "output") == {
        full for role in ("value", "attention_output", "output") for full in numbered(roles[role])
    }


@pytest.mark.parametrize(
    ("name", "wanted", "there"),
    [
        (
            "modernbert",
            "q_proj",
            "by role query, key, value, attention_output, intermediate, output, all-linear; "
            "by name attn.Wqkv, attn.Wo, mlp.Wi, mlp.Wo",
        ),
        (
            "modernbert",
            "dense",  # of the head
            "by role query, key, value, attention_output, intermediate, output, all-linear; by name attn.Wqkv, ",
        ),
        (
            "distilbert",
            "Query",
            "by role query, key, value, attention_output, intermediate, output, all-linear; by name ",
        ),
    ],
)
def test_a_name_that_is_not_there_is_one_line_with_those_that_are(base_of, name, wanted, there):
    with pytest.raises(StudyError, match=rf"^{KEY}: there are no layers named {wanted}; there are {there}") as refused:
        adapted(base_of(name), "value", wanted)
    assert "\n" not in str(refused.value)


def test_an_architecture_without_a_description_has_names_alone(base_of, monkeypatch):
    monkeypatch.setattr("stages.engine.adapters.architecture_of", lambda _: None)
    model, _ = load_encoder(base_of("distilbert"), ("bad", "good"))

    assert find_targets(model, ["q_lin"], key=KEY).names == ("q_lin",)
    with pytest.raises(StudyError, match=r"no layers named query; there are all-linear; by name attention\.q_lin, "):
        find_targets(model, ["query"], key=KEY)


# Fused layers: query, key and value are rows 0 to 31, 32 to 63 and 64 to 95 of ModernBERT's Wqkv.


def lora_on(base, *wanted, seed=0, engine="auto", **changes):
    return build(base, seed=seed, lora=replace(STILL_LORA, target_modules=list(wanted), **changes), engine=engine)


def fused_adapters(classifier):
    modules = classifier.transformer.named_modules()
    return {name: module for name, module in modules if name.endswith("Wqkv") and hasattr(module, "lora_A")}


@pytest.mark.parametrize("places", [(0,), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("use_rslora", [False, True])
def test_each_role_of_a_fused_layer_has_a_block_of_the_rank_and_scale_asked_for(fused, places, use_rslora):
    wanted = [("query", "key", "value")[place] for place in places]
    classifier, count, rank = lora_on(fused, *wanted, use_rslora=use_rslora), len(places), STILL_LORA.rank
    adapters = fused_adapters(classifier)

    assert len(adapters) == LAYERS
    for layer in adapters.values():
        assert layer.lora_A["default"].weight.shape == (count * rank, WIDTH)
        assert layer.lora_B["default"].weight.shape == (3 * WIDTH, count * rank)
        assert layer.scaling["default"] == pytest.approx(STILL_LORA.alpha / (rank**0.5 if use_rslora else rank))
    head = 2 * WIDTH + 2 + WIDTH * WIDTH + WIDTH  # classifier; the head's dense layer and norm, neither with a bias
    assert classifier.record.engine == "packed"
    assert classifier.record.trainable_parameters == LAYERS * count * 2 * rank * WIDTH + head


def test_the_fused_layer_by_its_name_gets_one_lora_on_all_of_it(fused):
    for wanted in (["Wqkv"], ["query", "value", "Wqkv"], ["query", "value", "all-linear"]):
        for layer in fused_adapters(lora_on(fused, *wanted)).values():
            assert layer.lora_B["default"].weight.shape == (3 * WIDTH, STILL_LORA.rank)


@pytest.mark.parametrize("engine", ["packed", "plain"])
def test_training_with_weight_decay_moves_the_blocks_and_nothing_else(fused, engine):
    classifier = lora_on(fused, "query", "value", engine=engine)
    assert classifier.record.engine == engine
    train(classifier, epochs=2, weight_decay=0.1)

    for layer in fused_adapters(classifier).values():
        up, rank = layer.lora_B["default"].weight.detach(), STILL_LORA.rank
        assert torch.equal(up[WIDTH : 2 * WIDTH], torch.zeros(WIDTH, 2 * rank))  # key's
        assert torch.equal(up[:WIDTH, rank:], torch.zeros(WIDTH, rank))
        assert torch.equal(up[2 * WIDTH :, :rank], torch.zeros(WIDTH, rank))
        assert (up[:WIDTH, :rank] != 0).all()
        assert (up[2 * WIDTH :, rank:] != 0).all()
        assert torch.equal(layer.get_delta_weight("default")[WIDTH : 2 * WIDTH], torch.zeros(WIDTH, WIDTH))


class Devices(TorchDispatchMode):
    """Remembers where the tensors of all operations lie."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **kwargs or {})
        self.seen.update(value.device.type for value in (*args, result) if isinstance(value, torch.Tensor))
        return result


def test_what_stays_0_needs_no_tensor_of_another_device_than_the_gradients(fused):
    """A copy from host to device in each backward pass would make it wait."""
    for layer in fused_adapters(lora_on(fused, "query", "value")).values():
        weight = layer.lora_B["default"].weight
        (hook,) = weight._backward_hooks.values()
        with Devices() as devices:
            kept = hook(torch.ones(weight.shape, device="meta"))

        assert kept.shape == weight.shape
        assert devices.seen == {"meta"}


class Unfused(nn.Module):
    """ModernBERT's Wqkv as three layers."""

    def __init__(self, whole):
        super().__init__()
        for name, weight in zip(("q", "k", "v"), whole.weight.detach().chunk(3), strict=True):
            layer = nn.Linear(WIDTH, WIDTH, bias=False)
            layer.weight.data.copy_(weight)
            setattr(self, name, layer)

    def forward(self, values):
        return torch.cat([self.q(values), self.k(values), self.v(values)], dim=-1)


def unfused_twin(classifier, base, wanted, use_rslora):
    """The same classifier with a LoRA of PEFT's own on each of the separate layers, the blocks' weights in them."""
    model, _ = load_encoder(base, ("negative", "positive"))
    for layer in model.model.layers:
        layer.attn.Wqkv = Unfused(layer.attn.Wqkv)
    names = {"query": "q", "key": "k", "value": "v"}
    rank = STILL_LORA.rank
    lora = LoraConfig(
        task_type="SEQ_CLS",
        r=rank,
        lora_alpha=STILL_LORA.alpha,
        use_rslora=use_rslora,
        target_modules=[names[role] for role in wanted],
        modules_to_save=["head"],
    )
    get_peft_model(model, lora)
    state = dict(classifier.transformer.state_dict())
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "modules_to_save" in name:
                weight.copy_(state[name])
        for layer, adapter in zip(model.model.layers, fused_adapters(classifier).values(), strict=True):
            for block, role in enumerate(wanted):
                own, (down, up) = getattr(layer.attn.Wqkv, names[role]), matrices(adapter)
                rows, columns = rows_of(role), slice(block * rank, (block + 1) * rank)
                own.lora_A["default"].weight.copy_(down[columns])
                own.lora_B["default"].weight.copy_(up[rows, columns])
    return model


def rows_of(role):
    place = ("query", "key", "value").index(role)
    return slice(place * WIDTH, (place + 1) * WIDTH)


def matrices(adapter):
    return adapter.lora_A["default"].weight, adapter.lora_B["default"].weight


def stir_blocks(classifier, wanted):
    """Random weights in the blocks of B."""
    generator, rank = torch.Generator().manual_seed(1), STILL_LORA.rank
    with torch.no_grad():
        for adapter in fused_adapters(classifier).values():
            for block, role in enumerate(wanted):
                part = matrices(adapter)[1][rows_of(role), block * rank : (block + 1) * rank]
                part.normal_(0, 0.2, generator=generator)


def backward(model, engine):
    for weight in model.parameters():
        weight.grad = None
    batch = pack(texts_of([3, 40, 9]), np.arange(3))
    logits = prepare_forward(model, engine, "fp32", TRANSFORMERS).logits(batch, None)
    cross_entropy(logits, torch.tensor([0, 1, 0])).backward()
    return logits.detach()


@pytest.mark.parametrize("engine", ["packed", "plain"])
@pytest.mark.parametrize("use_rslora", [False, True])
@pytest.mark.parametrize("wanted", [["query", "value"], ["key"], ["query", "key", "value"]], ids=str)
def test_blocks_are_so_many_loras_on_separate_layers(fused, engine, use_rslora, wanted):
    classifier = lora_on(fused, *wanted, use_rslora=use_rslora)
    stir_blocks(classifier, wanted)
    twin, rank = unfused_twin(classifier, fused, wanted, use_rslora), STILL_LORA.rank

    logits, expected = backward(classifier.transformer, engine), backward(twin, "plain")

    assert_near(logits, expected, rounding=1e-5)
    for layer, adapter in zip(twin.model.layers, fused_adapters(classifier).values(), strict=True):
        down, up = (weight.grad for weight in matrices(adapter))
        expected_up = torch.zeros_like(up)
        for block, role in enumerate(wanted):
            own = getattr(layer.attn.Wqkv, {"query": "q", "key": "k", "value": "v"}[role])
            columns = slice(block * rank, (block + 1) * rank)
            assert_near(down[columns], matrices(own)[0].grad, rounding=4e-5)
            expected_up[rows_of(role), columns] = matrices(own)[1].grad
        assert_near(up, expected_up, rounding=4e-5)
        assert torch.equal(up == 0, expected_up == 0)


@pytest.mark.parametrize("use_rslora", [False, True])
def test_a_lora_with_blocks_reloads_here_and_in_plain_peft_with_equal_logits(fused, tmp_path, use_rslora):
    classifier, split = lora_on(fused, "query", "value", "output", use_rslora=use_rslora), opinions(12, seed=3)
    train(classifier, epochs=1)
    classifier.save(tmp_path)

    plain = AutoModelForSequenceClassification.from_pretrained(fused.folder, num_labels=2)
    plain = PeftModel.from_pretrained(plain, tmp_path).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    encoded = tokenizer(split.sentences, padding=True, return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        logits = plain(**encoded).logits

    predicted = classifier.predict(split, 256)
    assert_near(torch.from_numpy(predicted), logits, rounding=1e-5)
    np.testing.assert_array_equal(load(tmp_path, "cpu").predict(split, 256), predicted)


def test_dora_on_a_part_of_a_fused_layer_is_refused_in_one_line(fused):
    with pytest.raises(StudyError, match=r"^DoRA .* query, key and value in one: adapt all three$"):
        lora_on(fused, "query", "value", use_dora=True)
    assert lora_on(fused, "query", "key", "value", use_dora=True).record.engine == "plain"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"use_dora": True}, "a variant of LoRA, DoraLinearVariant, on "),
        ({"bias": "all"}, "weights or biases that are trained beside an adapter"),
        ({"bias": "lora_only"}, "weights or biases that are trained beside an adapter"),
        ({"target_modules": ["query", "word_embeddings"]}, "an adapter on "),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["bert", "distilbert"])
def test_what_is_no_plain_lora_goes_the_plain_way_by_name(base_of, capsys, name, changes, reason):
    assert build(base_of(name), seed=0, lora=replace(LORA, **changes)).record.engine == "plain"
    assert f"engine plain, several times slower: the packed one does not know {reason}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["bert", "mpnet", "modernbert"])
def test_rank_stabilised_lora_stays_packed_and_is_scaled_by_the_root_of_the_rank(base_of, name):
    classifier, batch = lora_on(base_of(name), "query", "output", use_rslora=True), pack(texts_of([9, 4]), np.arange(2))
    twin = lora_on(base_of(name), "query", "output", alpha=STILL_LORA.alpha * 2)  # 2, the root of rank 4
    stir(classifier)
    twin.model.load_state_dict(classifier.model.state_dict())

    logits, expected = (
        prepare_forward(one.transformer, "packed", "fp32", TRANSFORMERS).logits(batch, None)
        for one in (classifier, twin)
    )

    assert classifier.record.engine == "packed"
    assert_near(logits, expected, rounding=1e-5)


def test_what_stays_0_is_not_counted_as_trained(fused):
    """Of [query, value] 2 blocks of 4 x 32 are trained in each B of 96 x 8."""
    classifier = lora_on(fused, "query", "value")
    weights = sum(weight.numel() for weight in classifier.trainable().values())

    assert weights - classifier.record.trainable_parameters == LAYERS * (96 * 8 - 2 * 4 * 32)
