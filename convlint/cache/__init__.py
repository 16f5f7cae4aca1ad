"""Keeps what was worked out, as long as nothing that it was made of changed.

Two things are kept in a folder ``.convlint_cache`` beside the project's configuration: what the
child read of a model (``replies``), and what a whole command printed (``runs``), which is given
again before anything else is loaded. An entry lists every file, folder and variable that it was
made of; one that changed, or that is broken in any way, is no entry. This room uses the standard
library alone, until a Reply is asked for.
"""
