"""Check what a training run needs before anything is loaded, and make its output folder fit to resume from."""

import hashlib
from os.path import normpath
from pathlib import Path

from callwright.errors import UserError
from callwright.files import ROOT, make_folder, read_json, sha256, to_json, write_json
from callwright.machine import MIB, gpus
from callwright.recipes import Recipe, check_base, check_base_is_there, load_recipe, stems
from callwright.settings import check_settings
from tools.formats.dataset_info import how_to_have, making
from tools.training.estimate import verdict
from tools.training.guard import STAMP

ERROR = 1.15
"""an estimate may be so much too high: between 1 and that, a run is warned and not refused"""


def dataset_files(recipe: Recipe) -> list[Path]:
    """List the local files of the recipe's datasets.

    Raises:
        UserError: a dataset that is not registered, or whose file is not there.
    """
    registry = read_json(ROOT / "dataset_info.json")
    files = []
    for name in recipe.datasets:
        entry, place = registry.get(name), f"{recipe.train_path}: dataset {name!r}"
        make = making(name, ROOT)
        start = started_from(recipe).parts
        if make and name.endswith("_pairs") and start[:1] == ("runs",):  # the pairs are of what that recipe got wrong
            make = make.replace(" TASK=", f" RECIPE={start[1]} TASK=")
        if entry is None:
            raise UserError(place, "not in dataset_info.json", how_to_have(name, registry, make))
        if "file_name" not in entry:
            continue  # LLaMA-Factory fetches it from a hub
        path = ROOT / entry["file_name"]
        if not path.is_file():
            raise UserError(place, f"no {entry['file_name']}", f"run: {make}" if make else "check the path")
        files.append(path)
    return files


def check(recipe: Recipe) -> list[Path]:
    """Return the dataset files when the recipe can be trained here.

    Raises:
        UserError: a key that LLaMA-Factory does not have, an output folder elsewhere, no GPU where one is needed, no base
            model, no adapter to start from, no data.
    """
    check_settings(recipe.train, recipe.train_path)
    folder = recipe.train.get("output_dir")
    if not isinstance(folder, str) or not Path(normpath(ROOT / folder)).is_relative_to(ROOT):
        remedy = f"write output_dir: runs/{recipe.stem}/train"
        raise UserError(f"output_dir {folder!r}", "is no folder of this project", remedy)
    if recipe.needs_gpu and not gpus():
        cpu = ", ".join(stem for stem in stems() if not load_recipe(stem).needs_gpu)
        fault = "needs an NVIDIA GPU, and there is none here"
        raise UserError(f"recipe {recipe.stem!r}", fault, f"on a CPU use: {cpu}")
    if recipe.output_dir.parent == ROOT / "adapters":
        fault = "is where adapters are kept, and training would write over one"
        raise UserError(
            recipe.train["output_dir"], fault, f"train into runs/, then run: make keep RECIPE={recipe.stem}"
        )
    check_base_is_there(recipe)
    if not (ROOT / recipe.model).is_dir():
        check_hub(recipe.model)
    if start := first_adapter(recipe):
        check_start(recipe, start)
    return dataset_files(recipe)


def check_start(recipe: Recipe, weights: Path) -> None:
    """Find out whether training can start from an adapter of ours.

    Raises:
        UserError: it is not there, with the command that brings it, or it is of another base model.
    """
    folder = started_from(recipe)
    if not weights.is_file():
        make = f"git checkout {folder}"
        if folder.parts[0] == "runs":  # runs/<recipe>/train or runs/<recipe>/<task>/train
            task = f" TASK={folder.parts[2]}" if len(folder.parts) > 3 else ""
            make = f"make train RECIPE={folder.parts[1]}{task}"
        raise UserError(folder, "no adapter to start from", f"run: {make}")
    check_base(weights.parent, recipe.model, "start from nothing: ARGS=adapter_name_or_path=null")


def check_hub(model: str) -> None:
    """Find out before training whether the hub gives a model away.

    Raises:
        UserError: it does not, with what to accept where; or it does not answer, and the model is not in the cache.
    """
    import huggingface_hub
    from huggingface_hub import errors

    if isinstance(huggingface_hub.try_to_load_from_cache(model, "config.json"), str):
        return
    page = f"https://hf.co/{model}"
    try:
        huggingface_hub.auth_check(model)
    except errors.GatedRepoError:
        remedy = f"accept them at {page}, then run: hf auth login"
        raise UserError(model, "the hub asks you to accept its terms first", remedy) from None
    except errors.RepositoryNotFoundError:
        fault = "no such model on the hub, or a private one"
        raise UserError(model, fault, "run: hf auth login, or check it") from None
    except (OSError, errors.HfHubHTTPError, errors.OfflineModeIsEnabled) as error:
        fault = f"the hub does not answer ({type(error).__name__})"
        remedy = "check the network, or give a folder: ARGS=model_name_or_path=models/…"
        raise UserError(model, fault, remedy) from None


def check_memory(recipe: Recipe) -> str:
    """Return what tools.estimate says of the recipe on the smallest GPU here; "" where nothing can be said.

    Raises:
        UserError: it cannot fit, with the change that would make it fit.
    """
    sizes = [gpu.mib * MIB for gpu in gpus() if gpu.mib is not None]
    if not sizes or any(recipe.train.get(key) for key in ("use_cpu", "deepspeed", "fsdp")):
        return ""
    try:
        parts, _, sentence = verdict(recipe, min(sizes))
    except UserError:
        return ""  # a model whose sizes are not known
    if sum(parts.values()) > ERROR * min(sizes):
        raise UserError(f"recipe {recipe.stem!r}", sentence, "pass it in ARGS, or choose another recipe")
    return sentence


def started_from(recipe: Recipe) -> Path:
    """Return the folder, from the root, of the adapter that training starts from; `.` where there is none."""
    return Path(str(recipe.train.get("adapter_name_or_path") or "."))


def first_adapter(recipe: Recipe) -> Path | None:
    """Return the weights of the adapter that training starts from, where it is one of ours."""
    folder = started_from(recipe)
    ours = len(folder.parts) > 1 and folder.parts[0] in ("runs", "adapters")
    return ROOT / folder / "adapter_model.safetensors" if ours else None


def fingerprint(recipe: Recipe, files: list[Path]) -> str:
    """Hash what makes two runs the same run: settings, data, base model."""
    base = ROOT / recipe.model / "config.json"
    parts = {
        "train": recipe.train,
        "data": [sha256(path) for path in files],
        "base": sha256(base) if base.is_file() else recipe.model,
    }
    if start := first_adapter(recipe):
        parts["adapter"] = sha256(start)
    return hashlib.sha256(to_json(parts).encode()).hexdigest()


def clear_way(recipe: Recipe, mark: str) -> str:
    """Make the output folder fit to resume from, moving aside what is not this run's; return what will happen.

    LLaMA-Factory resumes from whatever checkpoint it finds: one of other data or settings, or one that a kill left
    half-written (without trainer_state.json, which is written last), must not be there.

    Raises:
        UserError: the folder cannot be written to.
    """
    try:
        return _clear_way(recipe, mark)
    except OSError as error:
        raise UserError(recipe.output_dir, f"cannot be made ready ({error.strerror})", "make it writable") from None


def _clear_way(recipe: Recipe, mark: str) -> str:
    folder = recipe.output_dir
    stamp = folder / STAMP
    known = read_json(stamp).get("fingerprint") if stamp.is_file() else None
    note = "starts"
    if known == mark and (folder / "all_results.json").is_file():  # LLaMA-Factory writes it when a run has ended well
        write_json(stamp, {"recipe": recipe.stem, "fingerprint": mark, "finished": True})  # tools.train leaves it alone
        evaluate, again = recipe.make_command("eval"), f"rm -r {folder.relative_to(ROOT)}"
        return f"is finished, with these data and settings; run: {evaluate}; or, to train it anew: {again}"
    if folder.is_dir() and any(folder.iterdir()) and known != mark:
        aside = next(p for i in range(1, 10_000) if not (p := folder.with_name(f"{folder.name}.{i}")).exists())
        folder.rename(aside)
        note = f"starts afresh (data or settings changed; the old run is in {aside.relative_to(ROOT)})"
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=lambda path: (len(path.name), path.name)):
        if (checkpoint / "trainer_state.json").is_file():
            note = f"resumes from {checkpoint.name}"
        else:
            checkpoint.rename(folder / f"broken-{checkpoint.name}")
    if known != mark or not stamp.is_file():
        make_folder(folder)
        write_json(stamp, {"recipe": recipe.stem, "fingerprint": mark})
    return note
