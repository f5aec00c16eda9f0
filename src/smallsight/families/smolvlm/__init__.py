"""SmolVLM and SmolVLM2 (Idefics3): a SigLIP vision tower, a pixel-shuffle connector and a Llama decoder."""
