"""Surfaces of the town: small node graphs over generated pictures, mapped by UV coordinates in metres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skelevision_town import textures

Colour = Sequence[float] | np.ndarray[Any, Any]


def linear(colour: str) -> tuple[float, float, float]:
    """Linear-light RGB of an sRGB hex colour such as ``"#00903a"``."""
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    r, g, b = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return float(r), float(g), float(b)


def plain(name: str, colour: Colour, roughness: float = 0.7, metallic: float = 0.0, specular: float = 0.3) -> Any:
    """A material of one colour (linear RGB)."""
    import bpy

    material = bpy.data.materials.new(name)
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Roughness"].default_value = roughness
    shader.inputs["Metallic"].default_value = metallic
    shader.inputs["Specular IOR Level"].default_value = specular
    return material


def matte(name: str, colour: Colour) -> Any:
    """A purely diffuse material, cheapest to trace."""
    import bpy

    material = bpy.data.materials.new(name)
    tree = material.node_tree
    tree.nodes.remove(tree.nodes["Principled BSDF"])
    shader = tree.nodes.new("ShaderNodeBsdfDiffuse")
    shader.inputs["Color"].default_value = (*colour, 1.0)
    tree.links.new(shader.outputs[0], tree.nodes["Material Output"].inputs["Surface"])
    return material


def leaf(name: str, colour: Colour) -> Any:
    """Foliage: a part of the light comes through, and leaves differ by where they hang."""
    material = matte(name, colour)
    tree = material.node_tree
    front, back = tree.nodes["Diffuse BSDF"], tree.nodes.new("ShaderNodeBsdfTranslucent")
    both = tree.nodes.new("ShaderNodeMixShader")
    both.inputs[0].default_value = 0.4
    tint = _times(tree, _picture(tree, _shared("stains"), (1.7, 1.7)), [1.1 * c for c in colour])
    for index, shader in enumerate((front, back)):
        tree.links.new(tint, shader.inputs["Color"])
        tree.links.new(shader.outputs[0], both.inputs[1 + index])
    tree.links.new(both.outputs[0], tree.nodes["Material Output"].inputs["Surface"])
    return material


def blotched(name: str, colour: Colour, tile: float = 4.0, kind: str = "grain") -> Any:
    """One colour with ``kind`` (grain or turf), repeated every ``tile`` metres, and stains: asphalt, plaster, grass."""
    material = matte(name, colour)
    tree = material.node_tree
    tint = _times(tree, _picture(tree, _shared(kind), (tile, tile)), colour)
    tint = _times(tree, _picture(tree, _shared("stains"), (5.3 * tile, 4.1 * tile)), tint)
    tree.links.new(tint, tree.nodes["Diffuse BSDF"].inputs["Color"])
    return material


def tiled(
    name: str, colour: Colour, joint: Colour, size: tuple[float, float], gap: float, spread: float,
    rng: np.random.Generator,
) -> Any:  # fmt: skip
    """Bricks, slabs or panels of ``size`` (across, up) with joints of ``gap`` metres, and stains over all."""
    material = matte(name, colour)
    tree = material.node_tree
    cells = max(2, min(12, round(3.0 / size[0]))), max(2, 2 * round(min(12.0, 3.0 / size[1]) / 2))
    stone = textures.masonry(np.asarray(colour), np.asarray(joint), cells, (gap / size[0], gap / size[1]), spread, rng)
    picture = _picture(tree, textures.to_image(name, stone), (cells[0] * size[0], cells[1] * size[1]))
    tint = _times(tree, _picture(tree, _shared("stains"), (13.7, 11.1)), picture)
    tree.links.new(tint, tree.nodes["Diffuse BSDF"].inputs["Color"])
    return material


def _shared(kind: str) -> Any:
    """The one grain, turf or stain picture of the current file, made on first use."""
    import bpy

    found = bpy.data.images.get(kind)
    if found is None:
        make = {"grain": textures.grain, "turf": textures.turf, "stains": textures.stains}[kind]
        made = make(512, np.random.default_rng(len(kind)))
        found = textures.to_image(kind, made)
    return found


def _picture(tree: Any, image: Any, size: tuple[float, float]) -> Any:
    """Colour socket of ``image`` laid over the UV map, one tile being ``size`` metres."""
    where, mapping = tree.nodes.new("ShaderNodeUVMap"), tree.nodes.new("ShaderNodeMapping")
    mapping.inputs["Scale"].default_value = (1.0 / size[0], 1.0 / size[1], 1.0)
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    tree.links.new(where.outputs[0], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs[0], node.inputs["Vector"])
    return node.outputs["Color"]


def _times(tree: Any, socket: Any, other: Any) -> Any:
    """Colour socket of ``socket`` times ``other``, a colour or a socket."""
    node = tree.nodes.new("ShaderNodeVectorMath")
    node.operation = "MULTIPLY"
    tree.links.new(socket, node.inputs[0])
    if hasattr(other, "links"):
        tree.links.new(other, node.inputs[1])
    else:
        node.inputs[1].default_value = tuple(other)
    return node.outputs[0]
