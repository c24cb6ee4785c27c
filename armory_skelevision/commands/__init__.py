"""Commands of `skelevision` that fill a file each; `cli` puts them together."""
