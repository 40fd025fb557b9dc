"""Texts and labels, before any model sees them."""
