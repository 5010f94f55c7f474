"""Does source-free adaptation work? Arms over seeds on procedural streets; ``run`` makes the figures, ``report`` the tables."""
