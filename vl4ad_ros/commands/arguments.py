# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The arguments that several verbs share, and the functions that read them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
import sys
from typing import Any

from vl4ad_ros.bundle.installed import DEFAULT, is_name


def positive(text: str) -> float:
    """Convert the text of an argument to a finite number above 0 (for `type=`)."""
    value = float(text)
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f"'{text}' is not a finite number above 0")
    return value


def warn(sentence: str) -> None:
    """Print a warning on stderr."""
    print(f'vl4ad: warning: {sentence}', file=sys.stderr)


def add_bag_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for a recording and its image topic."""
    parser.add_argument('bag', type=Path, metavar='BAG',
                        help='a rosbag2 folder, a single .mcap or .db3 file, or a video')
    parser.add_argument('--topic', metavar='T',
                        help='image topic; needed only if the bag has more than one')


def add_bundle_argument(
        parser: argparse.ArgumentParser,
        default: str = f"model.bundle of --params where there is one, else '{DEFAULT}'") -> None:
    """
    Add `--bundle`, which replaces `model.bundle` of a parameter file.

    :param parser: the parser of the verb.
    :param default: what is used without the argument, for the help text.
    """
    parser.add_argument('--bundle', metavar='B',
                        help='model bundle: the name of an installed one or a folder (default: '
                        f'{default})')


def add_params_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--params`, the parameter file of the node."""
    parser.add_argument('--params', type=Path, metavar='FILE',
                        help='parameter file (YAML) of the node on the vehicle')


def add_replay_arguments(parser: argparse.ArgumentParser, out: str) -> None:
    """
    Add the arguments of every verb that replays a bag through the node, except `--bundle`.

    :param parser: the parser of the verb.
    :param out: default folder of the report.
    """
    parser.add_argument('--rate', type=positive, metavar='R',
                        help='speed of the replay; 1 is the speed of the recording (default: 1; '
                        'with --lockstep as fast as the node answers)')
    parser.add_argument('--out', type=Path, default=Path(out), metavar='DIR',
                        help='folder of the report; an older report in it is replaced, and the '
                        'recording must not be in it (default: %(default)s)')


def node_parameters(options: argparse.Namespace) -> dict[str, Any]:
    """
    Return the parameters of the node that `--params` and `--bundle` give, by name, checked.

    A warning is printed for each name in the file that is not a parameter of the node.

    :param options: parsed arguments of a verb that called `add_bundle_argument`.
    :raises ParameterError: if the file cannot be read or has a value that the node would refuse.
    """
    from vl4ad_ros.settings import read_parameter_file, ROWS, Settings, unknown_names
    given = read_parameter_file(options.params) if getattr(options, 'params', None) else {}
    for sentence in unknown_names(given):
        warn(sentence)
    values = {name: value for name, value in given.items() if name in ROWS}
    if options.bundle is not None:
        values['model.bundle'] = options.bundle
    bundle = Settings().changed(values).model_bundle
    # An absolute path means the same in another process.
    return {**values, 'model.bundle': bundle if is_name(bundle) else str(Path(bundle).absolute())}


def replay_inputs(options: argparse.Namespace, parameters: Mapping[str, Any]) -> list[Path]:
    """Return the files and folders that a replay reads in addition to its recording."""
    params = getattr(options, 'params', None)
    bundle = parameters['model.bundle']
    return [*([params] if params else []), *([Path(bundle)] if not is_name(bundle) else [])]
