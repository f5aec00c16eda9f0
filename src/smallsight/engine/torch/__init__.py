"""The torch engine: CUDA, Apple's MPS and the CPU, with the recipes of bitsandbytes; an extra."""
