"""What a search says in the end."""

from collections.abc import Sequence

from unfreeze import config
from unfreeze.evaluation.paired import compare_pairs
from unfreeze.series.trials import Trial, best_of


def outlook(trials: Sequence[Trial], minutes: float) -> list[str]:
    """Say what a search found, and what more minutes or photos would likely bring, by validation photos alone."""
    finished = [trial for trial in trials if trial.outcome == "finished"]
    share = max((trial.settings["fraction"] for trial in finished), default=1.0)
    heads = [trial for trial in finished if trial.is_probe and trial.settings["fraction"] == share]
    halves = [trial for trial in finished if trial.is_probe and trial.settings["fraction"] < share]
    tuned = [trial for trial in finished if not trial.is_probe]
    lines = []
    if not heads:
        return lines
    head = best_of(heads)
    count = len(head.right)
    if tuned:
        best = best_of(tuned)
        [pair] = compare_pairs({"a head alone": head.answers, "fine-tuning": best.answers})
        low, high = (f"{100 * value:+.1f}" for value in pair.ci95)
        gain = f"{100 * pair.difference:+.1f} points ({low} to {high}) on {count} validation photos"
        lines.append(
            {
                "better": f"Fine-tuning is worth it: {gain}.",
                "worse": f"Fine-tuning is not worth it: {gain}.",
                "within noise": f"Fine-tuning made no difference that shows: {gain}. A head alone may be as good.",
            }[pair.verdict]
        )
        later = [trial for trial in trials if trial.number > best.number and trial.drawn]
        epochs = best.settings["phases"][-1]["epochs"]
        if epochs < config.train_epochs(1) and len(later) < 2:
            lines.append(
                f"More minutes would likely help: the best came last of {len(trials)} trials, with {epochs} epochs."
            )
        else:
            lines.append(
                f"More minutes would likely bring little: {len(later)} trials after the best one were no better."
            )
    else:
        lines.append(f"There was no time for fine-tuning in {minutes:g} minutes; more would likely help.")
    same = [half for half in halves if half.settings["backbone"] == head.settings["backbone"]]
    if same and same[0].accuracy is not None and head.accuracy is not None:
        gained = 100 * (head.accuracy - same[0].accuracy)
        lines.append(
            f"A head on half of the photos was right on {same[0].accuracy:.1%}, on all of them on {head.accuracy:.1%}: "
            f"twice the photos would likely bring {'about as much again' if gained > 0.5 else 'little'}."
        )
    return lines
