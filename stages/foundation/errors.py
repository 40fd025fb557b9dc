"""What a person can mend, said in one line.

StudyError      the input asks for something this study cannot do
└── ParamsError     ... and the fault lies in params.yaml
"""


class StudyError(ValueError):
    """The input is at fault; the message is one line that says what to do."""


class ParamsError(StudyError):
    """params.yaml asks for something this study cannot do."""


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
