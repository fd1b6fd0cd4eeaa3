"""How good is it? Feature extractors, evaluations with their protocols, comparisons, and the diagnosis of sick games."""
