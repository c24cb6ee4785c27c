"""Weights files. Light to import: PyTorch is imported by the modules that read or write tensors."""
