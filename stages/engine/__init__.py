"""The only room that knows torch, transformers and peft."""
