"""What the library reads pictures and texts with: OCR in a child process, and the text embedder."""
