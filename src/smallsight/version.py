"""The one place that states which version of Smallsight this is."""

__version__ = "0.1.0"
