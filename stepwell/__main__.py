"""`python -m stepwell` is the command line."""

from stepwell.cli.main import main

if __name__ == "__main__":
    main(prog_name="stepwell")
