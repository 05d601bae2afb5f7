"""One file names a pretraining, what varies, and how it is judged; cells run once, by anyone."""
