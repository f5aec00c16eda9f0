"""Captions and keywords in pictures' metadata and in sidecar files."""
