import pytest
import torch
from transformers import AutoModel

from stages.engine.head import build_head_classifier
from stages.engine.models.base_model import find_base_model
from stages.engine.models.encoder import Setup
from tests.engine.conftest import CPU, PARAMS, opinions
from tests.tiny_models import save_tiny_bert, save_tiny_distilbert, save_tiny_roberta


@pytest.mark.parametrize("save", [save_tiny_bert, save_tiny_distilbert, save_tiny_roberta])
@torch.no_grad()
def test_the_features_are_the_mean_hidden_states_of_each_text(tmp_path, save):
    base, split = find_base_model(str(save(tmp_path)), {}), opinions(12)
    setup = Setup(base=base, device=CPU, precision="fp32")
    head = build_head_classifier(setup, PARAMS, method="head", method_version=1, label_names=split.label_names, seed=0)
    encoder = AutoModel.from_pretrained(base.folder).eval()

    features = head.features(split, 5)

    for sentence, feature in zip(split.sentences, features, strict=True):  # one text at a time needs no padding
        encoded = head.tokenizer(sentence, return_tensors="pt")
        states = encoder(input_ids=encoded.input_ids, attention_mask=encoded.attention_mask).last_hidden_state
        torch.testing.assert_close(feature, states[0].mean(dim=0), rtol=0, atol=1e-5)  # float32, values up to 3
