# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the words of a trained bundle do: every table of docs/tiny_model.md, with its controls."""
