"""What a person can mend, said in one line.

StudyError      the input asks for something this study cannot do
└── ParamsError     ... and the fault lies in params.yaml
"""

import errno

TRACEBACK = "STUDY_TRACEBACK"  # environment variable: any value shows where a complaint comes from


class StudyError(ValueError):
    """The input is at fault; the message is one line that says what to do."""


class ParamsError(StudyError):
    """params.yaml asks for something this study cannot do."""


def one_line(error: Exception) -> str:
    """What a program says of an error that a person can mend, before it ends with 1."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; make room and give the same command again, what is finished is kept"
    if isinstance(error, PermissionError):
        return f"you have no right to {error.filename}; change that (`chmod`), or work in a clone of your own"
    return " ".join(str(error).split())


def check(condition: object, complaint: str) -> None:
    """Refuse a value of a file whose name the caller does not know; who reads the file puts it before.

    Args:
        condition: What must be true.
        complaint: Names the key and the value at fault.

    Raises:
        StudyError: If the condition is false.
    """
    if not condition:
        raise StudyError(complaint)


def check_param(condition: object, complaint: str) -> None:
    """Refuse params.yaml unless the condition holds.

    Args:
        condition: What must be true.
        complaint: Names the key and the value at fault.

    Raises:
        ParamsError: If the condition is false.
    """
    if not condition:
        raise ParamsError(f"params.yaml: {complaint}")
