"""Shared by tests: small panoramas, and a teacher that runs in no time."""
