"""OCR in a child process, and the text embedder."""
