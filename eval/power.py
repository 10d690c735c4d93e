"""How many cases it takes to see a difference between two models, and what a number of cases can show.

python -m eval.power --n 200 --base 0.80 --gain 0.05
"""

from collections.abc import Sequence

from callwright.errors import Parser, UserError, command
from eval.scoring.stats import cases_needed, detectable, independent, mcnemar_power

LEAST = 1e-4
"""of a gain"""
MOST = 10**9
"""cases"""


def explain(n: int | None, base: float, gain: float, discordance: float | None) -> list[str]:
    """Return the answer in a few lines.

    Raises:
        UserError: shares that cannot be.
    """
    if not 0 < base < 1 or not abs(gain) >= LEAST or not 0 <= base + gain <= 1:
        fault = f"from {base:g} to {base + gain:g} is no difference of two shares"
        raise UserError("--base, --gain", fault, "as in --base 0.80 --gain 0.05")
    if n is not None and not 1 <= n <= MOST:
        raise UserError("--n", f"{n} is no number of cases", f"from 1 to {MOST:,}")
    differ = independent(base, gain) if discordance is None else discordance
    most = min(base, 1 - base - gain) + min(1 - base, base + gain)
    if not abs(gain) <= differ <= most + 1e-9:
        fault = f"{differ:g}: two such models differ on {abs(gain):g} to {most:g} of the cases"
        raise UserError("--discordance", fault, "leave it out for models that err independently")
    how = "if they err independently" if discordance is None else "as given"
    lines = [f"{base:.3f} against {base + gain:.3f}: the two differ on {differ:.3f} of the cases, {how}"]
    lines += [f"{cases_needed(abs(gain), differ):,} independent cases show it with 80% power (exact McNemar at 5%)"]
    if n is not None:
        lines += [f"{n:,} cases show it with {mcnemar_power(n, abs(gain), differ):.0%} power"]
        least = detectable(n, base, discordance)
        lines += ["and no gain with 80%" if least is None else f"and with 80% a gain of {least:.3f} or more"]
    return lines


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Plan from the command line."""
    parser = Parser("python -m eval.power", (__doc__ or "").splitlines()[0])
    parser.add_argument("--base", type=float, required=True, help="share of cases that one model gets right")
    parser.add_argument("--gain", type=float, required=True, help="how much more the other does")
    parser.add_argument("--n", type=int, help="cases; those of one lineage count as one")
    parser.add_argument(
        "--discordance", type=float, help="share of cases that only one gets right (default: independent)"
    )
    args = parser.parse_args(argv)
    print("\n".join(explain(args.n, args.base, args.gain, args.discordance)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
