"""The models of this machine: what their names mean, and how much memory they need."""
