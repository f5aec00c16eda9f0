"""How weights are stored in fewer bits, in plain numpy."""
