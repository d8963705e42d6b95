"""Arrays in, numbers out: metrics, intervals and the predictions they come from."""
