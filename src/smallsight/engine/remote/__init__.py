"""Models that other servers run, behind the same protocol as the engines here."""
