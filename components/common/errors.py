"""The one exception for what a user can mend."""


class DarkroomError(Exception):
    """A problem in data, settings or surroundings, in words for the person who must mend it.

    The message says what is wrong, where, and what to do next, in one line. The command line prints
    it without a traceback and exits with 1; anything else that is raised is a bug of ours and keeps
    its traceback.
    """
