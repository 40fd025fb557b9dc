"""The Hugging Face Hub, for whoever needs it: the engine for base models, the corpus for data sets, export to push."""
