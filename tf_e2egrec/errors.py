"""Errors that are meant to be read by the person who can mend them."""


class E2EGRecError(Exception):
    """A mistake in the input, said in one sentence: what is wrong, where, and how to mend it.

    The command line prints the sentence without a traceback and exits with code 2.

    Example:
      >>> str(E2EGRecError("log.csv has no column `user`; name the right one in `interactions.user`"))
      'log.csv has no column `user`; name the right one in `interactions.user`'
    """
