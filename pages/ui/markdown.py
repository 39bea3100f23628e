"""Text that a user typed, inside markdown."""


def plain_text(text: str) -> str:
    """The text without a meaning in markdown.

    Examples
    --------
    >>> plain_text("lot_7 *new* [a](b)")
    'lot\\\\_7 \\\\*new\\\\* \\\\[a\\\\](b)'
    """
    return "".join(f"\\{c}" if c in "\\`*_[]<>#|~$" else c for c in text)
