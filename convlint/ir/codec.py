"""The one door through which a graph becomes bytes and comes back: versioned JSON."""

from __future__ import annotations

import msgspec

from convlint.errors import GraphError
from convlint.ir.graph import FORMAT, GraphDocument, ModelGraph
from convlint.ir.validate import validate

_DECODER = msgspec.json.Decoder(GraphDocument)


def encode(graph: ModelGraph) -> bytes:
    """Return the graph as JSON; the same graph gives the same bytes."""
    return msgspec.json.encode(graph.document())


def decode(data: bytes) -> ModelGraph:
    """Return the graph in ``data``, validated; raise GraphError where it is none."""
    try:
        document = _DECODER.decode(data)
    except msgspec.DecodeError as error:
        raise GraphError(f"not a graph: {error}") from error
    return open_document(document)


def open_document(document: GraphDocument) -> ModelGraph:
    """Return the graph of a decoded document, validated; refuse another format."""
    if document.format != FORMAT:
        raise GraphError(f"graph format {document.format}, this convlint reads {FORMAT}")
    return validate(ModelGraph(document.nodes, document.unused))
