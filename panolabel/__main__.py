"""``python -m panolabel``: the command line."""

from panolabel.command import main

main()
