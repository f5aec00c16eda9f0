"""Loaded models in memory: who borrows which, which one goes when memory is short."""
