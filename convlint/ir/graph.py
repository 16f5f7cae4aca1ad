"""ModelGraph: the model as data, in execution order.

``ModelGraph`` is an immutable sequence of nodes with typed accessors; the wire
form is :class:`GraphDocument`. Algorithms that need a graph library take
:meth:`ModelGraph.to_networkx`, which loads networkx only then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from convlint import errors
from convlint.ir.nodes import Data, Input, Node, Output, Param, Ref, TensorSpec

if TYPE_CHECKING:
    import networkx

FORMAT = 1
T = TypeVar("T")


class GraphDocument(Data, frozen=True):
    """A graph as it is sent and kept: nodes in execution order, and the rest.

    ``unused`` are the parameters and buffers that no node reads.
    """

    nodes: tuple[Node, ...]
    unused: tuple[Param, ...] = ()
    format: int = FORMAT


class ModelGraph:
    """Typed access to the nodes of one model; never changed after it is built."""

    def __init__(self, nodes: tuple[Node, ...], unused: tuple[Param, ...] = ()) -> None:
        self.nodes = nodes
        self.unused = unused
        self._known: dict[Callable[[ModelGraph], Any], Any] = {}

    @cached_property
    def by_id(self) -> dict[str, Node]:
        """Every node under its id."""
        return {node.id: node for node in self.nodes}

    @cached_property
    def order(self) -> dict[str, int]:
        """The place of every node in execution order."""
        return {node.id: place for place, node in enumerate(self.nodes)}

    @cached_property
    def _users(self) -> dict[str, tuple[Node, ...]]:
        users: dict[str, dict[str, Node]] = {node.id: {} for node in self.nodes}
        for node in self.nodes:
            for ref in node.inputs:
                users[ref.node][node.id] = node
        return {key: tuple(value.values()) for key, value in users.items()}

    def once(self, analysis: Callable[[ModelGraph], T]) -> T:
        """Return ``analysis(self)``, worked out the first time that it is asked for."""
        if analysis not in self._known:
            self._known[analysis] = analysis(self)
        result: T = self._known[analysis]
        return result

    def __getitem__(self, node_id: str) -> Node:
        """Return the node with this id; raise GraphError where there is none."""
        try:
            return self.by_id[node_id]
        except KeyError:
            raise errors.GraphError("no such node", where=node_id) from None

    def __contains__(self, node_id: object) -> bool:
        return node_id in self.by_id

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def users(self, node: Node) -> tuple[Node, ...]:
        """Return the nodes that read any output of ``node``, in execution order.

        The Output node is one of them, so a tensor that the model returns has a user.
        """
        return self._users[node.id]

    @cached_property
    def _holders(self) -> dict[str, tuple[Node, ...]]:
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for storage in {param.storage for param in node.params}:
                found.setdefault(storage, []).append(node)
        return {storage: tuple(nodes) for storage, nodes in found.items()}

    def holders(self, storages: Iterable[str]) -> tuple[Node, ...]:
        """Return the nodes with a parameter or buffer of these storages, in execution order."""
        found = {node.id: node for key in storages for node in self._holders.get(key, ())}
        return tuple(sorted(found.values(), key=lambda node: self.order[node.id]))

    @cached_property
    def _by_module(self) -> dict[str, tuple[Node, ...]]:
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            found.setdefault(node.module, []).append(node)
        return {module: tuple(nodes) for module, nodes in found.items()}

    def in_module(self, module: str) -> tuple[Node, ...]:
        """Return the nodes of exactly this module, in execution order."""
        return self._by_module.get(module, ())

    def producers(self, node: Node) -> tuple[Node, ...]:
        """Return the nodes that ``node`` reads, one for each of its inputs."""
        return tuple(self[ref.node] for ref in node.inputs)

    def spec(self, ref: Ref) -> TensorSpec:
        """Return shape and dtype of the tensor that ``ref`` names."""
        return self[ref.node].outputs[ref.output]

    def input_specs(self, node: Node) -> tuple[TensorSpec, ...]:
        """Return shape and dtype of every input of ``node``."""
        return tuple(self.spec(ref) for ref in node.inputs)

    @cached_property
    def model_inputs(self) -> tuple[Node, ...]:
        """The Input nodes."""
        return tuple(node for node in self.nodes if isinstance(node.op, Input))

    @cached_property
    def model_output(self) -> Node | None:
        """The Output node, or None in a graph that was cut short."""
        return next((node for node in self.nodes if isinstance(node.op, Output)), None)

    def params(self) -> tuple[Param, ...]:
        """Return each parameter and buffer once per storage, used ones first."""
        seen: dict[str, Param] = {}
        for node in self.nodes:
            for param in node.params:
                seen.setdefault(param.storage, param)
        for param in self.unused:
            seen.setdefault(param.storage, param)
        return tuple(seen.values())

    def document(self) -> GraphDocument:
        """Return the plain data of this graph."""
        return GraphDocument(nodes=self.nodes, unused=self.unused)

    def to_networkx(self) -> networkx.DiGraph[str]:
        """Return a DiGraph of node ids with an edge from every producer to its users."""
        import networkx

        graph: networkx.DiGraph[str] = networkx.DiGraph()
        graph.add_nodes_from(self.order)
        graph.add_edges_from((ref.node, node.id) for node in self.nodes for ref in node.inputs)
        return graph
