"""The meme-search generator's protocol: jobs for pictures, and callbacks with their descriptions."""
