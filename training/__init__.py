"""How Smallsight-tiny is made: pictures drawn by a program, a network, its training and its measurement."""

import os

# Threads that wait by spinning bring everything else on a small machine to a halt. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
