"""Write the chat template with tools that sends what training saw, and prove it: `python -m tools.parity smollm2-135m_lora`.

The template goes to runs/<recipe>/chat_template.jinja; the exit status is 1 when a text or a prompt's tokens differ.
"""

from collections.abc import Sequence
from itertools import islice

from callwright.errors import Parser, command
from callwright.files import ROOT, write_text
from callwright.recipes import add_recipe, chosen_recipe
from tools.checks.chat_template import write_template
from tools.checks.encode import announce_loading, fetch_hint, is_at_hand, load_tokenizer, load_view, stand_in
from tools.checks.lint import recipe_files
from tools.checks.parity import against_own, day_of_training, differences, flags, fuzzed, rows_of
from tools.training.preflight import dataset_files


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Write and prove a recipe's chat template."""
    parser = Parser("python -m tools.parity", __doc__)
    add_recipe(parser)
    parser.add_argument("--rows", type=int, default=500, help="prove over so many rows of the datasets (%(default)s)")
    parser.add_argument("--fuzz", type=int, default=100, help="and so many made-up talks (%(default)s)")
    args = parser.parse_intermixed_args(argv)
    recipe = chosen_recipe(args)
    dataset_files(recipe)  # says with the verb that builds it what is missing
    _, files, _ = recipe_files(recipe.stem, recipe.overrides)
    announce_loading("parity")
    here = is_at_hand(recipe.model)
    tokenizer, processor = load_tokenizer(recipe.train) if here else (stand_in(recipe.train["template"]), None)
    own = tokenizer.chat_template if here else None
    view = load_view(recipe.train, tokenizer, processor)
    template = write_template(view, day_of_training(recipe))
    rows = rows_of((path for path, entry in files.items() if not entry.get("ranking")), recipe.make_command("lint"))
    talks = [*islice(rows, args.rows), *fuzzed(args.fuzz, view.tool_format != "glm4")]
    found = [difference for talk in talks for difference in differences(talk, template, view)]
    path = recipe.run_dir / "chat_template.jinja"
    write_text(path, template)
    shown = path.relative_to(ROOT)
    faults = [difference for difference in found if difference.kind != "history"]
    print("".join(f"{difference}\n" for difference in faults[:10]), end="")
    all_talks, faulty = ({difference.place.rpartition(",")[0] for difference in some} for some in (found, faults))
    if merged := all_talks - faulty:
        print(f"in {len(merged)} talks an answer sent back as history has other tokens (the same text): its beginning merges "
              f"with the end of its prompt, which training encodes apart; the first: {min(merged)}")  # fmt: skip
    if own:
        print("\n".join(["against the model's own chat template:", *against_own(template, own, tokenizer)]))
    print("\n".join(["serve it so:", *flags(view, shown)]))
    by = f"the tokenizer of {recipe.model}"
    if not here:
        by = f"a stand-in tokenizer ({fetch_hint(recipe.model)} for the real)"
    print(f"parity: {shown}: {len(talks)} talks, {len(faults)} differences, by {by}")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
