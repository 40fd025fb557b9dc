"""What looks across experiments; it trains nothing."""
