"""What this machine is and has: memory and processor."""
