"""A stack of gated convolutions, one time step after the other, with its past inputs cached.

A time step costs four operations per block. The contribution of past inputs is computed ahead: with
a dilation of d, the older taps of d samples are one matrix product, computed every d-th step. The
inputs of the skip sum are collected over all blocks and multiplied once. The constant sum of the
residual biases before a block is added to the block's own bias; the filter half of the weights is
doubled, because ``tanh(a) σ(b) = 2 σ(2a) σ(b) - σ(b)`` takes one sigmoid over both halves and one
multiply-add. All buffers are allocated once, and all views of them too.

Source: T. Le Paine et al., "Fast WaveNet generation algorithm", arXiv 1611.09482 (the queues).
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear, relu

from vocoder.models.blocks.gated_convolutions import GatedStack

LARGEST_CHUNK = 64
LARGEST_GATES = 8_000_000
"""Limits of a chunk, in samples and in stored gate values."""


class _Past(NamedTuple):
    """``gates += inputs @ weights``, for several samples and one older tap."""

    inputs: Tensor
    weights: Tensor
    gates: Tensor


class _Step(NamedTuple):
    """Inputs and outputs of one block at one time step."""

    past: list[_Past]
    present: Tensor
    gates: Tensor
    following: Tensor | None


class CachedStack:
    """Equivalent to ``stack``, up to rounding, for ``batch`` signals in parallel.

    Write the input of a time step into ``inputs[t]``, (batch, residual_channels), and call
    :meth:`step`; t counts within the chunk passed to :meth:`begin_chunk`.
    """

    def __init__(self, stack: GatedStack, batch: int) -> None:
        blocks = stack.blocks
        self.layers = layers = len(blocks)
        weight = blocks[0].taps.weight
        gate, residual = weight.shape[0], weight.shape[1]
        self.half = half = gate // 2
        per_sample = layers * batch * gate
        self.chunk = max(1, min(LARGEST_CHUNK, LARGEST_GATES // per_sample))
        self._fold(stack)
        new = weight.detach().new_zeros
        self._gates = new(layers, self.chunk, batch, gate)
        self._sigmoid = new(batch, gate)
        self._hidden = new(batch, layers * half)
        self._filter_half, self._gate_half = self._sigmoid[:, :half], self._sigmoid[:, half:]
        self._hidden_views = list(self._hidden.split(half, dim=1))
        self._histories = [layer.history for layer in blocks]
        self._queues = [new(history + self.chunk, batch, residual) for history in self._histories]
        for queue, offset in zip(self._queues, self._offsets, strict=True):
            queue[:] = -offset
        self.inputs = list(self._queues[0][self._histories[0] :].unbind(0))
        self._plan = [
            [self._step(stack.dilations[i], i, t) for i in range(layers)] for t in range(self.chunk)
        ]
        self._filled = 0

    def _fold(self, stack: GatedStack) -> None:
        """Weights as matrices: weight norm, doubling, signs, scales and biases folded in."""
        blocks = stack.blocks
        doubled = blocks[0].taps.weight.new_ones(2 * self.half)
        doubled[: self.half] = 2
        self._taps: list[list[Tensor]] = []
        self._residuals: list[Tensor] = []
        self._offsets: list[Tensor] = []
        condition, biases, skips = [], [], []
        skip_bias = doubled.new_zeros(blocks[0].skip.out_channels)
        offset = doubled.new_zeros(stack.residual_channels)
        for layer in blocks:
            taps = layer.taps.weight * doubled[:, None, None]
            self._taps.append([tap.T.contiguous() for tap in taps.unbind(2)])
            self._offsets.append(offset)
            biases.append(_bias(layer.taps) * doubled + taps.sum(2) @ offset)
            condition.append((layer.condition.weight[:, :, 0] * doubled[:, None]).T)
            # The multiply-add gives -tanh σ.
            skips.append(-layer.skip.weight[:, :, 0] * stack.skip_scale)
            skip_bias = skip_bias + _bias(layer.skip) * stack.skip_scale
            if layer.residual is not None:
                self._residuals.append(-layer.residual.weight[:, :, 0].T.contiguous())
                offset = offset + _bias(layer.residual)
        self._condition = torch.stack(condition)
        self._bias = torch.stack(biases)[:, None]
        self._skip, self._skip_bias = torch.cat(skips, dim=1), skip_bias
        self._head = [
            (layer.weight[:, :, 0].contiguous(), _bias(layer))
            for layer in (stack.hidden, stack.output)
        ]

    def _step(self, dilation: int, index: int, t: int) -> _Step:
        queue, history = self._queues[index], self._histories[index]
        gates, taps = self._gates[index], self._taps[index]
        past = []
        if t % dilation == 0:
            count = min(dilation, self.chunk - t)
            target = gates[t : t + count].flatten(0, 1)
            for age in range(1, len(taps)):
                first = history + t - age * dilation
                rows = queue[first : first + count].flatten(0, 1)
                past.append(_Past(rows, taps[-1 - age], target))
        following = None
        if index + 1 < self.layers:
            following = self._queues[index + 1][self._histories[index + 1] + t]
        return _Step(past, queue[history + t], gates[t], following)

    def begin_chunk(self, condition: Float[Tensor, "batch channels samples"]) -> None:
        """Advance the queues by the last chunk, and project the conditioning of the next one, at
        most ``chunk`` samples, for all blocks."""
        samples = condition.shape[2]
        if self._filled:
            for queue, history in zip(self._queues, self._histories, strict=True):
                kept = queue[self._filled : self._filled + history]
                queue[:history] = kept.clone() if history > self._filled else kept
        rows = condition.permute(2, 0, 1).reshape(1, -1, condition.shape[1])
        torch.baddbmm(
            self._bias.expand(-1, rows.shape[1], -1),
            rows.expand(self.layers, -1, -1),
            self._condition,
            out=self._gates[:, :samples].flatten(1, 2),
        )
        self._filled = samples

    def step(self, t: int) -> Float[Tensor, "batch outputs"]:
        """Output of the stack at a time step of the chunk, after ``inputs[t]`` was written."""
        sigmoid, hidden_views = self._sigmoid, self._hidden_views
        filter_half, gate_half = self._filter_half, self._gate_half
        for index, (past, present, gates, following) in enumerate(self._plan[t]):
            for inputs, weights, target in past:
                target.addmm_(inputs, weights)
            gates.addmm_(present, self._taps[index][-1])
            torch.sigmoid(gates, out=sigmoid)
            hidden = hidden_views[index]
            torch.addcmul(gate_half, filter_half, gate_half, value=-2, out=hidden)
            if following is not None:
                torch.addmm(present, hidden, self._residuals[index], out=following)
        x = relu(linear(self._hidden, self._skip, self._skip_bias))
        (weight, bias), (last_weight, last_bias) = self._head
        return linear(relu(linear(x, weight, bias)), last_weight, last_bias)


def _bias(conv: nn.Conv1d) -> Tensor:
    assert conv.bias is not None
    return conv.bias
