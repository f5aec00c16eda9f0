"""The OpenVINO engine: a loader per family, and runners that implement the protocols of ``decoding``."""
