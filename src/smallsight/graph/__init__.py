"""Building blocks of the families' OpenVINO networks."""
