"""Where texts come from: files, the Hub, or phrase banks; each gives the same `Source`."""
