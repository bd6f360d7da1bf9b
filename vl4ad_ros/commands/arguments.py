# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Arguments that several verbs share, and how they are read."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
import sys
from typing import Any

from vl4ad_ros.bundle.installed import DEFAULT, is_name


def positive(text: str) -> float:
    """Read a finite number above 0; for `type=` of an argument."""
    value = float(text)
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f"'{text}' is not above 0")
    return value


def add_bag_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the recording and its image topic."""
    parser.add_argument('bag', type=Path, metavar='BAG',
                        help='rosbag2 folder, or a single .mcap or .db3 file')
    parser.add_argument('--topic', metavar='T', help='image topic, if there are several')


def add_bundle_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--bundle`, which replaces `model.bundle` of a parameter file."""
    parser.add_argument('--bundle', metavar='B',
                        help='model bundle: the name of an installed one or a folder (default: '
                        f"model.bundle of --params where there is one, else '{DEFAULT}')")


def add_params_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--params`, a parameter file of the node."""
    parser.add_argument('--params', type=Path, metavar='FILE',
                        help="the node's parameter file (YAML); its values count as in the node")


def add_replay_arguments(parser: argparse.ArgumentParser, out: str) -> None:
    """
    Add what every replay through the node takes.

    :param out: default folder of the report.
    """
    add_bundle_argument(parser)
    parser.add_argument('--rate', type=positive, metavar='R',
                        help='speed, 1 is as recorded (default: 1; with --lockstep as fast as '
                        'the node answers)')
    parser.add_argument('--out', type=Path, default=Path(out), metavar='DIR',
                        help='folder for the report, whose older report is replaced; the '
                        'recording must not lie in it (default: %(default)s)')


def node_parameters(options: argparse.Namespace) -> dict[str, Any]:
    """
    Return the node's parameters as `--params` and `--bundle` give them, checked, by name.

    :raises ParameterError: if the file cannot be read or has a value that the node would refuse.
    """
    from vl4ad_ros.settings import read_parameter_file, ROWS, Settings, unknown_names
    given = read_parameter_file(options.params) if getattr(options, 'params', None) else {}
    for sentence in unknown_names(given):
        print(f'vl4ad: warning: {sentence}', file=sys.stderr)
    values = {name: value for name, value in given.items() if name in ROWS}
    if options.bundle is not None:
        values['model.bundle'] = options.bundle
    bundle = Settings().changed(values).model_bundle
    # An absolute path means the same in another process.
    return {**values, 'model.bundle': bundle if is_name(bundle) else str(Path(bundle).absolute())}


def replay_inputs(options: argparse.Namespace, parameters: Mapping[str, Any]) -> list[Path]:
    """Return the files and folders that a replay reads beside its recording."""
    params = getattr(options, 'params', None)
    bundle = parameters['model.bundle']
    return [*([params] if params else []), *([Path(bundle)] if not is_name(bundle) else [])]
