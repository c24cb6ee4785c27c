"""Multi-task Siamese person trackers under physical patch attacks, as plugins for ARMORY.

Importing the package loads nothing heavy: ARMORY configs name the modules `armory_skelevision.models`,
`.attacks`, `.datasets`, …, and each of those imports what it needs.
"""

__version__ = "0.1.0"
