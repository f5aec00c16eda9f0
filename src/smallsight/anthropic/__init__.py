"""Anthropic's protocol: messages with pictures and tools, and their numbers of tokens."""
