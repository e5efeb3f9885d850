"""`python -m itemsapi`: the command line."""

from itemsapi.cli import main

main(prog_name="itemsapi")
