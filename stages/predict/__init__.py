"""A trained model in daily use: texts in, classes with calibrated probabilities out; `python -m stages.predict`."""
