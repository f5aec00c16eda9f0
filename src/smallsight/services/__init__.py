"""The composition root: builds and connects the parts of the program from the settings."""
