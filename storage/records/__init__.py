"""What people and runs wrote down in a store, beside its blocks."""
