"""The Transformer: ids of tokens in, a score for each possible next token out."""
