"""The stages that make a content findable, one file each, and the list of them."""
