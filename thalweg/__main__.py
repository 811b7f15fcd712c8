"""`python -m thalweg` is the command `thalweg`."""

from thalweg.scripts.__main__ import main

if __name__ == "__main__":
    main()
