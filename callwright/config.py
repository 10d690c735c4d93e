"""The data config of a task, `configs/data/<task>.yaml`: where its rows come from; and where configs are."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from callwright.errors import UserError, did_you_mean
from callwright.files import ROOT
from callwright.yaml_config import Config, load_config


def config_path(folder: str, name: str, what: str) -> Path:
    """Return `<folder>/<name>.yaml` under the root; a UserError lists those that exist where it does not."""
    path = ROOT / folder / f"{name}.yaml"
    if name != Path(name).name or not path.is_file():
        known = sorted(p.stem for p in (ROOT / folder).glob("*.yaml"))
        choice = f"choose one of: {', '.join(known) or '(none)'}"
        meant = did_you_mean(name, known)
        raise UserError(f"{what} {name!r}", f"there is no {folder}/{name}.yaml", f"{meant} {choice}".strip())
    return path.relative_to(ROOT) if Path.cwd() == ROOT else path


class Price(Config):
    """What a model costs, in dollars per million tokens; 0 and 0 for a server of one's own."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    batch_discount: float = Field(0.5, ge=0, le=1)
    """The part that the Batch API takes off."""


Mode = Literal["paraphrase", "new", "minimal_pair"]


class Api(Config):
    """How the backend `openai` asks a large model; the server and the key are in OPENAI_BASE_URL and OPENAI_API_KEY."""

    model: str
    """The model that writes utterances."""
    relabel_model: str | None = None
    """The model that labels each of them independently, with the call or the reply that is kept; by default the same."""
    prices: dict[str, Price] = {}
    budget_usd: float = Field(ge=0)
    """What the ledger's sum never passes, over all runs."""
    modes: dict[Mode, float] = {"paraphrase": 0.4, "new": 0.4, "minimal_pair": 0.2}
    """Shares: seeds in other words; new utterances for the language, register and kind that lack most; and, for no_call,
    utterances that differ from a call by a little.
    """
    results: float = Field(0, ge=0, le=1)
    """Share of the call examples that go on with a made-up result and what is said then; they come beside `call` and `no_call`."""
    lines: int = Field(4, ge=1, le=20)
    """Utterances a request asks for."""
    round: int = Field(256, ge=1)
    """Requests for utterances that are planned at once, from all answers before; --batch needs a batch or more a round."""
    temperature: float | None = 1.0
    """The writer's; the labeller's is 0. null sends none, for models that refuse it."""
    max_tokens: int = Field(1024, ge=1)
    """The longest answer."""
    requests_per_minute: float = Field(500, gt=0)
    concurrency: int = Field(16, ge=1)
    """The most requests under way; how many is found out (tools.utterances.llm.rate_limiter)."""
    timeout_s: float = Field(60, gt=0)
    """The least that a try is given; more where the server was seen to be slower."""

    @model_validator(mode="after")
    def _some_mode(self) -> "Api":
        if min(self.modes.values(), default=0) < 0 or not sum(self.modes.values()):
            raise ValueError("modes are shares: none below 0, one above")
        return self


class Augment(Config):
    """How many examples `tools.augment` makes, and with what."""

    backend: Literal["grammar", "openai"] = "grammar"
    api: Api | None = None
    call: int = Field(1500, ge=0)
    """How many utterances call."""
    no_call: int = Field(1500, ge=0)
    """How many do not."""
    from_seeds: float = Field(0.34, ge=0, le=1)
    """Share of the examples that descends from hand-written seeds, as far as `variants` reaches."""
    variants: int = Field(4, ge=0)
    """The most variants of one seed."""
    mined: bool = False
    """Whether data/seeds/<task>/mined.jsonl, which `tools.mine` writes, comes beside them; all of it goes into train."""

    @model_validator(mode="after")
    def _has_api(self) -> "Augment":
        if self.backend == "openai" and self.api is None:
            raise ValueError("backend openai needs api: model, prices and budget_usd")
        return self


class Clean(Config):
    """What `tools.split` drops between augment and split."""

    shortest: int = Field(2, ge=1)
    """The fewest characters of an utterance; `longest` is the most."""
    longest: int = Field(1000, ge=1)
    near: float = Field(90, ge=50, le=100)
    """Drop the later of two lines with the same label and calls that are at least so similar (as in `split.near`)."""
    golden: float = Field(75, ge=50, le=100)
    """Drop a line whose similarity to a golden one is at least this."""
    semantic: float | None = Field(None, gt=0, le=1)
    """Drop the later of two lines with the same label and calls whose TF-IDF vectors have at least this cosine; null: none."""


class Split(Config):
    """How many examples each side gets, as near as lineages allow."""

    train: int = Field(2160, ge=1)
    val: int = Field(240, ge=0)
    test: int = Field(600, ge=0)
    mine: int = Field(0, ge=0)
    """Lines held out of train like test, to be asked and their failures trained on: what `tools.mine` reads; 0: none."""
    near: float = Field(75, ge=50, le=100)
    """Texts at least so similar (rapidfuzz's indel ratio of their normal forms, 0 to 100) stay on one side."""
    by: Literal["text", "function", "line"] = "text"
    """What stays on one side: near texts and all of a lineage; of `sources` the same opening text, or the functions that are
    called (train, val and test are then proportions). `line` keeps nothing together, to measure how much that leaks.
    """
    together: str | None = None
    """A tag: examples of one value stay on one side, so that val measures values that train has not."""
    order: Literal["mixed", "easy_first"] = "mixed"
    """The order of train: every first part wide and balanced, or a curriculum; train that with `disable_shuffling: true`."""

    @model_validator(mode="after")
    def _mine_apart(self) -> "Split":
        if self.mine and self.by != "text":
            raise ValueError(f"mine needs `by: text`: {self.by} does not keep it apart from test")
        return self


class Audit(Config):
    """The gates of `tools.audit --gate`: the most (or, where it says so, the least) that a figure may be; null: none."""

    baseline_f1: float | None = Field(None, ge=0, le=1)
    """F1 on golden of the character-n-gram baseline: what the surface alone gives away."""
    premium: float | None = Field(None, ge=0, le=1)
    """F1 that a random split adds to the baseline's over the grouped split."""
    skew: float | None = Field(None, ge=0, le=1)
    """Distance of a carrier's, transform's, language's or register's share of calls from that of all lines."""
    coverage: float | None = Field(None, ge=0, le=1)
    """Least share of language × register × kind cells that train fills."""
    distinct_2: float | None = Field(None, ge=0)
    """Least distinct-2 of generated lines, as a part of the seeds'."""
    self_similarity: float | None = Field(None, ge=0, le=100)
    """Mean similarity of a generated line to the nearest other in a sample as large as the seeds."""
    nearest_test: float | None = Field(None, ge=0, le=100)
    """Similarity of a test line to its nearest train line; `nearest_golden`, of a golden line."""
    nearest_golden: float | None = Field(None, ge=0, le=100)


class Rows(Config):
    """The shape of training rows."""

    turns_per_row: int = Field(4, ge=1)
    """Independent utterances behind one tool prompt in a training row."""
    reply_prefix: str = "\n"
    """What every plain reply of a row begins with. A call always begins with the same token, replies with hundreds: greedy
    decoding would pick the call even where a reply is twice as likely. A common first token makes it one against one.
    """
    tools_by: str | None = None
    """A tag: examples of one value share rows with each other only, and are shown the tools that the task's calls of that
    value name, among `distractors`. Without it, every row shows all tools.
    """
    distractors: int = Field(0, ge=0)
    """With tools_by, the most tools of other values in a row, so that a model reads what it may call."""
    reorder: bool = False
    """With tools_by, whether the arguments of a row's tools, and of its calls with them, stand in an order of its own."""
    masked: float = Field(0.0, ge=0, le=1)
    """With tools_by, the share of rows whose tools and arguments have names that say nothing: descriptions are read then."""
    irrelevant: float = Field(0.0, ge=0, le=1)
    """With tools_by, requests that meet the tools of another value, as a part of the lines that call: none fits, and the
    answer is a sentence of data/seeds/<task>/declines.yaml.
    """
    results: float = Field(0.0, ge=0, le=1)
    """Share of single calls that the tool's result and a word on it follow, drawn from data/seeds/<task>/results.yaml: a
    model that never saw a result does not know how to call again after one.
    """
    chat: "Source | None" = None
    """General chat, of which `share` of all training rows is made, so that the model does not forget how to talk."""

    @model_validator(mode="after")
    def _part(self) -> "Rows":
        if self.chat and not (self.chat.share and self.chat.share < 1):
            raise ValueError("chat.share is a part of the training rows: above 0, below 1")
        needy = [key for key in ("distractors", "reorder", "masked", "irrelevant") if getattr(self, key)]
        if needy and self.tools_by is None:
            raise ValueError(f"{needy[0]} is for tasks of many tools: name the tag that parts them in tools_by")
        return self


class Source(Config):
    """A data set of conversations in a format that `tools.convert --from` knows."""

    from_: str = Field(alias="from")
    """The format."""
    path: str | None = None
    """A file, relative to the root; or `hub`."""
    hub: str | None = None
    """A hub's data set, `<owner>/<name>`."""
    subset: str | None = None
    split: str = "train"
    share: float | None = Field(None, gt=0)
    """Its part of the mix, relative to the other sources' shares; without shares all rows are taken."""
    max_samples: int | None = Field(None, ge=1)
    """The most rows, drawn by the seed."""
    on_error: Literal["stop", "skip"] = "skip"
    fold: bool = False
    """This and the next two change what rows cannot hold, as the options of tools.convert do: docs/convert.md."""
    drop: list[Literal["thoughts", "words"]] = []
    unlearned: Literal["learn", "mask"] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "Source":
        if (self.path is None) == (self.hub is None):
            raise ValueError("give either path or hub")
        return self


class DataConfig(Config):
    """`configs/data/<task>.yaml`: where rows come from."""

    task: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    """Names data/seeds/<task>/ and data/<task>_*.jsonl."""
    like: str | None = None
    """A task whose seeds, grammar, golden, val and test are this one's, too; only what is trained on is drawn anew."""
    seed: int = 42
    system: str | None = None
    """System message of every row and case; without it the template's own default serves, at training and serving."""
    augment: Augment = Augment()
    sources: list[Source] = []
    """Data sets to convert, mix and split, instead of seeds and augment."""
    clean: Clean = Clean()
    split: Split = Split()
    audit: Audit = Audit()
    rows: Rows = Rows()

    @model_validator(mode="after")
    def _either(self) -> "DataConfig":
        if self.sources and (both := sorted({"augment", "rows", "system"} & self.model_fields_set)):
            raise ValueError(f"sources and {both[0]} exclude each other")
        if self.sources and self.split.mine:
            raise ValueError("sources and split.mine exclude each other")
        if len({source.share is None for source in self.sources}) > 1:
            raise ValueError("give a share to every source, or to none")
        if self.like and (self.sources or self.split.mine or self.split.by != "text"):
            raise ValueError("like excludes sources, split.mine and other ways to split")
        if self.split.by == ("line" if self.sources else "function"):
            raise ValueError(f"split.by {self.split.by} is for {'seeds' if self.sources else 'sources'}")
        return self

    @property
    def seeds(self) -> Path:
        """Return data/seeds/<task>/, or that of the task that it is like."""
        return ROOT / "data" / "seeds" / (self.like or self.task)

    @property
    def work(self) -> Path:
        """Return data/work/<task>/, which holds what the steps hand to each other."""
        return ROOT / "data" / "work" / self.task

    def built(self, part: str) -> Path:
        """Return data/<task>_<part>.jsonl: rows (train, val) or cases (test, golden)."""
        return ROOT / "data" / f"{self.task}_{part}.jsonl"


def load_data_config(task: str) -> DataConfig:
    """Read the data config of a task, by name."""
    return load_config(config_path("configs/data", task, "task"), DataConfig)
