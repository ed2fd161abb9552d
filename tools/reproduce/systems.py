"""All seed systems, in the page's order."""

from __future__ import annotations

from tools.reproduce import chest_xray, gi_bleeding, malaria, mammography, study
from tools.reproduce.system import System

SYSTEMS: tuple[System, ...] = (
    gi_bleeding.SYSTEM,
    malaria.SYSTEM,
    chest_xray.SYSTEM,
    study.SYSTEM,
    mammography.SYSTEM,
)
