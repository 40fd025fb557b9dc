"""Base models: where they come from, how they are loaded, what is recorded of a training on one."""
