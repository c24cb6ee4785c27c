"""The green screen: a plain matte sheet on a stand, in the green that ARMORY uses."""

from __future__ import annotations

from typing import Any

import numpy as np

from skelevision_town import materials
from skelevision_town.plan import GreenScreen
from skelevision_town.shapes import MeshBuilder, place

GREEN = "#00903a"  # ARMORY's; max channel 0.5647
COVERAGE = "screen"  # name of the pass that holds how much of each pixel is sheet


def build_screen(screen: GreenScreen) -> Any:
    """Add ``screen`` to the current scene; its sheet outputs 1 into the render pass ``COVERAGE``."""
    half, height = screen.width / 2, screen.height
    sheet = MeshBuilder()
    sheet.add_quads([[(-half, 0, 0), (half, 0, 0), (half, 0, height), (-half, 0, height)]], "sheet")
    material = materials.matte("sheet", materials.linear(GREEN))
    _mark(material)
    thing = place(sheet.mesh("sheet", {"sheet": material}), screen.centre, screen.heading)
    stand, lift = MeshBuilder(), screen.centre[2]
    for x in (-half + 0.06, half - 0.06):
        stand.add_box((x - 0.025, 0.012, -0.3), (x + 0.025, 0.06, height), "metal")
        stand.add_box((x - 0.03, 0.012, -0.32), (x + 0.03, 0.55, -0.28), "metal")
    stand.add_box((-half, 0.012, height - 0.05), (half, 0.05, height - 0.003), "metal")
    metal = {"metal": materials.plain("stand", np.array([0.05, 0.05, 0.055]), 0.5)}
    place(stand.mesh("stand", metal), screen.centre, screen.heading).location[2] = lift
    return thing


def _mark(material: Any) -> None:
    output = material.node_tree.nodes.new("ShaderNodeOutputAOV")
    output.aov_name = COVERAGE
    output.inputs["Value"].default_value = 1.0
