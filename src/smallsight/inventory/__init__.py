"""Which models there are on this machine, what a name means, and what each needs."""
