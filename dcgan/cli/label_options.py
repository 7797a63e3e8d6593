"""Options of training by class, and of looking at what was trained so."""

from dcgan import UserError
from dcgan.cli.option import option

CONDITIONAL = option(
    False,
    "Learn to generate by class: digits of MNIST, subfolders, attributes of avatars, or columns of "
    "a .csv beside the pictures, one of which has the names of their files.",
    "data",
)
LABEL_COLUMNS = option(
    None,
    "With --conditional, which kinds of labels to learn, such as hair,eyes; all when not given.",
    "data",
)
_OF_CLASS = "Of a run by class, which one: cat, or hair=blue where there are several kinds; "
LABEL = option(
    None, f"{_OF_CLASS}commas join several kinds. Each seed's own when not given.", list=True
)
LABEL_OF_EACH = option(
    None,
    f"{_OF_CLASS}one for all seeds, or as many as seeds, such as 3,8. Each seed's own when not "
    "given.",
    list=True,
)


def require_together(conditional: bool, label_columns: str | None) -> None:
    """Refuses columns of labels that nothing learns."""
    if label_columns is not None and not conditional:
        raise UserError(
            f"--label_columns {label_columns} is for --conditional, which was not given: add it, "
            "or leave the columns out."
        )
