"""The reports that ship with convlint: one module a format."""
