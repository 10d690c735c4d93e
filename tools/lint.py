"""Find what LLaMA-Factory would drop, die of, corrupt or learn wrongly: `python -m tools.lint --recipe smollm2-135m_lora`.

`python -m tools.lint FILE [--template qwen] [--model DIR] [--cutoff-len 1024] [--cases FILE]` lints one file of rows.
Exit status 1 when there are errors.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from callwright.errors import Parser, UserError, command
from callwright.files import to_json
from callwright.recipes import add_recipe, chosen_recipe
from tools.checks.lint import (
    CrossRowChecks,
    asked_texts,
    case_findings,
    lint_file,
    recipe_files,
    report_lines,
    template_check,
)
from tools.formats.dataset_info import SHAREGPT
from tools.training.preflight import dataset_files


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Lint the datasets of a recipe, or one file."""
    parser = Parser("python -m tools.lint", __doc__)
    add_recipe(parser, "--recipe")  # its datasets, template, model and cutoff_len
    parser.add_argument("--template", help="check what this template of LLaMA-Factory makes of the rows")
    parser.add_argument("--model", help="whose tokenizer counts, against --cutoff-len; needs --template")
    parser.add_argument("--cutoff-len", type=int, default=2048, help="LLaMA-Factory's own default: %(default)s")
    parser.add_argument("--cases", action="append", default=[], type=Path, help="evaluation cases not to be held")
    parser.add_argument("--format", choices=["text", "json"], default="text")
    args = parser.parse_intermixed_args(argv)
    if args.recipe:
        recipe = chosen_recipe(args)
        dataset_files(recipe)  # says with the verb that builds it what is missing
        settings, entries, cases = recipe_files(recipe.stem, recipe.overrides)
    elif len(args.overrides) != 1:  # without --recipe, what stands there is a file
        raise UserError("tools.lint", f"{len(args.overrides)} files", "give one, or --recipe")
    else:
        named = {"template": args.template, "model_name_or_path": args.model}
        settings = {"cutoff_len": args.cutoff_len, **{key: value for key, value in named.items() if value}}
        entries, cases = {Path(args.overrides[0]): dict(SHAREGPT)}, []
    if args.model and not settings.get("template"):
        raise UserError("--model", "tokens cannot be counted without a template", "give --template as well")
    check, findings = template_check(settings) if settings.get("template") else (None, [])
    cases += args.cases
    cross_row, count = CrossRowChecks(asked_texts(cases)), 0
    findings += [finding for path in cases if check for finding in case_findings(path, check.tokens)]
    for path, entry in entries.items():
        rows, found = lint_file(path, entry, cross_row, check)
        count += rows
        findings += found
    counts = Counter(finding.severity for finding in findings)
    if args.format == "json":
        print(to_json({"rows": count, "errors": counts["error"], "warnings": counts["warning"],
                       "findings": [finding.as_json() for finding in findings]}))  # fmt: skip
    else:
        print("\n".join([*report_lines(findings), f"lint: {', '.join(map(str, entries))}: {count} rows, "
                         f"{counts['error']} errors, {counts['warning']} warnings"]))  # fmt: skip
    return 1 if counts["error"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
