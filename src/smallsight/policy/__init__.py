"""Small decisions and data structures that know nothing of models, files or clocks."""
