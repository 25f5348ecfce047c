"""What is trained and how: the recipe and its parts. Frozen values; the command line overrides any field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.loader import LoaderConfig
from videoar.tokenizer.config import TokenizerSource
from videoar.tokenizer.scales import ScaleSchedule, latent_frames

RopeKind = Literal["centre", "raw", "corner", "learned"]
Interpolation = Literal["bilinear", "area"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TextConfig:
    """How the condition becomes a prefix of tokens."""

    kind: TextKind = "bytes"
    """`bytes`: the caption's UTF-8, embedded by a table trained with the model; `label`: one token a class; `t5`: the
    states of a frozen T5 encoder, which `videoar data text` prepares once."""
    max_tokens: int = 256
    """Longer captions are cut; also the rows of the learned null table of text dropout."""
    num_classes: int = 0
    """Classes (kind `label`)."""
    path: str = ""
    """Folder of the encoder and its tokenizer, as transformers saves them (kind `t5`); training on prepared states does
    not open it."""
    width: int = 2048
    """Width of the encoder's states (kind `t5`): 2,048 of Flan-T5-XL."""
    encoder_hash: str = ""
    """Sixteen hex digits of the encoder, which `videoar data text` prints (kind `t5`); states of another are refused.
    Empty: the one encoder whose states lie beside the data."""
    attention: Literal["full", "causal"] = "full"
    """How text attends to text."""

    def __post_init__(self) -> None:
        if self.kind == "label" and self.num_classes < 1:
            raise InputError("model.text.num_classes", self.num_classes, "leaves no label", "use 1 or more classes")
        if self.kind == "t5" and min(self.width, self.max_tokens) < 1:
            raise InputError(
                "model.text.width",
                (self.width, self.max_tokens),
                "(width, max_tokens) below 1",
                "use the encoder's width and 1 or more tokens",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """The decoder-only backbone (VideoAR §4.2): pre-RMSNorm, SwiGLU of hidden 4d, q/k norm, no biases."""

    num_layers: int
    width: int
    """d, the residual width."""
    num_heads: int
    latent_dim: int = 48
    """k, bits a token; must equal the tokenizer's."""
    max_scales: int = 16
    """Rows of the learned scale embedding."""
    rope: RopeKind = "centre"
    """Coordinate of a coarse cell in units of the finest grid: `centre` (i + 1/2) h/h_s - 1/2, `raw` i, `corner`
    i h/h_s; or `learned`: tables over (frame, row, column) and no rotation, the ablation's baseline."""
    rope_base: float = 10_000.0
    max_frames: int = 32
    """Latent frames the learned position table holds (rope `learned` only)."""
    max_side: int = 64
    """Rows and columns the learned position table holds (rope `learned` only)."""
    down: Interpolation = "bilinear"
    """Down-sampling of the accumulated feature to the next scale (Eq. 6). The first scale of a frame always takes the
    previous frame by area: bilinear to 1x1 would see four cells only."""
    text: TextConfig = field(default_factory=TextConfig)

    def __post_init__(self) -> None:
        if self.width % self.num_heads or self.width // self.num_heads % 2:
            raise InputError(
                "model.num_heads",
                self.num_heads,
                f"does not cut model.width={self.width} into heads of even width",
                "use a divisor of the width",
            )

    @property
    def head_dim(self) -> int:
        """c, channels a head."""
        return self.width // self.num_heads


@dataclass(frozen=True, kw_only=True, slots=True)
class CorrectionConfig:
    """Cross-Frame Error Correction (VideoAR §4.2, Eq. 8)."""

    corruption: Literal["off", "constant", "time"] = "time"
    """`off`: stored bits in and out; `constant`: flips without the ramp (delta = 0); `time`: the paper."""
    inheritance: bool = True
    """A frame's first scale draws from above the flip ratio of the previous frame's last scale."""
    targets: Literal["corrected", "stored"] = "corrected"
    """`corrected`: re-quantised against the corrupted history (needs the latent); `stored`: the clean bits."""
    p_min: float = 0.0
    p_max: float = 0.25
    delta: float = 0.01
    """Rise of both bounds a latent frame."""
    ceiling: float = 0.5
    """Bounds are clamped to this: at 0.5 a bit is a coin."""

    @property
    def needs_latent(self) -> bool:
        """Whether targets are quantised from the latent; otherwise no latent is read or fetched."""
        return self.corruption != "off" and self.targets == "corrected"

    def __post_init__(self) -> None:
        if not 0 <= self.p_min <= self.p_max <= self.ceiling <= 0.5:
            raise InputError(
                "correction.p_max",
                self.p_max,
                f"breaks 0 <= p_min={self.p_min} <= p_max <= ceiling={self.ceiling} <= 0.5",
                "order the bounds",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerConfig:
    """AdamW and its schedule (VideoAR §5.1)."""

    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.05
    """On matrices only."""
    warmup_steps: int = 2000
    schedule: Literal["cosine", "constant"] = "cosine"
    """After the warm-up: cosine to `final_fraction` of the stage's peak at the last step of the last stage."""
    final_fraction: float = 0.1
    clip_norm: float = 1.0
    ema_decay: float = 0.9999
    """Of the exponential moving average of the weights; 0 keeps none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParallelConfig:
    """How one replica is cut up. Data parallelism takes the processes that remain."""

    tensor: int = 1
    """Tensor-parallel degree; stay within one NVLink domain."""
    sequence: bool = True
    """With tensor > 1: what lies between the cut layers is cut along the tokens (Megatron's sequence parallelism)."""
    pipeline: int = 1
    """Pipeline stages."""
    virtual_pipeline: int = 1
    """Chunks of layers a pipeline stage holds (interleaved schedule); divides the bubble."""
    context: int = 1
    """Processes that share the tokens of one pack, for packs that one device cannot hold."""
    context_method: Literal["ulysses", "gather"] = "ulysses"
    """`ulysses`: all-to-all between heads and tokens around attention; `gather`: all keys and values everywhere."""
    zero_stage: Literal[0, 1, 2, 3] = 0
    """DeepSpeed ZeRO over data x context processes: 0 replicates (float32 only), 1 shards the optimizer's state,
    2 gradients too, 3 weights too."""
    offload: bool = False
    """Keep the optimizer's state, and step it, on the CPU (ZeRO 1 to 3)."""
    recompute: Literal["none", "selective", "full"] = "none"
    """Activations recomputed in backward: `selective` keeps matrix products and attention, `full` a block's input."""
    compile: bool = False
    """Compile each block with torch.compile."""

    def __post_init__(self) -> None:
        for name in ("tensor", "pipeline", "virtual_pipeline", "context"):
            if getattr(self, name) < 1:
                raise InputError(f"parallel.{name}", getattr(self, name), "is below 1", "use 1 or more")
        if self.pipeline > 1 and self.zero_stage > 1:
            raise InputError(
                "parallel.zero_stage",
                self.zero_stage,
                f"frees gradients that the pipeline (parallel.pipeline={self.pipeline}) still adds to",
                "use parallel.zero_stage 0 or 1, or parallel.pipeline 1",
            )
        if self.virtual_pipeline > 1 and self.pipeline == 1:
            raise InputError(
                "parallel.virtual_pipeline",
                self.virtual_pipeline,
                "interleaves the chunks of one stage alone",
                "use parallel.pipeline 2 or more",
            )
        if self.offload and self.zero_stage == 0:
            raise InputError("parallel.offload", True, "moves ZeRO's state, and there is none", "set zero_stage 1 to 3")

    @property
    def model_processes(self) -> int:
        """Processes that together compute one pack."""
        return self.tensor * self.pipeline * self.context


@dataclass(frozen=True, kw_only=True, slots=True)
class MixturePart:
    """A dataset's share of a stage."""

    dataset: str
    """Name of a dataset in data.datasets."""
    weight: float = 1.0
    """Share of samples, relative to the other parts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageConfig:
    """One stage of the pipeline (VideoAR §4.2, Multi-Stage Training Pipeline)."""

    name: str
    mixture: tuple[MixturePart, ...]
    steps: int
    tokens_per_pack: int
    """Length of one sequence; samples are packed whole and the rest is padding."""
    batch: int
    """Packs a step, over all processes."""
    learning_rate: float = 1e-4
    """Peak of the stage."""
    window: int = 16
    """Past latent frames a frame may attend to (w of Eq. 9)."""
    p_mask: float = 0.1
    """Probability that a past frame is hidden from a frame for one step (Eq. 9)."""
    plateau_patience: int = 0
    """Validations in a row without a rise of the held-out bit accuracy after which the stage ends before its `steps`;
    0: steps alone decide."""
    plateau_delta: float = 0.001
    """Rise of the bit accuracy, over its best so far, that counts as one."""
    parallel: ParallelConfig | None = None
    """Layout of this stage; null: the recipe's. At a stage that changes it the run saves and goes on recut."""

    def __post_init__(self) -> None:
        where = f"stages.{self.name}"
        if self.plateau_patience < 0 or self.plateau_delta < 0:
            raise InputError(
                f"{where}.plateau_patience",
                (self.plateau_patience, self.plateau_delta),
                "(patience, delta) below 0",
                "use 0 or more",
            )
        if not self.mixture:
            raise InputError(f"{where}.mixture", "()", "trains on nothing", "name at least one dataset")
        if self.steps < 1 or self.batch < 1:
            raise InputError(f"{where}.steps", (self.steps, self.batch), "(steps, batch) below 1", "use 1 or more")
        if self.tokens_per_pack % 256:
            raise InputError(
                f"{where}.tokens_per_pack", self.tokens_per_pack, "is not a multiple of 256", "round it up to one"
            )
        if self.window < 1 or not 0 <= self.p_mask < 1:
            raise InputError(
                f"{where}.window",
                (self.window, self.p_mask),
                "(window, p_mask) out of range",
                "use window >= 1 and 0 <= p_mask < 1",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class LogConfig:
    """What a run tells, and how often."""

    wandb: Literal["off", "offline", "online"] = "offline"
    """Weights & Biases; `offline` needs no key and leaves files to `wandb sync`, `online` needs `wandb login` first."""
    profile_every: int = 100
    """Steps between two that are run under torch's profiler for the time spent in collectives; 0: none. Only where
    there are several processes."""
    save_every: int = 1000
    """Steps between two checkpoints; one is always written at the end."""
    keep_last: int = 3
    """Newest checkpoints kept; older ones are removed."""
    keep_every: int = 0
    """Checkpoints at multiples of so many steps are kept for good; 0: none."""
    checkpoints: str = ""
    """Folder, below the run directory where it is relative, or fsspec URL; empty: RUN/checkpoints."""
    validate_every: int = 0
    """Steps between two teacher-forced evaluations on `validation`; 0: none."""
    validation: tuple[str, ...] = ()
    """Names of held-out datasets."""
    sample_every: int = 0
    """Steps between two samplings of videos into RUN/samples; each writes a checkpoint first. 0: none."""
    num_samples: int = 2
    """Clips that a sampling shows, of `validation` where there is one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultConfig:
    """What a run survives by itself, and when it gives up."""

    skip_budget: int = 20
    """Steps in a row that may be skipped, their loss or gradient not being finite, before the run stops."""
    spike_factor: float = 0.0
    """A loss above so many times the median of the last `spike_window` steps sends the run back to its newest
    checkpoint and past the samples since; 0: never."""
    spike_window: int = 100
    """Steps whose losses a spike is measured against."""
    rewind_budget: int = 3
    """Rewinds of a whole run before it stops."""
    failed_saves: int = 3
    """Checkpoints in a row that may fail to be written (a full disk) before the run stops."""
    stop_within_s: float = 240.0
    """Seconds after a signal to finish the step and save; then the process leaves with what was saved before."""
    hang_timeout_s: float = 1800.0
    """Seconds without progress after which the job ends and the process that fell behind is named."""
    relayout: Literal["reshape", "resubmit"] = "reshape"
    """At a stage of another layout: `reshape` goes on in the same processes, `resubmit` saves and exits 75."""

    def __post_init__(self) -> None:
        for name in ("skip_budget", "rewind_budget", "failed_saves"):
            if getattr(self, name) < 0:
                raise InputError(f"faults.{name}", getattr(self, name), "is below 0", "use 0 or more")
        if self.spike_factor and (self.spike_factor <= 1 or self.spike_window < 2):
            raise InputError(
                "faults.spike_factor",
                (self.spike_factor, self.spike_window),
                "(factor, window) would call ordinary steps spikes",
                "use a factor above 1 and a window of 2 or more",
            )
        for name in ("stop_within_s", "hang_timeout_s"):
            if getattr(self, name) <= 0:
                raise InputError(f"faults.{name}", getattr(self, name), "leaves no time", "use seconds above 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Everything one pretraining run depends on."""

    name: str
    model: ModelConfig
    data: DataConfig
    stages: tuple[StageConfig, ...]
    correction: CorrectionConfig = field(default_factory=CorrectionConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    log: LogConfig = field(default_factory=LogConfig)
    loader: LoaderConfig = field(default_factory=LoaderConfig)
    faults: FaultConfig = field(default_factory=FaultConfig)
    text_dropout: float = 0.1
    """Probability that a sample's text is replaced by the learned null table (classifier-free guidance)."""
    precision: Literal["float32", "bf16"] = "bf16"
    guidance: Literal["t2v", "ucf101"] = "t2v"
    """Guidance ramp the exported model defaults to."""
    threads: int = 0
    """Intra-op threads a process; 0 leaves the choice to torch. One thread makes a CPU run repeatable to the digit."""
    seed: int = 0

    def __post_init__(self) -> None:
        known = {dataset.name for dataset in self.data.datasets}
        for stage in self.stages:
            for part in stage.mixture:
                if part.dataset not in known:
                    raise InputError(
                        f"stages.{stage.name}.mixture",
                        part.dataset,
                        "is no dataset of the recipe",
                        f"use one of: {', '.join(sorted(known))}",
                    )
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names) or not names:
            raise InputError("stages", names, "are not distinct names", "name each stage once")
        if missing := set(self.log.validation) - known:
            raise InputError("log.validation", sorted(missing), "is no dataset of the recipe", "name it in data")
        for stage in self.stages:
            self._check_lengths(stage)
        if any(stage.plateau_patience for stage in self.stages) and not (
            self.log.validate_every and self.log.validation
        ):
            raise InputError(
                "stages.plateau_patience",
                [stage.plateau_patience for stage in self.stages],
                "waits for validations, and there are none",
                "set log.validate_every and log.validation",
            )
        if self.correction.needs_latent and self.data.latent == "none":
            raise InputError(
                "data.latent",
                "none",
                "holds no latent, which self-corrected targets are quantised from",
                "set data.latent=int8, correction.targets=stored or correction.corruption=off",
            )
        if self.tokenizer.path == "" and self.tokenizer.latent_dim != self.model.latent_dim:
            raise InputError(
                "model.latent_dim",
                self.model.latent_dim,
                f"differs from data.tokenizer.latent_dim={self.tokenizer.latent_dim}",
                "make them equal",
            )

    def _check_lengths(self, stage: StageConfig) -> None:
        """A sample with one text token must fit into a pack: found out as a stage begins, it has cost those before."""
        wanted = {part.dataset for part in stage.mixture} | set(self.log.validation if self.log.validate_every else ())
        for dataset in self.data.datasets:
            if dataset.name not in wanted:
                continue
            shapes = [(ScaleSchedule.named(b.schedule), latent_frames(b.num_frames)) for b in dataset.buckets]
            longest = max(schedule.tokens_per_frame * frames for schedule, frames in shapes)
            if longest + 1 > stage.tokens_per_pack:
                raise InputError(
                    f"stages.{stage.name}.tokens_per_pack",
                    stage.tokens_per_pack,
                    f"is less than the {longest} tokens, and text, of a sample of {dataset.name}",
                    "raise it, use shorter clips, or leave the dataset out",
                )

    @property
    def tokenizer(self) -> TokenizerSource:
        """The tokenizer that made the data."""
        return self.data.tokenizer

    def parallel_of(self, stage: StageConfig) -> ParallelConfig:
        """How a replica is cut in a stage: as the stage says, or else as the recipe says."""
        return stage.parallel or self.parallel

    @property
    def num_steps(self) -> int:
        """Optimizer steps over all stages, where none ends early."""
        return sum(stage.steps for stage in self.stages)


TextKind = Literal["bytes", "label", "t5"]
