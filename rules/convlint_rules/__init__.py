"""The rules that ship with convlint: every folder here with a ``rule.py`` is one."""
