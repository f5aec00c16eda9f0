"""The reference engine: SmolVLM in plain numpy, slow and readable; tests compare the fast engines with it."""
