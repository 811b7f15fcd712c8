"""Bad input, told in one line. Commands end with exit code 2 on it; from Python it is an exception like any other."""


class UsageError(Exception):
    """Bad input; the message says what, where and how to mend it."""

    exit_code = 2  # what a command ends with: any exception that has one is bad input, and is told in one line
