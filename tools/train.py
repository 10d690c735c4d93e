"""Train a recipe, and stop at the first step that goes wrong: `python -m tools.train smollm2-135m_lora [key=value …]`.

LLaMA-Factory trains on when a gradient is not a number, ends well, and leaves an adapter that answers rubbish. This
command gives its `run_exp` a callback that ends the run there, with a status that is not 0, and moves what was written
so far aside. `python -m tools.train x.yaml key=value` does only that, with the arguments of `llamafactory-cli train`.

Of a recipe, it trains in a process of its own, holds the run folder as its only writer, and leaves gpu.jsonl and gpu.png
there where there is a GPU. NPROC and NNODES in the environment let LLaMA-Factory start torchrun for several GPUs.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from callwright.errors import Parser, UserError, command
from callwright.locks import only_writer
from callwright.recipes import add_recipe, chosen_recipe
from tools.training.guard import CUDNN_OFF, guard, is_finished, set_aside
from tools.training.watch import run_beside, training_environment


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Train a recipe beside a watcher; or, where a YAML file is named, train by it in this process."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0].endswith((".yaml", ".yml")):
        return train(arguments)
    parser = Parser("python -m tools.train", __doc__)
    add_recipe(parser)
    recipe = chosen_recipe(parser.parse_intermixed_args(arguments))
    words = [sys.executable, "-m", "tools.train", str(recipe.train_path), *recipe.overrides]
    with only_writer(recipe.run_dir):
        return run_beside(words, recipe.run_dir, training_environment(os.environ))


def train(arguments: Sequence[str]) -> int:
    """Train by the arguments that `llamafactory-cli train` takes; a run that goes wrong is set aside."""
    if is_finished(arguments):
        print("train: nothing to do")
        return 0
    os.environ.setdefault(CUDNN_OFF, "1")
    sys.argv = [sys.argv[0], *arguments]  # LLaMA-Factory reads them there
    from llamafactory import launcher
    from llamafactory.extras.misc import get_device_count, is_env_enabled, use_ray
    from llamafactory.train.tuner import run_exp

    is_worker = "LOCAL_RANK" in os.environ
    if not is_worker and (is_env_enabled("FORCE_TORCHRUN") or (get_device_count() > 1 and not use_ray())):
        launcher.__file__ = "-m tools.train"  # what torchrun starts in each process; a file would not find its imports
        sys.argv.insert(1, "train")
        try:
            launcher.launch()
        except subprocess.CalledProcessError:  # what went wrong, one of the processes has said
            return 2
        return 0
    try:
        run_exp(callbacks=[guard()])
    except UserError as error:
        if int(os.environ.get("RANK", "0")) == 0:
            print(file=sys.stderr)  # the progress bar has not ended its line
            aside = set_aside(Path(error.place.rpartition(", step ")[0]))
            raise UserError(error.place, error.fault, f"{error.remedy}; what was written is in {aside}") from None
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
