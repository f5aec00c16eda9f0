"""SigLIP and SigLIP 2 with pictures of a fixed size."""
