"""Text decoders computed by the optional extension smallsight-kernels, instead of OpenVINO."""
