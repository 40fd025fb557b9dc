"""How far the packed pass is from that of Transformers and PEFT on one model, in float32 with dropout off."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from stages.engine.classifier import EncoderClassifier
from stages.engine.packed.packing import pack
from stages.engine.tokens import TokenRows
from tests.benchmark.engine import build
from tests.benchmark.table import Parity
from tests.benchmark.task import Task

LENGTHS = (3, 60, 4, 33, 120, 17, 5, 48)  # tokens; the longest text is wider than ModernBERT's windows
STIRRED = 0.02  # standard deviation of the adapters' B, which starts at 0


def measure_parity(task: Task) -> Parity:
    """Both passes over the same models, LoRA's and one that is trained as a whole, and the same ragged batch."""
    params = replace(task.params, engine="packed", precision="fp32")
    logits, gradients = differences(stir(build(task, params)))
    full_logits, full_gradients = differences(build(task, params, method="full"))
    return Parity(logits=max(logits, full_logits), gradients=gradients, full_gradients=full_gradients)


def differences(classifier: EncoderClassifier) -> tuple[float, float]:
    """Of logits and of gradients, each as a fraction of the largest."""
    texts = random_texts(classifier)
    packed = classifier.forward.logits(pack(texts, np.arange(len(LENGTHS))), None)
    gradients = gradients_of(classifier, packed)
    expected = padded_logits(classifier, texts)
    return (
        difference([packed.detach()], [expected.detach()]),
        difference(gradients, gradients_of(classifier, expected)),
    )


def stir(classifier: EncoderClassifier) -> EncoderClassifier:
    """Give every B random weights, so that the adapters do something."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in classifier.trainable().items():
            if ".lora_B." in name:
                weight.normal_(0, STIRRED, generator=generator)
    return classifier


def random_texts(classifier: EncoderClassifier) -> TokenRows:
    """Random word pieces between [CLS] and [SEP]."""
    tokenizer, lengths = classifier.tokenizer, np.array(LENGTHS)
    special = set(tokenizer.all_special_ids)
    words = [token for token in range(len(tokenizer)) if token not in special]
    ids: NDArray[np.int32] = np.random.default_rng(0).choice(words, lengths.sum()).astype(np.int32)
    starts = np.cumsum(lengths) - lengths
    ids[starts], ids[starts + lengths - 1] = tokenizer.cls_token_id, tokenizer.sep_token_id
    return TokenRows(ids, starts, lengths)


def padded_logits(classifier: EncoderClassifier, texts: TokenRows) -> Tensor:
    """(B, C) as a user of PEFT gets them: the wrapped model, called with what its tokenizer has padded."""
    rows = [ids.tolist() for ids in np.split(texts.ids, texts.starts[1:])]
    batch = classifier.tokenizer.pad({"input_ids": rows}, return_tensors="pt")
    model = classifier.model.eval()
    logits: Tensor = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    return logits


def gradients_of(classifier: EncoderClassifier, logits: Tensor) -> list[Tensor]:
    """Of every weight that is trained, for classes that take turns."""
    loss = cross_entropy(logits, torch.arange(len(logits)) % logits.shape[1])
    return list(torch.autograd.grad(loss, list(classifier.trainable().values())))


def difference(actual: list[Tensor], expected: list[Tensor]) -> float:
    """The largest absolute difference, as a fraction of the largest absolute value expected."""
    largest = max(values.abs().max() for values in expected)
    return float(max((ours - theirs).abs().max() for ours, theirs in zip(actual, expected, strict=True)) / largest)
