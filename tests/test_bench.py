from bench import eval as bench


def test_the_bench_measures_both(capsys):
    assert bench.main(["--ask", "70", "--score", "60"]) == 0
    asked, scored = capsys.readouterr().out.splitlines()
    assert asked.startswith("asking 70 cases, 64 at a time, 50 ms an answer: ")
    assert "of 0.05 s at best" in asked
    assert scored.startswith("scoring 60 cases of 5 tools and up to 3 calls: ")


def test_made_answers_hold_mistakes_of_several_kinds():
    from eval.scoring.runs import score

    pairs = bench.example_pairs(200)
    results = score([case for case, _ in pairs], {answer.key: answer for _, answer in pairs})
    assert len({result.verdict for result in results}) >= 4
    assert {len(case.expected) for case, _ in pairs} == {0, 1, 2, 3}
