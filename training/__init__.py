"""How Smallsight-tiny is made: pictures drawn by a program, a network, its training and its measurement."""
