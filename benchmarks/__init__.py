"""Programs that measure convlint; not part of the package."""
