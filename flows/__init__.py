"""Entry points: flows, the command line, and what both need. Whoever starts here is told of a package in the place of ours."""

from flows.rooms import refuse_foreign_packages

refuse_foreign_packages()
