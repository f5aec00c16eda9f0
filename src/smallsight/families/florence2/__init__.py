"""Florence-2: a DaViT vision tower and a BART encoder-decoder, driven by task prompts."""
