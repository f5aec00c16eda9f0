"""The loaded models: lends them to borrowers, and unloads one when memory is short."""
