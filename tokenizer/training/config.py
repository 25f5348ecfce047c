"""Configuration of a tokenizer's training: frozen dataclasses that a recipe contains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import check_fields, wrong_field
from videoar.cluster.ground.fields.limits import (
    ClipNorm,
    Decay,
    DrawingSeed,
    LearningRate,
    Limits,
    OneOrMore,
    Share,
    Weight,
    WeightDecay,
    ZeroOrMore,
)
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerLossConfig:
    """Weights of Eq. 4. The paper gives none; the defaults are from the tokenizer it starts from (BitVAE)."""

    reconstruction: Weight = 1.0
    """Weight of L1 between video and reconstruction."""
    gradient: Weight = 0.0
    """Weight of L1 between differences of neighbouring pixels, which keeps edges without a perceptual network."""
    squared: Weight = 0.0
    """Weight of the mean squared error. Unlike L1, it strongly penalises losing a small object on a plain ground."""
    chroma: Weight = 0.0
    """Weight of the mean squared error of the differences between colour channels. Without it, a small tokenizer loses
    the colours of small objects first."""
    perceptual: Weight = 0.0
    """Weight of the perceptual distance (LPIPS) between frames and their reconstructions; 1 in the release."""
    perceptual_weights: tuple[str, ...] = ()
    """Files with the weights of LPIPS: torchvision's vgg16 and LPIPS's linear heads, or one file with both. Without
    them, the perceptual term compares pixel differences at several resolutions instead, which is logged."""
    commitment: Weight = 0.25
    """Weight of the commitment term, which pulls the encoder towards its codes."""
    entropy: Weight = 0.001
    """Weight of the entropy penalty, which makes bits confident for each sample and diverse over the batch."""
    quantizer: Weight = 4.0
    """Common factor of the commitment and entropy terms."""
    scale_dropout: Share = 0.5
    """Probability that a scale other than the last is dropped in a training step."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class AdversarialConfig:
    """A second network, the discriminator, learns to distinguish real patches from decoded ones. The decoder learns to
    fool it, which sharpens textures that L1 averages away (Eq. 4)."""

    weight: Weight = 0.0
    """Weight of the decoder's adversarial term; 0: no discriminator. The release uses 0.3."""
    balance: Literal["fixed", "adaptive"] = "fixed"
    """`fixed` uses the weight as it is; `adaptive` multiplies it by the ratio of the gradient norms of the other terms
    and of this one at the decoder's last layer (VQGAN), so that neither outweighs the other."""
    start_step: ZeroOrMore = 0
    """First step with the discriminator: before it the decoder learns from the other terms alone."""
    lecam: Weight = 0.05
    """Weight of LeCAM, which reduces overfitting: it keeps real and decoded scores near each other's averages."""
    lecam_decay: Decay = 0.999
    """Decay rate of LeCAM's averages."""
    discriminator: Literal["frame", "video"] = "frame"
    """`frame` looks at patches of single frames, `video` also at three neighbouring frames at a time."""
    channels: Annotated[int, Limits(8, 4096, step=8)] = 128
    """Channels of the discriminator's first layer."""
    layers: Annotated[int, Limits(1, 5)] = 3
    """Layers of the discriminator that halve height and width: 3 see patches of 70 pixels."""
    rate_factor: Annotated[float, Limits(0, 1000)] = 2.0
    """Learning rate of the discriminator as a multiple of the tokenizer's."""

    def __post_init__(self) -> None:
        check_fields(self)

    def is_on(self, step: int) -> bool:
        """Whether the discriminator takes part in a step."""
        return self.weight > 0 and step >= self.start_step


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingBucket(ClipBucket):
    """Clips of one shape that a tokenizer trains on."""

    batch_size: Annotated[int, Limits(1, 1_000_000)] | None = None
    """Clips per step of this shape, over all processes; `train.batch_size` if null."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerTrainConfig:
    """One run of tokenizer training (Eq. 4)."""

    buckets: tuple[TrainingBucket, ...]
    """Clip shapes; steps use them in turn, one per step."""
    steps: OneOrMore
    """Number of updates in the whole run."""
    batch_size: Annotated[int, Limits(1, 1_000_000)]
    """Clips per step, over all processes, for buckets that do not set their own `batch_size`."""
    learning_rate: LearningRate = 1e-4
    """Peak learning rate of AdamW."""
    warmup_steps: ZeroOrMore = 0
    """Steps of the linear warm-up."""
    final_fraction: Share = 1.0
    """Learning rate at the last step as a share of the peak, reached by a cosine; 1 keeps it constant."""
    milestones: tuple[ZeroOrMore, ...] = ()
    """Steps at which the learning rate is divided by ten, cumulatively."""
    betas: tuple[Decay, Decay] = (0.9, 0.95)
    """AdamW's decay rates of the first and second moment."""
    weight_decay: WeightDecay = 0.01
    """AdamW's weight decay."""
    ema_decay: Decay = 0.0
    """Decay rate of the moving average of the weights. The saved tokenizer contains the average; 0: the last
    weights."""
    clip_norm: ClipNorm | None = 1.0
    """Largest gradient norm; longer gradients are scaled down to it; null: gradients are never scaled."""
    loss: TokenizerLossConfig = field(default_factory=TokenizerLossConfig)
    """Weights of the loss terms."""
    adversarial: AdversarialConfig = field(default_factory=AdversarialConfig)
    """The discriminator and its terms of the loss."""
    precision: Literal["float32", "bf16"] = "float32"
    """Precision of the autoencoder's arithmetic (autocast); weights, quantiser and losses are always float32."""
    recompute: bool = False
    """Compute the activations of each level again in the backward pass instead of keeping them: the same results with
    a fraction of the memory, a third slower."""
    compile: bool = False
    """Compile encoder and decoder by torch.compile, once for each shape of clips."""
    initial: Literal["pytorch", "residual"] = "pytorch"
    """Initialisation of random weights. `pytorch`: the default of PyTorch's convolutions; `residual`: each convolution
    keeps the variance and each residual block starts as the identity, which learns faster from scratch."""
    seed: DrawingSeed = 0
    """Seed of the initial weights and of the scale dropout."""
    log_every: OneOrMore = 10
    """Steps between two lines of metrics.jsonl."""
    save_every: OneOrMore = 500
    """Steps between two checkpoints."""
    show_every: OneOrMore = 500
    """Steps between two evaluations of the tokenizer: reconstructions and their metrics."""
    parts: Literal["all", "decoder"] = "all"
    """Which networks are trained. `decoder` freezes the encoder of `inflate_from`: the bits stay the same, so shards
    and generators stay valid, while pictures get better."""
    inflate_from: str = ""
    """Folder of a tokenizer to start from. An image tokenizer's weights fill the temporally last slices (VideoAR §4.1);
    all weights of a video tokenizer of this configuration are copied. If the number of bits per token
    (`tokenizer.latent_dim`) differs, the two layers at the latent start from random weights. Empty: random weights."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.buckets:
            raise wrong_field(self, "buckets", "is empty", "name at least one shape of clips")
        if self.warmup_steps > self.steps:
            remedy = f"use at most {self.steps}, or more steps"
            raise wrong_field(self, "warmup_steps", f"is more than the run has, train.steps={self.steps}", remedy)
        if self.parts == "decoder" and not self.inflate_from:
            raise wrong_field(self, "parts", "has no encoder to keep", "set train.inflate_from to its tokenizer")
        if self.adversarial.weight:
            self._check_adversarial()

    def _check_adversarial(self) -> None:
        """InputError if the discriminator never starts or is too deep for a bucket: two layers lose one row each."""
        start, layers = self.adversarial.start_step, self.adversarial.layers
        if start >= self.steps:
            raise InputError(
                "TokenizerTrainConfig.adversarial.start_step",
                start,
                f"is not before the end of the run, train.steps={self.steps}",
                "start the discriminator earlier, or set train.adversarial.weight=0",
            )
        side = min(min(ScaleSchedule.named(bucket.schedule).pixels) for bucket in self.buckets)
        if side >> layers < 3:
            raise InputError(
                "TokenizerTrainConfig.adversarial.layers",
                layers,
                f"leaves no patch of clips of {side} pixels",
                "use fewer layers, or larger buckets",
            )

    def bucket(self, step: int) -> TrainingBucket:
        """The shape of a step's clips: the same in all processes."""
        return self.buckets[step % len(self.buckets)]

    def num_clips(self, step: int) -> int:
        """Clips of a step, over all processes."""
        return self.bucket(step).batch_size or self.batch_size
