"""Decoding with the optional extension smallsight-kernels, beside OpenVINO."""
