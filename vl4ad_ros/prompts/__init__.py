# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Text prompts: vocabularies, the lists of words that ship, and rules for words of equal meaning.

`load` returns a vocabulary by name or file, `read` one from entries as ROS parameters give them.
"""

from vl4ad_ros.prompts.reader import load, names, read
from vl4ad_ros.prompts.vocabulary import PromptClass, Vocabulary, VocabularyError

__all__ = ['PromptClass', 'Vocabulary', 'VocabularyError', 'load', 'names', 'read']
