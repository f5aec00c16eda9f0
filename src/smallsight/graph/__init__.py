"""Blocks from which model families lay out OpenVINO networks."""
