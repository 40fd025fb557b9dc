"""How each export is loaded and served, as the model card says it: fixed text and code, nothing of a data set in it."""

TOLD = {
    "adapter": "adapter and base model for plain PEFT and Transformers",
    "merged": "one model for plain Transformers",
    "onnx": "one file for ONNX Runtime",
    "files": "method tfidf as weights, features and a reader",
}

ADAPTER = """```python
from transformers import pipeline

folder = "."  # where this file lies
classify = pipeline("text-classification", folder)
print(classify(["a text"], truncation=True, top_k=None))
```

`AutoModelForSequenceClassification.from_pretrained(folder)` loads it likewise, wherever the folder was moved to, since
the base model lies beside the adapter. `AutoPeftModelForSequenceClassification.from_pretrained(folder)` goes by the
path in `adapter_config.json`, which was written for the place of the export. **After the folder was moved, set
`base_model_name_or_path` there to the new absolute path of `base`**, or load both parts, from any place:

```python
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

base = AutoModelForSequenceClassification.from_pretrained(f"{folder}/base")
model = PeftModel.from_pretrained(base, folder)
```

`truncation=True` cuts texts where the training did."""

MERGED = """```python
from transformers import pipeline

folder = "."  # where this file lies, or the repository's name on the Hub
classify = pipeline("text-classification", folder)
print(classify(["a text"], truncation=True, top_k=None))
```

`AutoModelForSequenceClassification` and `AutoTokenizer` load it by `from_pretrained(folder)`. `truncation=True` cuts
texts where the training did.

To serve it over HTTP, [text-embeddings-inference](https://github.com/huggingface/text-embeddings-inference) has
`/predict` for classifiers of the architectures that it knows (`text-embeddings-router --model-id FOLDER`), and
[vLLM](https://docs.vllm.ai) has `/classify` (`vllm serve FOLDER`). Neither was tried here. `transformers serve` of
Transformers 5.23 has nothing for sequence classification."""

ONNX = """```python
import json
import numpy as np
from onnxruntime import InferenceSession
from tokenizers import Tokenizer

labels, tokenizer = json.load(open("labels.json")), Tokenizer.from_file("tokenizer.json")
session, fields = InferenceSession("{file}"), {{"input_ids": "ids", "token_type_ids": "type_ids"}}
encoded = tokenizer.encode_batch(["a text"])  # cut and padded by tokenizer.json
inputs = {{i.name: np.array([getattr(e, fields.get(i.name, i.name)) for e in encoded]) for i in session.get_inputs()}}
print([labels[index] for index in session.run(["logits"], inputs)[0].argmax(axis=1)])
```

Needs the packages onnxruntime, tokenizers and numpy; no PyTorch."""

FILES = """```python
from tfidf_reader import TfidfReader

print(TfidfReader(".").classify(["a text"]))
```

Needs the packages numpy and safetensors. `tfidf_reader.py`, which lies beside this file, says what it computes."""


TEXTS, PAIRS = '["a text"]', '[("a text", "its second")]'
TO_PIPELINE = '[{"text": "a text", "text_pair": "its second"}]'


def usage(name: str, *, int8: bool, pairs: bool) -> str:
    """Markdown on how an export of this format is loaded, with a text, or with a pair of texts."""
    file = "model_int8.onnx" if int8 else "model.onnx"
    told = {"adapter": ADAPTER, "merged": MERGED, "onnx": ONNX.format(file=file), "files": FILES}[name]
    return told.replace(TEXTS, TO_PIPELINE if name in ("adapter", "merged") else PAIRS) if pairs else told
