"""Access control, limits and transport over HTTP and WebSocket. Knows no API and no model."""
