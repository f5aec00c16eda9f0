"""The HTTP server: OpenAI's protocol, health and metrics, and what keeps strangers out."""
