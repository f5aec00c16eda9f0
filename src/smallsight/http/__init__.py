"""What keeps strangers out and carries bytes. Knows HTTP and WebSocket, no protocol of an API and no model."""
