"""What of a block need not be made: rows and blocks that are there already, or were before a kill."""
