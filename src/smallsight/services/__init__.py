"""The composition root: settings in, everything wired together out."""
