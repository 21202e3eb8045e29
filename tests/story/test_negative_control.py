"""The rig sees what it claims to see: with the protection taken away it reports doubled rows."""

from __future__ import annotations

from pathlib import Path

from rig import Rig
