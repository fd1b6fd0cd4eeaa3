"""How good is it? Feature extractors, evaluations with their protocols, comparisons of runs, and the diagnosis of sick games."""
