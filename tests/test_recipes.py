"""Every recipe through LLaMA-Factory's own parser, and what we read from it."""

import re
import subprocess
import sys

import pytest
import yaml

from callwright.errors import Parser, UserError
from callwright.files import ROOT
from callwright.recipes import (
    Recipe,
    add_recipe,
    chosen_recipe,
    evaluate_again,
    load_recipe,
)
from callwright.settings import check_settings, known_settings, read_settings

STEMS = sorted(path.stem for path in (ROOT / "configs/train").glob("*.yaml"))
PARSE = """
import json, sys, yaml
from llamafactory.data.template import TEMPLATES
from llamafactory.hparams.parser import _parse_infer_args, _parse_train_args
for path in sys.argv[1:]:
    args = yaml.safe_load(open(path))
    args.pop("bf16", None), args.pop("fp16", None)  # this machine may have no GPU
    parsed = (_parse_train_args if "/train/" in path else _parse_infer_args)(args)
    assert args["template"] in TEMPLATES, path
    print(path)
"""


def test_llamafactory_parses_every_recipe():
    """An unknown key or a wrong type raises in LLaMA-Factory's parser."""
    paths = [f"configs/{kind}/{stem}.yaml" for kind in ("train", "serve", "export") for stem in STEMS]
    done = subprocess.run([sys.executable, "-c", PARSE, *paths], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == paths


@pytest.mark.parametrize("stem", STEMS)
def test_one_stem_is_one_recipe(stem):
    """Train and serve agree on what makes the prompt and on where the weights are."""
    train = yaml.safe_load((ROOT / f"configs/train/{stem}.yaml").read_text())
    serve = yaml.safe_load((ROOT / f"configs/serve/{stem}.yaml").read_text())
    for key in ("template", "tool_format", "enable_thinking", "default_system", "quantization_bit", "image_max_pixels"):
        assert train.get(key) == serve.get(key), key
    assert train["output_dir"] == f"runs/{stem}/train"
    if train["finetuning_type"] == "full":
        assert "adapter_name_or_path" not in serve
        assert serve["model_name_or_path"] == train["output_dir"]
    else:
        assert serve["model_name_or_path"] == train["model_name_or_path"]
        assert serve["adapter_name_or_path"] == train["output_dir"]
    assert train["dataset_dir"] == "."
    assert "val_size" not in train, "val_size splits at random and leaks lineages"
    assert not (train["template"] == "llama3" and "tool_format" not in train), "llama3's tool prompt holds the date"


def test_no_stray_serve_files():
    assert sorted(path.stem for path in (ROOT / "configs/serve").glob("*.yaml")) == STEMS


def test_default_recipe_runs_on_a_cpu_and_the_flagship_does_not():
    assert not load_recipe("smollm2-135m_lora").needs_gpu
    assert load_recipe("llama3.1-8b_qlora").needs_gpu


def test_unknown_recipe_lists_those_that_exist():
    with pytest.raises(UserError) as caught:
        load_recipe("nope")
    assert "smollm2-135m_lora" in str(caught.value)
    with pytest.raises(UserError):
        load_recipe("../train/smollm2-135m_lora")


def test_overrides():
    assert load_recipe("smollm2-135m_lora", ["max_samples=7"]).train["max_samples"] == 7
    for wrong in ("max_samples", "a.b=1", "lora_target=[q_proj"):
        with pytest.raises(UserError, match="key=value"):
            load_recipe("smollm2-135m_lora", [wrong])


def test_recipes_say_what_llamafactory_reads(tmp_path):
    from omegaconf import OmegaConf

    path, overrides = (
        tmp_path / "recipe.yaml",
        ["learning_rate=2e-4", "do_eval=off", "lora_target=q,k", "run_name=0o17"],
    )
    path.write_text(
        "learning_rate: 1e-4\nplot_loss: no\nbf16: on\nseed: 010\nreport_to: [none]\nlogging_steps: 1.0e1\n"
    )
    for given in ([], overrides):
        theirs = OmegaConf.merge(OmegaConf.load(path), OmegaConf.from_cli(given))
        assert read_settings(path, given) == OmegaConf.to_container(theirs)
    assert read_settings(path)["learning_rate"] == 1e-4
    assert read_settings(path)["plot_loss"] is False


def test_base_is_served_without_the_adapter():
    recipe = load_recipe("smollm2-135m_lora")
    assert "adapter_name_or_path" in recipe.serve(tuned=True)
    assert "adapter_name_or_path" not in recipe.serve(tuned=False)


def test_a_model_that_was_trained_whole_is_served_against_its_base():
    recipe = load_recipe("smollm2-135m_full")
    assert recipe.serve(tuned=True)["model_name_or_path"] == "runs/smollm2-135m_full/train"
    assert recipe.serve(tuned=False)["model_name_or_path"] == recipe.model
    assert "adapter_name_or_path" not in recipe.serve(tuned=True)


def test_a_task_moves_a_recipe_s_data_and_folder():
    settings = ["dataset=other_train", "output_dir=runs/smollm2-135m_lora/other/train"]
    recipe = load_recipe("smollm2-135m_lora", settings)
    assert recipe.run_dir == ROOT / "runs/smollm2-135m_lora/other"
    assert recipe.serve(tuned=True)["adapter_name_or_path"] == "runs/smollm2-135m_lora/other/train"
    assert "adapter_name_or_path" not in recipe.serve(tuned=False)
    assert load_recipe("smollm2-135m_lora", ["output_dir=elsewhere"]).run_dir == ROOT / "elsewhere"


@pytest.mark.parametrize(
    ("words", "moved"),
    [
        (["smollm2-135m_lora", "--task", "assistant_tools"], True),
        (["smollm2-135m_lora", "--task", "image_intent"], False),
        (["smollm2-135m_lora", "--task", ""], False),
        (["smollm2-135m_dpo", "--task", "image_intent"], False),
        (["qwen1.5-4b_lora"], False),
    ],
)
def test_a_task_that_is_not_the_recipe_s_own_moves_it(words: list[str], moved: bool):
    recipe = parsed(words)
    own = load_recipe(words[0])
    assert recipe.overrides == (() if not moved else (
        "dataset=assistant_tools_train", "eval_dataset=assistant_tools_val_sample",
        "output_dir=runs/smollm2-135m_lora/assistant_tools/train"))  # fmt: skip
    assert (recipe.task, recipe.run_dir) == (
        ("assistant_tools", own.run_dir / "assistant_tools") if moved else (own.task, own.run_dir)
    )


KEPT = "adapters/smollm2-135m_caller"


def parsed(words: list[str]) -> Recipe:
    parser = Parser("x", None)
    add_recipe(parser)
    return chosen_recipe(parser.parse_intermixed_args(words))


def test_a_kept_adapter_comes_last():
    words = ["smollm2-135m_lora", "--task", "t", "--adapter", KEPT, "seed=1", "output_dir=runs/b"]
    recipe = parsed(words)
    assert recipe.overrides[-3:] == ("seed=1", "output_dir=runs/b", f"output_dir={KEPT}")
    assert recipe.make_command("eval") == f"make eval RECIPE=smollm2-135m_lora TASK=t ADAPTER={KEPT} ARGS=seed=1"


@pytest.mark.parametrize(
    "adapter", ["adapters/none", "adapters", "adapters/", "../x", "adapters/../../x", "/etc", "-x", "a" * 5000]
)
def test_an_adapter_is_one_of_those_that_are_kept(adapter: str):
    with pytest.raises(UserError, match=re.escape(f"ADAPTER={adapter}: ")) as told:
        parsed(["smollm2-135m_lora", f"--adapter={adapter}"])
    assert KEPT in told.value.remedy


@pytest.mark.parametrize("task", ["a b", "; touch x", "../x", "..", "-x", "a/b", "$(x)", "a=b", "{"])
def test_a_task_s_name_is_a_name(task: str):
    with pytest.raises(UserError, match="is no name of a task"):
        parsed(["smollm2-135m_lora", f"--task={task}"])


@pytest.mark.parametrize(
    ("overrides", "verb", "variables", "command"),
    [
        ([], "train", {}, "make train RECIPE=smollm2-135m_lora"),
        (["output_dir=adapters/a"], "eval", {"suite": "full"}, "make eval RECIPE=smollm2-135m_lora ADAPTER=adapters/a SUITE=full"),
        (["output_dir=adapters/a"], "train", {}, "make train RECIPE=smollm2-135m_lora"),
        (
            ["dataset=t_train", "eval_dataset=t_val_sample", "output_dir=runs/smollm2-135m_lora/t/train", "seed=1"],
            *("train", {}, "make train RECIPE=smollm2-135m_lora TASK=t ARGS=seed=1"),
        ),
        (
            ["dataset=t_train", "output_dir=runs/adapters/a/t/train", "seed=1", "max_steps=2", "output_dir=adapters/a"],
            *("eval", {}, "make eval RECIPE=smollm2-135m_lora TASK=t ADAPTER=adapters/a ARGS='seed=1 max_steps=2'"),
        ),
        (["output_dir=runs/elsewhere"], "eval", {}, "make eval RECIPE=smollm2-135m_lora ARGS=output_dir=runs/elsewhere"),
        (["run_name=two words"], "train", {}, """make train RECIPE=smollm2-135m_lora ARGS=''"'"'run_name=two words'"'"''"""),
        (["dataset=t_train", "seed=1"], "model", {}, "make model RECIPE=smollm2-135m_lora TASK=t"),
    ],
)  # fmt: skip
def test_a_command_repeats_what_is_in_force(overrides, verb, variables, command):
    assert load_recipe("smollm2-135m_lora", overrides).make_command(verb, **variables) == command


def test_a_kept_adapter_has_a_run_folder_for_each_task():
    kept = "output_dir=adapters/a"
    own = load_recipe("smollm2-135m_lora", [kept])
    other = load_recipe("smollm2-135m_lora", ["dataset=t_train", kept])
    assert own.run_dir == ROOT / "runs/adapters/a"
    assert other.run_dir == ROOT / "runs/adapters/a/t", "or the report of one task would show the other's"


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        ("runs/r/eval/full/tuned", "make eval RECIPE=r SUITE=full"),
        ("runs/r/t/eval/golden-llamacpp/base", "make eval RECIPE=r TASK=t SUITE=golden RUNTIME=llamacpp"),
        ("runs/adapters/a/eval/golden/tuned", "make eval ADAPTER=adapters/a SUITE=golden"),
        ("runs/adapters/a/t/eval/golden/tuned", "make eval ADAPTER=adapters/a TASK=t SUITE=golden"),
        ("elsewhere", "make eval"),
    ],
)
def test_a_missing_run_folder_tells_what_writes_it(folder, command):
    assert f"{command} first" in evaluate_again(ROOT / folder)


@pytest.mark.parametrize(
    ("override", "remedy"),
    [
        ("learning_rat=1", "did you mean 'learning_rate'"),
        ("Learning-Rate=1", "not key=value"),
        ("lora_ranks=8", "did you mean 'lora_rank'"),
        ("num_epochs=2", "epochs"),
        ("nonsense=1", "llamafactory-cli train -h"),
        ("seed=[", "write it as"),
    ],
)
def test_a_setting_that_llamafactory_does_not_have_is_named_before_it_dies_of_it(override, remedy):
    with pytest.raises(UserError, match=override.split("=")[0]) as told:
        load_recipe("smollm2-135m_lora", [override])
    assert remedy in str(told.value)


def test_the_settings_are_llamafactory_s():
    assert known_settings().keys() >= {
        "learning_rate",
        "cutoff_len",
        "lora_rank",
        "predict_with_generate",
        "infer_dtype",
        "export_dir",
    }
    for path in (ROOT / "configs").glob("*/*.yaml"):
        if path.parent.name in ("train", "serve", "export"):
            check_settings(read_settings(path), path)


@pytest.mark.parametrize(
    ("override", "needed"),
    [
        ("max_steps=x", "a whole number"),
        ("seed=0o17", "a whole number"),
        ("learning_rate=fast", "a number"),
        ("packing=perhaps", "true or false"),
        ("per_device_train_batch_size='2'", "a whole number"),
    ],
)
def test_a_text_where_llamafactory_needs_a_number_is_refused(override: str, needed: str):
    with pytest.raises(UserError, match=f"write {needed}"):
        load_recipe("smollm2-135m_lora", [override])


@pytest.mark.parametrize(
    "override", ["max_steps=2", "learning_rate=2e-4", "packing=off", "eval_steps=0.5", "val_size=null"]
)
def test_what_llamafactory_takes_passes(override: str):
    load_recipe("smollm2-135m_lora", [override])
