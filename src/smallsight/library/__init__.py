"""Pictures on disk, what is known about them, and how they are searched."""
