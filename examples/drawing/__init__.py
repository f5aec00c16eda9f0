"""The parts that `draw_pictures.py` is made of: canvas, fonts, lettering, characters, scenes, files."""
