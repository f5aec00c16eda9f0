"""Untrusted bytes in, safe arrays out."""
