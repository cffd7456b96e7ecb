"""The tests of tace; the tree mirrors the package."""
