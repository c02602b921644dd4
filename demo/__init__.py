"""A made-up consumer group with two years of landing files, and the truth behind them."""
