"""The answer page: what a study found, said and drawn."""
