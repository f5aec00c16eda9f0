"""Small policies and data structures, independent of models, files and clocks."""
