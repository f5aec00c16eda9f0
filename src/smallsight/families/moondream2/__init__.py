"""moondream2: a SigLIP-like vision tower over crops, a Phi-like decoder and a region head."""
