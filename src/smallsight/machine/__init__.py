"""This machine's memory and processor."""
