"""Predictions to numbers with intervals; numpy and scipy only."""
