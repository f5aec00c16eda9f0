"""Models on other servers, behind the same protocol as the local engines."""
