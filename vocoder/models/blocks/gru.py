"""The gated recurrent unit: all steps at once in training, one step in a loop over samples.

    r, z = σ(a_rz + s_rz),   n = tanh(a_n + r s_n),   h = (1 - z) n + z h(t-1)

with ``a`` the contribution of the input and ``s = W h(t-1) + b`` that of the state: the equations,
the gate order and the initialisation of ``torch.nn.GRU``. Its parameters are separate layers here,
since the contributions of the mel and of the last sample to the gates are computed separately.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vocoder.features.autocast import outside_autocast


class GatedRecurrentLayer(nn.Module):
    """States of all steps from inputs of all steps; the state before the first is zero."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.from_input = nn.Linear(inputs, 3 * channels)
        self.from_state = nn.Linear(channels, 3 * channels)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(channels**-0.5), channels**-0.5)

    def forward(
        self,
        x: Float[Tensor, "batch steps inputs"],
        weight: Float[Tensor, "gates inputs"] | None = None,
    ) -> Float[Tensor, "batch steps channels"]:
        """``weight`` replaces that of ``from_input``, for example by a masked one."""
        weight = self.from_input.weight if weight is None else weight
        state = self.from_state
        # bfloat16 rounding errors would accumulate over thousands of steps.
        with outside_autocast(x.device):
            states, _ = torch.gru(
                x.to(weight.dtype),
                weight.new_zeros(1, x.shape[0], state.in_features),
                (weight, state.weight, self.from_input.bias, state.bias),
                has_biases=True,
                num_layers=1,
                dropout=0.0,
                train=self.training,
                bidirectional=False,
                batch_first=True,
            )
        return states


def gated_update(
    from_input: Float[Tensor, "batch gates"],
    from_state: Float[Tensor, "batch gates"],
    state: Float[Tensor, "batch channels"],
) -> Float[Tensor, "batch channels"]:
    """One step: the next state from both contributions to reset, update and candidate."""
    size = 2 * state.shape[1]
    gates = torch.sigmoid(from_input[:, :size] + from_state[:, :size])
    reset, update = gates.chunk(2, dim=1)
    candidate = torch.tanh(torch.addcmul(from_input[:, size:], reset, from_state[:, size:]))
    return torch.lerp(candidate, state, update)
