"""What is done with entries of a data set that cannot be used: an error, or a counted few."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ocrpretrain.errors import DataError

MAX_SHOWN = 20


def check_bad(
    where: str | os.PathLike[str], errors: Sequence[str], total: int, max_bad: float
) -> None:
    """Print one line about the unusable entries of a data set, where they are few enough.

    Args:
        where: the data set.
        errors: one message per unusable entry, which names it.
        total: number of entries.
        max_bad: share of entries that may be left out.

    Raises:
        DataError: more than that, with up to 20 examples.
    """
    if not errors:
        return
    shown = list(errors[:MAX_SHOWN])
    if len(errors) > max_bad * total:
        more = f"\n... and {len(errors) - MAX_SHOWN} more" if len(errors) > MAX_SHOWN else ""
        allowed = f" (max_bad={max_bad:g} allows {int(max_bad * total)})" if max_bad else ""
        raise DataError(
            f"{where}: {len(errors)} of {total} entries are unusable{allowed}:\n"
            + "\n".join(shown)
            + more
        )
    print(f"{where}: left out {len(errors)} of {total} unusable entries: {'; '.join(shown[:5])}")
