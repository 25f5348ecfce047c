"""What is trained and how: the recipe and its parts. Values are frozen; the command line can override any field."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import check_fields, check_name, wrong_field
from videoar.cluster.ground.fields.limits import (
    ClipNorm,
    Decay,
    LearningRate,
    Limits,
    OneOrMore,
    Seconds,
    Seed,
    Share,
    Threads,
    WeightDecay,
    ZeroOrMore,
)
from videoar.cluster.ground.watching import WatchConfig
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.loader import LoaderConfig
from videoar.pretrain.guidance import parse_guidance
from videoar.tokenizer.config import TokenizerSource
from videoar.tokenizer.scales import HistoryKind, ScaleSchedule, latent_frames

TextKind = Literal["bytes", "words", "label", "t5"]
RopeKind = Literal["centre", "raw", "corner", "learned"]
Interpolation = Literal["bilinear", "area"]
Precision = Literal["float32", "bf16"]
Recompute = Literal["none", "selective", "full"]
FlipRatio = Annotated[float, Limits(0, 0.5)]
Degree = Annotated[int, Limits(1, 65_536)]
"""Number of processes, or of chunks, that something is cut over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextConfig:
    """How the text or label of a sample becomes its prefix of tokens."""

    kind: TextKind = "bytes"
    """`bytes`: the caption's UTF-8 bytes, embedded by a table trained with the model; `words`: one token for each word
    of `words`, bytes for everything else; `label`: one token per class; `t5`: the states of a frozen T5 encoder, which
    `videoar data text` prepares once."""
    max_tokens: Annotated[int, Limits(1, 65_536)] = 256
    """Captions are cut after this many tokens; the learned null table of text dropout has the same number of rows."""
    words: tuple[str, ...] = ()
    """Words that are one token each (kind `words`). With captions of a small vocabulary, the model learns their meaning
    sooner and reads fewer tokens. Capitals and spaces do not matter."""
    num_classes: Annotated[int, Limits(0, 10_000_000)] = 0
    """Number of classes (kind `label`)."""
    path: str = ""
    """Folder of the encoder and its tokenizer, as transformers saves them (kind `t5`); training on prepared states does
    not open it."""
    width: Annotated[int, Limits(1, 131_072)] = 2048
    """Width of the encoder's states (kind `t5`); Flan-T5-XL has 2,048."""
    encoder_hash: str = ""
    """Hash of the encoder (kind `t5`), sixteen hex digits that `videoar data text` prints; states of another encoder
    are refused. Empty: uses the only encoder whose states are stored with the data."""
    attention: Literal["full", "causal"] = "full"
    """Whether text tokens attend to all text tokens of their sample, or to earlier ones only."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.kind == "label" and self.num_classes < 1:
            raise wrong_field(self, "num_classes", "allows no label", "use 1 or more")
        if self.kind == "words" and not self.words:
            raise wrong_field(self, "words", "is empty", "list the words of the captions, or use kind bytes")
        if len({word.lower() for word in self.words}) < len(self.words):
            raise wrong_field(self, "words", "names a word twice", "name each word once; capitals do not matter")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """The decoder-only backbone (VideoAR §4.2): pre-RMSNorm, SwiGLU of hidden 4d, q/k norm, no biases."""

    num_layers: Annotated[int, Limits(1, 1000)]
    """Number of transformer blocks."""
    width: Annotated[int, Limits(1, 131_072)]
    """d, the residual width."""
    num_heads: Annotated[int, Limits(1, 4096)]
    """Attention heads; they divide the width into parts of even size."""
    latent_dim: Annotated[int, Limits(1, 65_536)] = 48
    """k, bits per token; must equal the tokenizer's."""
    max_scales: Annotated[int, Limits(1, 1000)] = 16
    """Rows of the learned scale embedding."""
    rope: RopeKind = "centre"
    """Coordinate of a coarse cell in units of the finest grid: `centre` (i + 1/2) h/h_s - 1/2, `raw` i, `corner`
    i h/h_s; or `learned`: tables over (frame, row, column) and no rotation, the ablation's baseline."""
    rope_base: Annotated[float, Limits(1, 1e12)] = 10_000.0
    """Base of the rotary frequencies: a larger base distinguishes positions over longer distances."""
    max_frames: Annotated[int, Limits(1, 100_000)] = 32
    """Latent frames the learned position table holds (rope `learned` only)."""
    max_side: Annotated[int, Limits(1, 10_000)] = 64
    """Rows and columns the learned position table holds (rope `learned` only)."""
    history: HistoryKind = "scales"
    """What later frames attend to. `scales`: all scales of a past frame, as in the paper. `context` (our ablation):
    context tokens after every frame but the last, which hold the whole frame, one for each cell of its last scale."""
    down: Interpolation = "bilinear"
    """Down-sampling of the accumulated feature to the next scale (Eq. 6). The first scale of a frame always reads the
    previous frame by area interpolation: bilinear to 1x1 would read only four cells."""
    text: TextConfig = field(default_factory=TextConfig)
    """How the caption or label of a sample becomes tokens."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.width % self.num_heads or self.width // self.num_heads % 2:
            raise wrong_field(
                self,
                "num_heads",
                f"does not cut model.width={self.width} into heads of even width",
                "use a divisor of the width",
            )

    @property
    def head_dim(self) -> int:
        """c, channels per head."""
        return self.width // self.num_heads


@dataclass(frozen=True, kw_only=True, slots=True)
class CorrectionConfig:
    """Cross-Frame Error Correction (VideoAR §4.2, Eq. 8)."""

    corruption: Literal["off", "constant", "time"] = "time"
    """`off`: inputs and targets are the stored bits; `constant`: bits are flipped without the ramp (delta = 0);
    `time`: bits are flipped as in the paper."""
    inheritance: bool = True
    """Whether a frame's first scale takes the flip ratio of the previous frame's last scale as its lower bound."""
    targets: Literal["corrected", "stored"] = "corrected"
    """`corrected`: re-quantised against the corrupted history (needs the latent); `stored`: the clean bits."""
    p_min: FlipRatio = 0.0
    """Lower bound of the flip ratios, before the ramp."""
    p_max: FlipRatio = 0.25
    """Upper bound of the flip ratios, before the ramp."""
    delta: Share = 0.01
    """Rise of both bounds with each latent frame."""
    ceiling: FlipRatio = 0.5
    """Both bounds are clamped to this; at 0.5 a bit carries no information."""

    @property
    def needs_latent(self) -> bool:
        """Whether targets are quantised from the latent; otherwise no latent is read or fetched."""
        return self.corruption != "off" and self.targets == "corrected"

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.p_min <= self.p_max <= self.ceiling:
            raise wrong_field(
                self, "p_max", f"breaks p_min={self.p_min} <= p_max <= ceiling={self.ceiling}", "order the bounds"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerConfig:
    """AdamW and its schedule (VideoAR §5.1)."""

    betas: tuple[Decay, Decay] = (0.9, 0.95)
    """Decay of AdamW's averages of the gradient and of its square."""
    eps: Annotated[float, Limits(1e-30, 1)] = 1e-8
    """Added to the root of the second moment, so that no update is 0 / 0; the smallest allowed value is still above 0
    in float32."""
    weight_decay: WeightDecay = 0.05
    """Weight decay, on matrices only."""
    warmup_steps: ZeroOrMore = 2000
    """Number of steps over which the learning rate rises linearly to its peak."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """After the warm-up: `cosine` falls to `final_fraction` of the stage's peak at the last step of the last stage;
    `constant` stays at the stage's peak."""
    final_fraction: Share = 0.1
    """Learning rate at the end of the cosine, as a fraction of the peak."""
    clip_norm: ClipNorm | None = 1.0
    """Gradients of a larger norm are scaled down to this one; null: gradients are never scaled."""
    ema_decay: Decay = 0.9999
    """Decay of the exponential moving average of the weights; 0: no average is kept."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class ParallelConfig:
    """How one replica is cut over processes. Data parallelism takes the processes that remain."""

    tensor: Degree = 1
    """Tensor-parallel degree; stay within one NVLink domain."""
    sequence: bool = True
    """With tensor > 1: activations between cut layers are cut along the tokens (Megatron's sequence parallelism)."""
    pipeline: Degree = 1
    """Pipeline stages."""
    virtual_pipeline: Degree = 1
    """Chunks of layers per pipeline stage (interleaved schedule); more chunks make the pipeline bubble smaller."""
    context: Degree = 1
    """Processes that share the tokens of one pack, for packs that one device cannot hold."""
    context_method: Literal["ulysses", "gather"] = "ulysses"
    """`ulysses`: all-to-all between heads and tokens around attention; `gather`: each process receives all keys and
    values."""
    zero_stage: Literal[0, 1, 2, 3] = 0
    """DeepSpeed ZeRO over data x context processes: 0 replicates (float32 only), 1 shards the optimizer's state,
    2 gradients too, 3 weights too."""
    offload: bool = False
    """Keep the optimizer's state on the CPU and run its step there (ZeRO 1 to 3)."""
    recompute: Recompute = "none"
    """Activations recomputed in backward. `selective` keeps the results of matrix products and of attention (with
    compile also queries and keys; `flex` attention is recomputed); `full` keeps only a block's input."""
    compile: bool = False
    """Compile the two parts of each block, before and after attention, with torch.compile. They are not compiled with
    recompute=selective and tensor > 1 or ZeRO 3, which break a part into more than one graph."""
    attention: Literal["auto", "reference", "flash", "flex"] = "auto"
    """`flash`: flash-attention kernels on the attended pairs alone; `flex`: FlexAttention with a block mask;
    `reference`: a dense mask, whose memory grows with the square of the pack. `auto` is flash, except on a GPU for
    float32 or for heads that the flash kernels do not support: there it is flex."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.pipeline > 1 and self.zero_stage > 1:
            raise wrong_field(
                self,
                "zero_stage",
                f"frees gradients that the pipeline (parallel.pipeline={self.pipeline}) still adds to",
                "use parallel.zero_stage 0 or 1, or parallel.pipeline 1",
            )
        if self.virtual_pipeline > 1 and self.pipeline == 1:
            raise wrong_field(
                self,
                "virtual_pipeline",
                "interleaves chunks of several pipeline stages, but there is only one",
                "use parallel.pipeline 2 or more",
            )
        if self.offload and self.zero_stage == 0:
            raise wrong_field(
                self, "offload", "moves ZeRO's state to the CPU, but zero_stage=0 has none", "set zero_stage 1 to 3"
            )

    @property
    def compiles_whole(self) -> bool:
        """Whether the parts of a block compile as one graph each: Megatron's linears and ZeRO 3's hooks break it up."""
        return self.compile and self.tensor == 1 and self.zero_stage < 3

    @property
    def compiles(self) -> bool:
        """Whether the parts of a block are compiled, as one graph each or broken up."""
        return self.compiles_whole or (self.compile and self.recompute != "selective")

    @property
    def model_processes(self) -> int:
        """Processes that together compute one pack."""
        return self.tensor * self.pipeline * self.context

    def is_plain(self, processes: int) -> bool:
        """Whether one process trains an uncut model without ZeRO, which needs neither Megatron-core nor DeepSpeed."""
        return processes == self.model_processes == 1 and self.zero_stage == 0


@dataclass(frozen=True, kw_only=True, slots=True)
class MixturePart:
    """A dataset's share of a stage."""

    dataset: str
    """Name of a dataset in data.datasets."""
    weight: Annotated[float, Limits(0, 1e6, above=True)] = 1.0
    """Share of samples, relative to the other parts."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class StageConfig:
    """One stage of training (VideoAR §4.2, Multi-Stage Training Pipeline)."""

    name: str
    """Name of the stage, for overrides, metrics and events."""
    mixture: tuple[MixturePart, ...]
    """Datasets that the stage trains on, with their shares."""
    steps: OneOrMore
    """Optimizer steps, unless a plateau ends the stage sooner."""
    tokens_per_pack: Annotated[int, Limits(256, 2**24, step=256)]
    """Length of one sequence; samples are packed whole and the rest is padding."""
    batch: Annotated[int, Limits(1, 1_000_000)]
    """Packs per step, over all processes."""
    learning_rate: LearningRate = 1e-4
    """Peak learning rate of the stage."""
    window: OneOrMore = 16
    """Past latent frames a frame may attend to (w of Eq. 9)."""
    p_mask: Annotated[float, Limits(0, 1, below=True)] = 0.1
    """Probability that a past frame is hidden from a frame for one step (Eq. 9)."""
    plateau_patience: ZeroOrMore = 0
    """The stage ends before its `steps` after this number of validations in a row without a rise of the held-out bit
    accuracy; 0: the stage always trains all its `steps`."""
    plateau_delta: Share = 0.001
    """Smallest rise of the bit accuracy over its best so far that counts as a rise."""
    parallel: ParallelConfig | None = None
    """How this stage is cut over processes; null: as in the recipe's `parallel`. When the layout changes, the run saves
    and reloads."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.name:
            raise wrong_field(self, "name", "is empty", "give the stage a name")
        if not self.mixture:
            raise wrong_field(self, "mixture", "trains on nothing", "name at least one dataset")


@dataclass(frozen=True, kw_only=True, slots=True)
class LogConfig(WatchConfig):
    """What a run writes in addition to its weights, and how often."""

    wandb: Literal["off", "offline", "online"] = "offline"
    """Weights & Biases; `offline` needs no key and leaves files to `wandb sync`, `online` needs `wandb login` first."""
    profile_every: ZeroOrMore = 100
    """One step in this number of steps runs under torch's profiler, which measures the time spent in collectives; 0:
    none. Ignored with one process."""
    save_every: ZeroOrMore = 1000
    """Steps between two checkpoints; one is always written at the end."""
    keep_last: OneOrMore = 3
    """Number of newest checkpoints that are kept; older ones are removed."""
    keep_every: ZeroOrMore = 0
    """Checkpoints whose step is a multiple of this number are never removed; 0: none."""
    checkpoints: str = ""
    """Folder (a relative one is below the run directory) or fsspec URL; empty: RUN/checkpoints."""
    validate_every: ZeroOrMore = 0
    """Steps between two teacher-forced evaluations on `validation`; 0: none."""
    validation: tuple[str, ...] = ()
    """Names of held-out datasets."""
    sample_every: ZeroOrMore = 0
    """Steps between two samplings of videos into RUN/samples; each writes a checkpoint first. 0: none."""
    num_samples: Annotated[int, Limits(1, 10_000)] = 2
    """Clips in each sampling, from the `validation` datasets if there are any, otherwise from the stage's datasets."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultConfig:
    """Which faults a run survives without help, and when it stops."""

    skip_budget: ZeroOrMore = 20
    """Steps in a row that may be skipped because their loss or gradient is not finite, before the run stops."""
    spike_factor: Annotated[float, Limits(0, 1e6)] = 0.0
    """A loss above this multiple of the median of the last `spike_window` steps sends the run back to its newest
    checkpoint; the samples read since then are not used again. 0: never."""
    spike_window: Annotated[int, Limits(2, 1_000_000)] = 100
    """Number of steps whose losses a spike is compared with."""
    rewind_budget: ZeroOrMore = 3
    """Number of rewinds allowed in a whole run; the next loss spike then stops the run."""
    failed_saves: ZeroOrMore = 3
    """The run stops when this many checkpoints in a row could not be written (for example: a full disk)."""
    stop_within_s: Seconds = 240.0
    """Seconds after a signal in which the process finishes the step and saves. After that time it exits unsaved, and
    the run later resumes from the checkpoint before."""
    hang_timeout_s: Seconds = 1800.0
    """Seconds without progress after which the job ends and names the process that fell behind."""
    relayout: Literal["reshape", "resubmit"] = "reshape"
    """When `parallel` changes at a stage: `reshape` continues in the same processes, `resubmit` saves and exits 75."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.spike_factor and not self.spike_factor > 1:
            raise wrong_field(self, "spike_factor", "treats ordinary losses as spikes", "use 0 or a number above 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Everything one pretraining run depends on."""

    name: str
    """Name of the recipe and of its runs."""
    model: ModelConfig
    """Size and kind of the transformer."""
    data: DataConfig
    """Datasets, the tokenizer that makes their codes, and how they are prepared."""
    stages: tuple[StageConfig, ...]
    """The stages of training, one after another."""
    correction: CorrectionConfig = field(default_factory=CorrectionConfig)
    """How bits of the history are flipped, so that the model learns to correct errors (Eq. 8)."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """AdamW, the schedule of its learning rate, and the moving average of the weights."""
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    """How the model is cut over processes."""
    log: LogConfig = field(default_factory=LogConfig)
    """What is saved, validated and logged, and how often."""
    loader: LoaderConfig = field(default_factory=LoaderConfig)
    """How samples are read."""
    faults: FaultConfig = field(default_factory=FaultConfig)
    """How faults such as loss spikes, failed saves and hangs are handled."""
    text_dropout: Share = 0.1
    """Probability that a sample's text is replaced by the learned null table (classifier-free guidance)."""
    precision: Precision = "bf16"
    """Type of the matrix products; weights, norms and loss stay in float32."""
    guidance: str = "t2v"
    """Default guidance of the exported model: one of the paper's ramps (`t2v`, `ucf101`), a constant such as 3, or the
    four corners of a ramp such as 5,4,4,3 (videoar.pretrain.guidance). With text_dropout 0 it is always 1, which is
    off."""
    continued_guidance: str = ""
    """Default guidance when a clip is continued, whose given frames already show what the text says; empty: as
    `guidance`."""
    threads: Threads = 0
    """Intra-op threads per process; 0: torch's default. With one thread, a CPU run is exactly reproducible."""
    seed: Seed = 0
    """Decides initial weights, the order of samples, and every draw of corruption, masks and dropout."""

    def __post_init__(self) -> None:
        check_fields(self, "")
        if not self.name:
            raise InputError("name", "''", "is empty", "give the recipe a name; its runs have the same name")
        check_name("name", self.name)
        parse_guidance(self.guidance)
        if self.continued_guidance:
            parse_guidance(self.continued_guidance)
        self._check_datasets()
        for stage in self.stages:
            self._check_lengths(stage)
        self._check_plateaus()
        self._check_latents()

    def _check_datasets(self) -> None:
        """Check that stages have different names, and that every dataset that is named is in `data`."""
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names) or not names:
            raise InputError("stages", names, "are not distinct names", "name each stage once")
        known = {dataset.name for dataset in self.data.datasets}
        choices = f"use one of: {', '.join(sorted(known))}"
        for stage in self.stages:
            for part in stage.mixture:
                if part.dataset not in known:
                    raise InputError(
                        f"stages.{stage.name}.mixture", part.dataset, "is not a dataset of the recipe", choices
                    )
        for name in self.log.validation:
            if name not in known:
                raise InputError("log.validation", name, "is not a dataset of the recipe", choices)

    def _check_plateaus(self) -> None:
        """Check that a stage that may end at a plateau has validations."""
        validates = self.log.validate_every and self.log.validation
        for stage in self.stages:
            if stage.plateau_patience and not validates:
                raise InputError(
                    f"stages.{stage.name}.plateau_patience",
                    stage.plateau_patience,
                    "waits for validations, and this recipe has none",
                    "set log.validate_every and log.validation",
                )

    def _check_latents(self) -> None:
        """Check that the data stores what targets are made from, in the width that the model predicts."""
        if self.correction.needs_latent and self.data.latent == "none":
            raise InputError(
                "data.latent",
                "none",
                "stores no latent, but self-corrected targets are quantised from it",
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
        """Check that a sample with one text token fits into a pack: found later, this would stop the run after earlier
        stages."""
        wanted = {part.dataset for part in stage.mixture} | set(self.log.validation if self.log.validate_every else ())
        for dataset in self.data.datasets:
            if dataset.name not in wanted:
                continue
            shapes = [(ScaleSchedule.named(b.schedule), latent_frames(b.num_frames)) for b in dataset.buckets]
            longest = max(schedule.video_tokens(frames, self.model.history) for schedule, frames in shapes)
            if longest + 1 > stage.tokens_per_pack:
                raise InputError(
                    f"stages.{stage.name}.tokens_per_pack",
                    stage.tokens_per_pack,
                    f"is less than the {longest} tokens, plus text, of a sample of {dataset.name}",
                    "raise it, use shorter clips, or leave the dataset out",
                )

    @property
    def tokenizer(self) -> TokenizerSource:
        """The tokenizer that made the data."""
        return self.data.tokenizer

    def parallel_of(self, stage: StageConfig) -> ParallelConfig:
        """How a replica is cut in a stage: as the stage says, or else as the recipe says; attention is the recipe's."""
        parallel = stage.parallel or self.parallel
        inherits = parallel.attention == "auto"
        return replace(parallel, attention=self.parallel.attention) if inherits else parallel

    @property
    def exported_guidance(self) -> str:
        """The guidance that exports and samples use. Guidance compares with the model without text; text_dropout 0
        leaves that untrained, and guidance would turn good videos to noise."""
        return self.guidance if self.text_dropout else "1"

    @property
    def num_steps(self) -> int:
        """Optimizer steps over all stages, if none ends early."""
        return sum(stage.steps for stage in self.stages)
