"""A trained model as a folder that other programs load, checked against the engine, with a card of what was measured.

python -m stages.export merged --out my-model
"""
