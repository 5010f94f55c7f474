"""The commands of the command line, by what they are about. Everything heavy is imported inside them: ``--help`` is instant."""
