import copy

import pytest
import yaml

from graphdown.errors import ExperimentError
from graphdown.transfer.plan import Task, cells_of, scored_on, seeds_of
from graphdown.transfer.spec import load_study, parse_study
from graphdown.transfer.study_run import StudyRun

STUDY = {
    "name": "tiny",
    "output": "runs/none",
    "seeds": 2,
    "experiment": {
        "predictors": ["tas", "pr"],
        "targets": ["tas", "pr"],
        "data": {
            "world": {"rcm": "rcm-1"},
            "sources": [{"name": n, "view": f"gcm-{n.lower()}"} for n in "ABCD"],
        },
        "periods": {"train": [1981, 1984], "validation": [1985, 1985], "test": [1986, 1986]},
        "training": {"steps": 10, "noise": 0.1},
    },
    "strategies": {
        "network": {},
        "full": {"start": "network", "set": {"training": {"steps": 4}}},
        "kept": {"run": "runs/other"},
        "ridge": {"baseline": "ridge"},
        "U-Net": {"baseline": "U-Net", "steps": 5},
    },
    "blocks": {
        "out": {
            "strategies": ["network", "ridge"],
            "train": [["A"], ["A", "B"]],
            "apply": ["A", "C"],
        },
        "few": {
            "strategies": ["network", "full", "kept", "U-Net"],
            "train": [["A", "B"]],
            "tune": ["D"],
            "years": [0, 2],
            "apply": ["A", "D"],
        },
    },
    "quick": {"seeds": 1, "blocks.few.years": [0], "strategies.full.set.training.steps": 2},
}


def study(**changes):
    raw = copy.deepcopy(STUDY)
    for key, value in changes.items():
        node = raw
        *parents, last = key.split("__")
        for parent in parents:
            node = node[parent]
        if value is None:
            del node[last]
        else:
            node[last] = value
    return parse_study(raw, "a.yaml")


def test_a_strategy_changes_the_experiment_key_by_key():
    made = study()
    full = made.experiment_of("full", seed=3, output="there")
    assert (full.training.steps, full.training.noise, full.seed) == (4, 0.1, 3)
    assert full.output == "there" and full.baselines == ()
    assert made.experiment_of("network").training.steps == 10
    assert made.experiment_of("ridge").baselines == ("ridge",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 0}, "'seeds' and 'draws' must be at least 1"),
        ({"name": None}, "the key 'name' is missing"),
        ({"blocks": {}}, "'blocks' is empty"),
        ({"strategies__full__strat": "x"}, "unknown key 'strategies.full.strat'; did you mean"),
        ({"strategies__ridge__baseline": "rigde"}, "did you mean 'ridge'"),
        ({"strategies__full__start": "netwrk"}, "'strategies.full.start' names 'netwrk'"),
        ({"strategies__full__start": "ridge"}, "which is a baseline or has a start itself"),
        ({"strategies__full__run": "runs/x"}, "only one of 'baseline', 'start' and 'run'"),
        ({"strategies__ridge__beside": {"A": ["C"]}}, "is for networks that learn from random"),
        ({"strategies__network__beside": {"A": ["Z"]}}, "'strategies.network.beside' names 'Z'"),
        (
            {"strategies__full__finetune": {"trainable": "heads"}},
            "'strategies.full.finetune.trainable' is",
        ),
        ({"strategies__full__set": {"training": {"step": 1}}}, "did you mean 'steps'"),
        (
            {"strategies__full__set": {"data": {"world": {"years": 9}}}},
            "changes 'data' or 'targets'",
        ),
        ({"blocks__out__apply": ["Z"]}, "'blocks.out.apply' names 'Z', no source"),
        ({"blocks__out__train": [["A"], []]}, "'blocks.out.train.1' is empty"),
        ({"blocks__out__strategies": ["ful"]}, "did you mean 'full'"),
        ({"blocks__out__strategies": ["full"]}, "has no 'tune', the sources to fine-tune it on"),
        ({"blocks__out__years": [1]}, "'blocks.out.years' needs 'tune'"),
        ({"blocks__few__years": [-1]}, "'blocks.few.years' must not be negative"),
        ({"blocks__out__shows": "pie"}, "'blocks.out.shows' is 'pie'"),
        ({"experiment__periods__train": [1984, 1981]}, "'periods.train' is empty"),
    ],
)
def test_what_is_wrong_is_named_in_one_sentence(changes, message):
    with pytest.raises(ExperimentError) as caught:
        study(**changes)
    text = str(caught.value)
    assert message in text and "\n" not in text and text.endswith((".", "?"))


def test_the_quick_version_changes_what_it_names_alone(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    quick, whole = load_study(path, quick=True), load_study(path, ["seeds=5"])
    assert (quick.seeds, quick.blocks["few"].years) == (1, (0,))
    assert quick.experiment_of("full").training.steps == 2
    assert quick.experiment_of("network").training.steps == 10
    assert (whole.seeds, whole.blocks["few"].years) == (5, (0, 2))
    path.write_text(yaml.safe_dump({k: v for k, v in STUDY.items() if k != "quick"}))
    with pytest.raises(ExperimentError, match="has no 'quick'"):
        load_study(path, quick=True)
    with pytest.raises(ExperimentError, match="does not exist"):
        load_study(tmp_path / "none.yaml")


def test_cells_share_their_runs_and_a_start_comes_first():
    made = study()
    cells = cells_of(made)
    tasks = scored_on(cells)
    first = Task("network", ("A", "B"))
    assert len([c for c in cells if c.block == "out"]) == 4
    few = {(c.strategy, c.years): c for c in cells if c.block == "few"}
    # Without years and a start there is nothing: no network or U-Net at 0.
    assert set(few) == {
        ("network", 2), ("full", 0), ("full", 2), ("kept", 0), ("kept", 2), ("U-Net", 2)
    }  # fmt: skip
    assert few["full", 0].task == few["full", 0].start == few["full", 2].start == first
    assert few["full", 2].task == Task("full", ("A", "B"), ("D",), 2)
    assert few["network", 2].task == Task("network", ("D",), (), 2)
    order = list(tasks)
    assert order.index(first) < order.index(few["full", 2].task)
    assert tasks[first] == ["A", "C", "D"]
    assert tasks[few["full", 2].task] == ["A", "D"]
    assert few["full", 2].groups == {"new": ["D"], "first": ["A"]}
    out = next(c for c in cells if c.block == "out")
    assert out.groups == {"unseen": ["C"], "learned": ["A"]}
    folders = [task.folder for task in tasks]
    assert len(set(folders)) == len(folders)
    assert [len(seeds_of(made, Task(s, ("A",)))) for s in ("network", "ridge", "U-Net")] == [
        2,
        1,
        2,
    ]


def test_sources_beside_are_learned_from_by_the_strategy_and_what_starts_from_it():
    made = study(strategies__network__beside={"A": ["C"]})
    cells = cells_of(made)
    alone, both = (
        next(c for c in cells if c.strategy == "network" and c.train == train)
        for train in (("A",), ("A", "B"))
    )
    assert (alone.learned, both.learned) == (("A", "C"), ("A", "B", "C"))
    assert alone.unseen == [] and alone.groups["learned"] == ["A", "C"]
    tuned = next(c for c in cells if c.strategy == "full" and c.years)
    assert tuned.learned == ("A", "B", "D", "C")
    of_tuned, of_start = (
        [s.name for s in StudyRun(made, task, 0).experiment.data.sources]
        for task in (tuned.task, tuned.start)
    )
    assert (of_tuned, of_start) == (["D"], ["A", "B", "C"])
    ridge = next(c for c in cells if c.strategy == "ridge" and c.train == ("A",))
    assert ridge.learned == ("A",)
