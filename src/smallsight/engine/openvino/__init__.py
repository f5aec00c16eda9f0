"""The OpenVINO engine: one loader per family, and the runners behind the protocols of decoding."""
