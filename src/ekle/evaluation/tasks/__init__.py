"""Tasks with right answers, asked through lm-evaluation-harness from files the user names."""
