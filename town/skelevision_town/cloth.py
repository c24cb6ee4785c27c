"""Materials of people: cloth with a pattern that moves with the body, skin, hair, leather."""

from __future__ import annotations

from typing import Any

from skelevision_town.person import Cloth, Colour


def plain_material(name: str, colour: Colour, roughness: float) -> Any:
    """A material of one colour."""
    import bpy

    material = bpy.data.materials.new(name)
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Roughness"].default_value = roughness
    return material


def cloth_material(name: str, cloth: Cloth) -> Any:
    """A cloth's material, its pattern in the coordinates of the part it covers."""
    material = plain_material(name, cloth.colour, 0.85)
    tree = material.node_tree
    shader = tree.nodes["Principled BSDF"]
    place = tree.nodes.new("ShaderNodeTexCoord").outputs["Object"]
    if cloth.pattern == "plain":
        factor = _noise(tree, place, 9.0)
        colours = (cloth.colour, tuple(0.75 * channel for channel in cloth.colour))
    else:
        factor = _pattern(tree, place, cloth)
        colours = (cloth.colour, cloth.second)
    mix = tree.nodes.new("ShaderNodeMix")
    mix.data_type = "RGBA"
    tree.links.new(factor, mix.inputs["Factor"])
    for socket, colour in zip(("A", "B"), colours, strict=True):
        next(s for s in mix.inputs if s.name == socket and s.type == "RGBA").default_value = (*colour, 1.0)
    tree.links.new(next(s for s in mix.outputs if s.type == "RGBA"), shader.inputs["Base Color"])
    return material


def _noise(tree: Any, place: Any, scale: float) -> Any:
    node = tree.nodes.new("ShaderNodeTexNoise")
    node.inputs["Scale"].default_value = scale
    tree.links.new(place, node.inputs["Vector"])
    return node.outputs[0]


def _pattern(tree: Any, place: Any, cloth: Cloth) -> Any:
    if cloth.pattern == "checks":
        node = tree.nodes.new("ShaderNodeTexChecker")
        node.inputs["Scale"].default_value = 0.7 / cloth.scale
        tree.links.new(place, node.inputs["Vector"])
        return node.outputs["Fac" if "Fac" in node.outputs else "Factor"]
    if cloth.pattern == "stripes":
        node = tree.nodes.new("ShaderNodeTexWave")
        node.bands_direction = "Z"
        node.inputs["Scale"].default_value = 0.35 / cloth.scale
        tree.links.new(place, node.inputs["Vector"])
        source = node.outputs["Fac" if "Fac" in node.outputs else "Factor"]
    else:
        source = _noise(tree, place, 0.5 / cloth.scale)
    ramp = tree.nodes.new("ShaderNodeMath")
    ramp.operation = "GREATER_THAN"
    ramp.inputs[1].default_value = 0.5
    tree.links.new(source, ramp.inputs[0])
    return ramp.outputs[0]
