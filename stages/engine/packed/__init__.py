"""The fast forward pass: batches without padding, frozen weights laid out once, gradients of what is trained alone."""
