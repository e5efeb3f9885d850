"""`python -m itemsapi`: the command line."""

from itemsapi.cli import main

if __name__ == "__main__":
    main(prog_name="itemsapi")
