"""What can go wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx_rm._report import PruneReport, Report


def _in_python(text: str) -> str:
    """Write options as they are called here: ``long_skips`` for ``--long-skips``."""
    return re.sub(r"--([a-z][a-z-]*)", lambda found: found[1].replace("-", "_"), text)


def _restore(kind: type[OnnxRmError], args: tuple[object, ...], attributes: dict[str, object]) -> OnnxRmError:
    """Make an exception again in another process."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class OnnxRmError(Exception):
    """An error of this package; each attribute is None where it does not apply.

    Attributes
    ----------
    file : str or None
        The file that it is about; None for a model in memory.
    node : str or None
        The node.
    tensor : str or None
        The tensor, or the graph input.
    condition : str
        What does not hold, without the name of the file.
    hint : str or None
        What can be done about it.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        node: str | None = None,
        tensor: str | None = None,
        condition: str | None = None,
        hint: str | None = None,
    ) -> None:
        message = _in_python(message)
        super().__init__(message)
        self.file = file
        self.node = node
        self.tensor = tensor
        self.condition = message if condition is None else _in_python(condition)
        self.hint = None if hint is None else _in_python(hint)

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (type(self), self.args, dict(self.__dict__))

    def __str__(self) -> str:
        message = str(self.args[0])
        return message if self.hint is None else f"{message} (hint: {self.hint})"


class OptionError(OnnxRmError, ValueError):
    """An option has a value that it cannot have, or names a file that is not what it has to be."""


class LoadError(OnnxRmError):
    """What was given is no ONNX model that can be used."""


class FileError(OnnxRmError, OSError):
    """The system refuses a file; ``errno`` says why."""

    def __init__(
        self,
        message: str,
        *,
        errno: int | None = None,
        file: str | None = None,
        node: str | None = None,
        tensor: str | None = None,
        condition: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, file=file, node=node, tensor=tensor, condition=condition, hint=hint)
        self.errno = errno
        self.filename = file


class GraphError(OnnxRmError):
    """The graph is malformed."""


class LimitError(OnnxRmError):
    """No rewrite keeps to ``max_macs``, ``max_parameters`` or ``max_bytes``."""


class VerifyError(OnnxRmError):
    """The models could not be compared: neither "equal" nor "different"."""


class Finding(OnnxRmError):  # noqa: N818 -- what the program calls it
    """Nothing was given out, and that is no fault of the model: exit code 1 of the program.

    Attributes
    ----------
    report : Report or PruneReport
        What was found, and what was done by then.
    """

    def __init__(self, message: str, report: Report | PruneReport, *, file: str | None = None) -> None:
        super().__init__(message, file=file)
        self.report = report


class VerificationError(Finding):
    """The rewritten model differs from the original, or nothing could be concluded; it was not given out.

    Attributes
    ----------
    report : Report
        What was found; ``report.verification.report`` has the comparison.
    """


class RequirementError(Finding):
    """What ``require`` asks for does not hold; nothing was given out."""


class InternalError(OnnxRmError):
    """A fault of onnx-rm itself: please report it."""
