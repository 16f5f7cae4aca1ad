"""The child's side of the process wall: the only room that imports torch or user code.

``read.py`` serves one Request: ``load.py`` imports the file and evaluates the
expression, ``build.py`` constructs on the meta device, ``inputs.py`` finds inputs,
``tracer.py`` records one run into a ``torch.fx.Graph``, ``lower.py`` turns that into a
ModelGraph. ``serve.py`` imports torch once and forks a process for every Request.
"""
