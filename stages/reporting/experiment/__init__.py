"""The page of one experiment: what its stages put out, said and drawn."""
