"""The Prefect server of a run: which one, whether it answers, and one of its own where none is named."""
