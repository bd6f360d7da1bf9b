# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Write the table of parameters into docs/parameters.md: python docs/generate_parameters.py."""

from pathlib import Path

from vl4ad_ros.settings import markdown_table

PAGE = Path(__file__).with_name('parameters.md')
HEADING = '## Table\n'


def with_table(page: str) -> str:
    """
    Return the page with the table of today's parameters below the heading `HEADING`.

    :param page: text of docs/parameters.md. What stands above the heading is kept.
    """
    above, _, _ = page.partition(HEADING)
    return f'{above}{HEADING}\n{markdown_table()}\n'


if __name__ == '__main__':
    PAGE.write_text(with_table(PAGE.read_text()))
