"""What keeps strangers out and carries bytes, over HTTP and WebSocket. Knows no API and no model."""
