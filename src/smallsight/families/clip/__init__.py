"""CLIP as OpenAI published it, and TinyCLIP."""
