"""Vectors of drawings and of words for what they show: a head on Smallsight-tiny's vision tower."""
