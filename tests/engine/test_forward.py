import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from stages.engine.forward import choose_engine, prepare_forward, unknown_to_packed
from stages.engine.packed_bert import PackedBert
from stages.engine.plain import PlainForward
from stages.foundation.errors import StudyError

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

SMALL = {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def bert(lora=None, **config):
    model = BertForSequenceClassification(BertConfig(**SMALL, **config))
    if lora is not None:
        get_peft_model(model, LoraConfig(task_type="SEQ_CLS", r=4, **lora))
    return model


def distilbert():
    config = DistilBertConfig(vocab_size=60, dim=32, n_layers=1, n_heads=4, hidden_dim=64)
    return DistilBertForSequenceClassification(config)


def roberta():
    return RobertaForSequenceClassification(RobertaConfig(**SMALL))


def subclass():
    class MyBert(BertForSequenceClassification):
        pass

    return MyBert(BertConfig(**SMALL))


UNKNOWN = {
    "distilbert": (distilbert, "models of type distilbert"),
    "roberta": (roberta, "models of type roberta"),
    "subclass": (subclass, "models of type bert"),
    "relu": (lambda: bert(hidden_act="relu"), "the activation relu"),
    "decoder": (lambda: bert(is_decoder=True), "decoders"),
    "bias all": (lambda: bert({"target_modules": ["query"], "bias": "all"}), "biases that are trained"),
    "bias lora_only": (lambda: bert({"target_modules": ["query"], "bias": "lora_only"}), "biases that are trained"),
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
]


@pytest.mark.parametrize("lora", KNOWN, ids=str)
@pytest.mark.parametrize("wanted", ["auto", "packed"])
def test_bert_goes_packed_without_a_word(wanted, lora, capsys):
    assert choose_engine(wanted, bert(lora)) == "packed"
    said = capsys.readouterr()
    assert said.out + said.err == ""


def test_plain_is_plain_whatever_the_model(capsys):
    assert [choose_engine("plain", model) for model in (bert(), distilbert())] == ["plain", "plain"]
    said = capsys.readouterr()
    assert said.out + said.err == ""


def test_each_engine_has_its_forward_pass():
    assert isinstance(prepare_forward(bert(), "packed", "fp32"), PackedBert)
    assert isinstance(prepare_forward(bert(), "plain", "fp32"), PlainForward)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_packed_engine_computes_in_the_format_asked_for(precision):
    packed = prepare_forward(bert(), "packed", precision)
    assert packed._dtype == {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
