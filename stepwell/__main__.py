"""`python -m stepwell` is the command line."""

from stepwell.cli.entry import main

if __name__ == "__main__":
    main()
