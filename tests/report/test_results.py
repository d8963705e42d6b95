"""results.json is read as the contract writes it, and refused with every mistake named."""

import json

import pytest

from unfreeze.errors import RunError
from unfreeze.report.results import load_results
from unfreeze.seals import write_sealed

CONTRACT = """
{"schema": 1,
 "dataset": {"name": "elpv", "classes": ["defective", "functional"], "train": 1673, "val": 295, "test": 656,
             "bad": 0, "sha256": "ab"},
 "environment": {"unfreeze": "0.1.0", "keras": "3.15.1", "backend": "tensorflow", "engine": "reference",
                 "cpu": "x", "gpu": null},
 "experiments": [
  {"name": "model_3", "kind": "fine_tuning", "seed": 0, "path": "experiments/model_3/seed-0",
   "backbone": "efficientnet_lite0", "fraction": 0.1, "train_images": 166, "augment": true, "views": 5,
   "unfreeze": {"blocks": 2}, "trainable_parameters": 1, "start_from": "model_2", "epochs": 5,
   "seconds": {"data": 0.0, "features": 0.0, "train": 10, "evaluate": 0.0, "total": 12.5},
   "val": {"accuracy": 0.8, "loss": 0.4},
   "test": {"n": 656, "accuracy": 0.85, "ci95": [0.82, 0.88], "macro_f1": 0.8, "nll": 0.4, "ece": 0.1,
            "nll_uncalibrated": 0.5}},
  {"name": "as_is", "kind": "as_is", "seed": 0, "path": "experiments/as_is/seed-0",
   "backbone": "efficientnet_lite0", "fraction": null, "train_images": null, "augment": null, "views": null,
   "unfreeze": null, "trainable_parameters": null, "start_from": null, "epochs": null,
   "seconds": {"data": 0.0, "features": 0.0, "train": 0.0, "evaluate": 0.0, "total": 0.0},
   "val": null, "test": null}],
 "seconds": {"total": 12.5},
 "summary": []}
"""


def test_the_contracts_fields_and_fields_still_unknown(tmp_path):
    write_sealed(tmp_path / "results.json", json.loads(CONTRACT))
    results = load_results(tmp_path)
    fine_tuned, as_is = results.experiments
    assert results.out == tmp_path
    assert results.dataset.classes == ("defective", "functional")
    assert fine_tuned.unfreeze == {"blocks": 2}
    assert fine_tuned.test is not None
    assert fine_tuned.test.ci95 == (0.82, 0.88)
    assert fine_tuned.seconds.total == 12.5
    assert (as_is.epochs, as_is.val, as_is.test) == (None, None, None)


def test_a_folder_without_results_says_what_to_do(tmp_path):
    with pytest.raises(RunError, match=r"nothing holds no results\.json.* call `unfreeze run` again"):
        load_results(tmp_path / "nothing")


def test_another_schema_is_named(tmp_path):
    write_sealed(tmp_path / "results.json", {"schema": 2})
    with pytest.raises(RunError, match="has schema 2, but this version of unfreeze reads schema 1"):
        load_results(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '"results"', CONTRACT])
def test_something_else_than_results(tmp_path, text):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(RunError, match=r"results\.json is damaged .*Make the call of `unfreeze run`"):
        load_results(tmp_path)


def test_all_mistakes_are_named_at_once(tmp_path):
    content = json.loads(CONTRACT)
    del content["dataset"]["train"]
    content["experiments"][1]["kind"] = "magic"
    content["experiments"][0]["test"]["accuracy"] = "high"
    write_sealed(tmp_path / "results.json", content)
    with pytest.raises(RunError) as caught:
        load_results(tmp_path)
    message = str(caught.value)
    for place in ("dataset.train: ", "experiments.1.kind: ", "experiments.0.test.accuracy: "):
        assert place in message
    assert message.count("\n") == 3
