"""The acknowledgements of one beat as a decoder hands them in: an `Ack` is made only for who is asked about.

What must hold: equal to the dictionary of the same acknowledgements, in the same order, and as immutable. A beat
of a cluster of twenty carries nineteen, of which its receiver asks for its own; what is asked for seldom (a
recording, a comparison) is made whole.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from zcluster.control.messages import Ack
from zcluster.control.units import NodeName, Pair

# What `Ack._make` does, without a call of a Python function for each.
_ack_of = partial(tuple.__new__, Ack)


class AckHeads(NamedTuple):
    """All but the sequences, which seldom changes: each field for all peers, and the place of each peer."""

    places: Mapping[NodeName, int]
    incarnations: Sequence[int]
    pairs: Sequence[tuple[Pair, ...]]
    long: Sequence[bool]


class Acks(Mapping[NodeName, Ack]):
    """`sequences` in the order of the heads; nobody changes either afterwards."""

    __slots__ = ("_asked", "_heads", "_sequences")

    def __init__(self, heads: AckHeads, sequences: Sequence[int]) -> None:
        self._heads = heads
        self._sequences = sequences
        # Who asks, asks for its own, more than once.
        self._asked: tuple[NodeName, Ack] | None = None

    def __getitem__(self, peer: NodeName) -> Ack:
        if self._asked is not None and self._asked[0] == peer:
            return self._asked[1]
        heads = self._heads
        place = heads.places[peer]
        ack = Ack(heads.incarnations[place], self._sequences[place], heads.pairs[place], heads.long[place])
        self._asked = peer, ack
        return ack

    def get(self, peer: NodeName, default: Any = None) -> Any:
        """As of any mapping; each beat is asked, so without the detour over an exception."""
        return self[peer] if peer in self._heads.places else default

    def __iter__(self) -> Iterator[NodeName]:
        return iter(self._heads.places)

    def __len__(self) -> int:
        return len(self._sequences)

    def __contains__(self, peer: object) -> bool:
        return peer in self._heads.places

    def items(self) -> ItemsView[NodeName, Ack]:
        """All of them."""
        return self._whole().items()

    def _whole(self) -> dict[NodeName, Ack]:
        heads = self._heads
        rows = zip(heads.incarnations, self._sequences, heads.pairs, heads.long, strict=True)
        return dict(zip(heads.places, map(_ack_of, rows), strict=True))

    def __repr__(self) -> str:
        return repr(self._whole())
