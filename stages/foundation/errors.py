"""What a person can mend, said in one line.

StudyError      the input asks for something this study cannot do
└── ParamsError     ... and the fault lies in params.yaml
"""

import errno
import re

# What PyTorch and C++ say of it in an error of no kind of its own.
NO_MEMORY = re.compile("(can't|cannot|unable to) allocate|not enough memory|out of memory|bad.alloc", re.IGNORECASE)

TRACEBACK = "STUDY_TRACEBACK"  # environment variable: any value shows where a complaint comes from


class StudyError(ValueError):
    """The input is at fault; the message is one line that says what to do."""


class ParamsError(StudyError):
    """params.yaml asks for something this study cannot do."""


def can_be_mended(error: Exception) -> bool:
    """Whether a person can do something about it: the input, the disk or memory, and no fault of the code."""
    return isinstance(error, StudyError | OSError) or _is_of_memory(error) or _is_of_full_disk(error)


def one_line(error: Exception, *, to_lower: str = "") -> str:
    """What a program says of an error that a person can mend, before it ends with 1.

    Args:
        error: One of those.
        to_lower: What makes the program need less memory, for people.
    """
    if isinstance(error, StudyError):
        return " ".join(str(error).split())
    if _is_of_full_disk(error):
        return "the disk is full; make room and give the same command again, what is finished is kept"
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        return f"{error.filename or 'the disk'} can only be read; mount it writable, or work in a clone elsewhere"
    if isinstance(error, PermissionError):
        return f"you have no right to {error.filename}; change that (`chmod`), or work in a clone of your own"
    if _is_of_memory(error):
        less = f"lower {to_lower}, or " if to_lower else ""
        return f"memory ran out; {less}end other programs, then give the same command again"
    return " ".join(str(error).split())


def _is_of_full_disk(error: Exception) -> bool:
    """Safetensors says so in words alone."""
    is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return is_full or "No space left on device" in str(error)


def _is_of_memory(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or bool(NO_MEMORY.search(str(error)))


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
