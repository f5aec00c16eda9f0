"""What the library knows, written for other programs: a file of records, or sidecars of the pictures."""
