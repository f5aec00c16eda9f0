"""Ollama's protocol below ``/api``, for programs that were written for it. Knows no other protocol."""
