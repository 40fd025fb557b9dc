import numpy as np
import pytest
import torch
from peft import IA3Config, LoraConfig, get_peft_model
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.lora.config import VeloraConfig
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
)

from stages.engine import forward
from stages.engine.forward import choose_engine, prepare_forward, unknown_to_packed
from stages.engine.packed.packed_encoder import PackedEncoder
from stages.engine.packed.packing import pack
from stages.engine.plain import PlainForward
from stages.foundation.errors import StudyError
from tests.engine.conftest import TRANSFORMERS, assert_near, texts_of

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

SMALL = {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def bert(lora=None, name="default", **config):
    model = BertForSequenceClassification(BertConfig(**SMALL, **config))
    if lora is not None:
        get_peft_model(model, LoraConfig(task_type="SEQ_CLS", r=4, **lora), adapter_name=name)
    return model


def adapters(model):
    return [module for module in model.modules() if isinstance(module, LoraLinear)]


def with_second_adapter(model):
    for layer in adapters(model):
        layer.update_layer("second", r=4, lora_alpha=4, config=LoraConfig(r=4))
        layer.set_adapter(["default", "second"])
    return model


def merged(model):
    for layer in adapters(model):
        layer.merge()
    return model


def ia3():
    model = bert()
    get_peft_model(model, IA3Config(task_type="SEQ_CLS", target_modules=["query"], feedforward_modules=[]))
    return model


def albert():
    return AlbertForSequenceClassification(AlbertConfig(**SMALL, embedding_size=16))


def deberta():
    return DebertaV2ForSequenceClassification(DebertaV2Config(**SMALL))


def modernbert(kind):
    rope = {"rope_type": kind, "rope_theta": 10000.0, "factor": 2.0}
    parameters = {"full_attention": rope, "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}
    config = ModernBertConfig(**SMALL, pad_token_id=0, rope_parameters=parameters)
    return ModernBertForSequenceClassification(config)


def subclass():
    class MyBert(BertForSequenceClassification):
        pass

    return MyBert(BertConfig(**SMALL))


UNKNOWN = {
    "albert": (albert, "models of type albert"),
    "deberta": (deberta, "models of type deberta-v2"),
    "frequencies that follow the texts": (lambda: modernbert("dynamic"), "rotary positions of the kind dynamic"),
    "subclass": (subclass, "models of type bert"),
    "cross-attention": (lambda: bert(add_cross_attention=True, is_decoder=True), "decoders"),
    "decoder": (lambda: bert(is_decoder=True), "decoders"),
    "bias all": (lambda: bert({"target_modules": ["query"], "bias": "all"}), "weights or biases that are trained"),
    "bias lora_only": (
        lambda: bert({"target_modules": ["query"], "bias": "lora_only"}),
        "weights or biases that are trained",
    ),
    "dora": (
        lambda: bert({"target_modules": ["query"], "use_dora": True}),
        "a variant of LoRA, DoraLinearVariant, on bert.encoder.layer.0.attention.self.query",
    ),
    "velora": (
        lambda: bert({"target_modules": ["query"], "velora_config": VeloraConfig(num_groups=4)}),
        "a variant of LoRA, VeloraLinearVariant, on bert.encoder.layer.0.attention.self.query",
    ),
    "lora_bias": (
        lambda: bert({"target_modules": ["query"], "lora_bias": True}),
        "an adapter with a bias of its own on bert.encoder.layer.0.attention.self.query",
    ),
    "two adapters": (
        lambda: with_second_adapter(bert({"target_modules": ["query"]})),
        "several adapters, or one that is not in use, on bert.encoder.layer.0.attention.self.query",
    ),
    "another name": (
        lambda: bert({"target_modules": ["query"]}, name="mine"),
        "several adapters, or one that is not in use, on bert.encoder.layer.0.attention.self.query",
    ),
    "merged": (
        lambda: merged(bert({"target_modules": ["query"]})),
        "an adapter that is merged into the weights on bert.encoder.layer.0.attention.self.query",
    ),
    "ranks": (
        lambda: bert({"target_modules": ["query", "value"], "rank_pattern": {"value": 2}}),
        "adapters of different ranks, 2 and 4, side by side",
    ),
    "a layer that is trained as well": (
        lambda: bert({"target_modules": ["query"], "modules_to_save": ["value"]}),
        "an adapter on bert.encoder.layer.0.attention.self.value",
    ),
    "ia3": (ia3, "an adapter on bert.encoder.layer.0.attention.self.query"),
    "embeddings": (
        lambda: bert({"target_modules": ["query", "word_embeddings"]}),
        "an adapter on bert.embeddings.word_embeddings",
    ),
}


@pytest.fixture(params=UNKNOWN.values(), ids=UNKNOWN.keys())
def unknown(request):
    """A model that the packed engine does not know, and why."""
    build, reason = request.param
    return build(), reason


def test_what_the_packed_engine_does_not_know_is_named(unknown):
    model, reason = unknown
    assert unknown_to_packed(model).startswith(reason)


def test_auto_takes_the_plain_engine_and_says_why(unknown, capsys):
    model, reason = unknown

    assert choose_engine("auto", model) == "plain"
    said = capsys.readouterr()
    (line,) = (said.out + said.err).splitlines()
    assert "engine plain" in line
    assert reason in line


def test_the_packed_engine_is_refused_in_one_line(unknown):
    model, reason = unknown

    with pytest.raises(StudyError) as raised:
        choose_engine("packed", model)
    assert "train.engine" in str(raised.value)
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)


KNOWN = [
    None,
    {"target_modules": ["query", "value"]},
    {"target_modules": ["query", "key", "value", "dense"]},
    {"target_modules": ["query"], "modules_to_save": ["pooler"]},
    {"target_modules": ["query", "value"], "use_rslora": True},
    {"target_modules": ["query", "value"], "alpha_pattern": {"value": 32}},
]


@pytest.mark.parametrize("lora", KNOWN, ids=str)
@pytest.mark.parametrize("wanted", ["auto", "packed"])
def test_bert_goes_packed_without_a_word(wanted, lora, capsys):
    assert choose_engine(wanted, bert(lora)) == "packed"
    said = capsys.readouterr()
    assert said.out + said.err == ""


def test_plain_is_plain_whatever_the_model(capsys):
    assert [choose_engine("plain", model) for model in (bert(), albert())] == ["plain", "plain"]
    said = capsys.readouterr()
    assert said.out + said.err == ""


def test_each_engine_has_its_forward_pass():
    assert isinstance(prepare_forward(bert(), "packed", "fp32", TRANSFORMERS), PackedEncoder)
    assert isinstance(prepare_forward(bert(), "plain", "fp32", TRANSFORMERS), PlainForward)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_packed_engine_computes_in_the_format_asked_for(precision):
    packed = prepare_forward(bert(), "packed", precision, TRANSFORMERS)
    assert packed._dtype == {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]


@pytest.mark.parametrize("variant", [{"use_rslora": True}, {"alpha_pattern": {"value": 32}}], ids=str)
def test_adapters_that_differ_by_their_scale_alone_are_computed_as_peft_does(variant):
    model = bert({"target_modules": ["query", "value"], **variant})
    for layer in adapters(model):
        torch.nn.init.normal_(layer.lora_B["default"].weight)
    batch = pack(texts_of([3, 9, 17]), np.arange(3))

    packed, plain = (
        prepare_forward(model, engine, "fp32", TRANSFORMERS).logits(batch, None) for engine in ("packed", "plain")
    )

    assert_near(packed, plain, rounding=1e-5)  # some 20 sums of up to 64 terms in float32


def test_slower_public_operators_are_said_to_be_taken(monkeypatch, capsys):
    monkeypatch.setattr(forward, "public_operators", lambda *_: ["products: no oneDNN"])
    prepare_forward(bert(), "packed", "fp32", TRANSFORMERS)

    expected = "engine packed, with PyTorch's public operators, which are slower; products: no oneDNN\n"
    assert capsys.readouterr().out == expected
