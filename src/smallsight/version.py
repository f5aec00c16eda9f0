"""The one place that states which version of Smallsight this is."""

__version__ = "0.2.0"
