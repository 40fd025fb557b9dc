"""The training loop: what it trains, what it keeps, and how it survives its end."""
