"""What other counters would say for a graph, and why: one module a tool, each tested against it.

They count by their own conventions (bias, norms, activations, factor 2) and with their own
faults (transposed convs, functional calls, attention); both are reproduced and named. What a
graph cannot show is listed in a tool's ``notes``.
"""

from __future__ import annotations

from convlint.cost.peers import deepspeed, fvcore, ptflops, thop, torchinfo
from convlint.cost.peers.base import Difference, Peer, PeerCount, ask

PEERS: dict[str, Peer] = {
    module.PEER.name: module.PEER for module in (fvcore, thop, ptflops, torchinfo, deepspeed)
}

__all__ = ["PEERS", "Difference", "Peer", "PeerCount", "ask"]
