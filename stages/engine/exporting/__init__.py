"""Trained classifiers as other libraries take them, and what these then compute."""
