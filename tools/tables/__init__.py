"""The tables of the pages: a file a chapter, a small function a table, which makes Markdown of the stored results.

What was measured on a CPU that is shared with others is shown as ratios within one run, counts and bytes.
"""

from tables import (  # noqa: F401, their tables join the others
    chapter_01,
    chapter_02,
    chapter_03,
    chapter_04,
    chapter_05,
    chapter_06,
    chapter_07,
    chapter_08,
    ladder,
)
from tables.common import TABLES  # noqa: F401
