"""ModelSpec: the size and kind of the network, as set by an experiment."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Interval

from graphdown.ranges import check_ranges

BINDING = ("target_embedding", "target_regression", "eofs")
Size = Annotated[int, Interval(ge=1, le=2**14)]
Amount = Annotated[int, Interval(ge=0, le=2**14)]  # 0 leaves a part out


@dataclass(frozen=True)
class ModelSpec:
    """The size and kind of the network.

    Attributes:
        channels: width of the mesh states.
        rounds: rounds of message passing on the mesh.
        target_channels: width of the states at target nodes.
        target_embedding: learned numbers per target node, as its input and as the weights of its
            own readout. It binds the network to one target grid; 0 keeps it free of the target.
        target_regression: mesh nodes around each target node whose predictors, penalised, enter a
            linear regression for that node, with the values interpolated to it; it is fitted
            before training, and the network corrects it. It binds as the embedding does; 0 leaves
            it out.
        regression_targets: the targets that have the regression, by name; all by default. It
            learns the biases of the sources it is fitted to, which other sources may not share.
        eofs: empirical orthogonal functions of the training fields, by which the targets are
            estimated from any source grid in closed form (`graphdown.emulator.eofs`); the network
            corrects that estimate instead of an interpolation. It binds to the target grid; 0
            leaves it out. The source needs `grids`.
        messages: "linear", whose second matrix comes after the sum over the neighbours; "mlp",
            GraphCast's interaction network with a state for each mesh edge, a few times slower; or
            "attention", AIFS' graph transformer on the mesh, with linear messages to it and from
            it.
        precision: of the network's arithmetic. "bfloat16" is for accelerators; parameters, sums
            over neighbours, the readout and whatever the network corrects stay in 32 bits.
        heads: output for a target, by its name: its "value" (the default) or a distribution:
            "bernoulli-gamma" or, with a heavier tail, "bernoulli-egp", for precipitation, with a
            share of dry days; "censored-normal", within the variable's bounds, such as for clt and
            hurs; "truncated-normal", for what is positive, such as sfcWind and rsds; or one that
            an extension registers.
        transforms: space in which a target is corrected and its loss is taken, by its name:
            "log1p", "cube-root" or one that an extension registers; its own space by default.
        noise: random numbers for each member and day that change scale and shift of the normalised
            states (conditional layer normalisation), so that the network makes an ensemble; 0 for
            one that does not. It is learned by the loss "crps".
        attention_heads: of the messages "attention"; they share the channels evenly.
        conserve_mean: with sub-steps in time, whether their mean is made to equal the network's
            own prediction of the coarse step's mean, to rounding.
        innovation_rounds: corrections by the innovations, what the source shows over its cells
            beyond the means of the fields made so far; for targets that are predictors
            themselves. 0 leaves them out.
    """

    channels: Size = 64
    rounds: Size = 4
    target_channels: Size = 64
    target_embedding: Amount = 0
    target_regression: Amount = 0
    regression_targets: tuple[str, ...] = ()
    eofs: Amount = 0
    messages: Literal["linear", "mlp", "attention"] = "linear"
    precision: Literal["float32", "bfloat16"] = "float32"
    heads: dict[str, str] = field(default_factory=dict, hash=False)
    transforms: dict[str, str] = field(default_factory=dict, hash=False)
    noise: Amount = 0
    attention_heads: Size = 4
    conserve_mean: bool = False
    innovation_rounds: Annotated[int, Interval(ge=0, le=16)] = 0

    @property
    def binding(self) -> tuple[str, ...]:
        """Names of the settings that bind the network to its target grid."""
        return tuple(name for name in BINDING if getattr(self, name))

    def __post_init__(self) -> None:
        """Refuse sizes that no network has, and uneven heads."""
        check_ranges(self)
        heads = self.attention_heads
        if self.messages == "attention" and self.channels % heads:
            raise ValueError(
                f"the {heads} attention_heads cannot share {self.channels} channels evenly; change "
                "either."
            )
