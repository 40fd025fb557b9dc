import pytest

from stages.engine.lengths import READ_WHOLE
from stages.foundation import paths
from stages.foundation.files import read_json, write_json, write_text
from stages.foundation.params import read_params
from stages.reporting.document import Document, Picture, Prose, Table
from stages.reporting.experiment.outputs import read_outputs
from stages.reporting.experiment.page import experiment_document
from stages.reporting.params import ReportView
from stages.scoring.classification import confusion_counts
from tests.reporting.finished_experiment import PARAMS, make_lengths, make_test_split, write_experiment

HEADINGS = [
    "",
    "What to do next",
    "Scores",
    "Each class",
    "What was run",
    "Do the splits overlap?",
    "Cleaning",
    "Texts that were cut",
    "Curves",
    "Confusion matrix",
    "The surest mistakes",
    "Cost",
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def document(**experiment) -> Document:
    write_experiment(**experiment)
    outputs = read_outputs()
    counts = confusion_counts(outputs.predicted, outputs.test.labels, num_classes=outputs.test.num_classes)
    return experiment_document(read_params("report", ReportView), outputs, confusion=counts, mistakes=[])


def pictures(page: Document) -> dict[str, Picture]:
    return {block.key: block for section in page.sections for block in section.blocks if isinstance(block, Picture)}


def test_the_answer_opens_the_page_and_the_cost_ends_it():
    page = document()
    assert page.title == "1,000 samples of reviews: lora on minilm"
    assert [section.heading for section in page.sections] == HEADINGS
    opening = page.sections[0].blocks[0]
    assert isinstance(opening, Prose)
    assert opening.kind == "answer"


def test_every_figure_is_described_for_those_who_do_not_see_it():
    told = {
        key: picture.description.replace("\N{NARROW NO-BREAK SPACE}", " ")
        for key, picture in pictures(document()).items()
    }
    assert told == {
        "loss": "Validation loss per epoch: 0.412 after epoch 1, 0.500 after epoch 5; epoch 2 was kept.",
        "accuracy": "Validation accuracy per epoch: 81.0 % after epoch 1, 85.0 % after epoch 5; epoch 2 was kept.",
        "confusion": "Confusion matrix: 53 of 60 test rows (88.3 %) on the diagonal.",
    }


def with_params(old: str, new: str) -> Document:
    """The page of an experiment with other params."""
    write_text(paths.PARAMS, PARAMS.replace(old, new))
    outputs = read_outputs()
    counts = confusion_counts(outputs.predicted, outputs.test.labels, num_classes=outputs.test.num_classes)
    return experiment_document(read_params("report", ReportView), outputs, confusion=counts, mistakes=[])


@pytest.mark.parametrize(
    ("class_ratio", "share", "validating", "told"),
    [
        ("balanced", 0, "balanced", False),
        ("natural", 0, "balanced", True),
        ("natural", 0, "natural", False),
        ("natural", 0, "given", False),
        ("natural", 0.2, "balanced", False),
    ],
)
def test_scores_of_validation_and_test_rows_of_other_mixtures_are_not_to_be_compared(
    class_ratio, share, validating, told
):
    write_experiment()
    write_json(paths.DATA_CARD, read_json(paths.DATA_CARD) | {"validation_ratio": validating})
    page = with_params("balanced, validation_share: 0", f"{class_ratio}, validation_share: {share}")

    assert ("of other mixtures of classes" in str(page)) is told


def test_validation_rows_that_were_taken_out_of_the_samples_are_told_as_such():
    write_experiment()
    write_json(paths.SCORES, read_json(paths.SCORES) | {"train_rows": 800, "val_rows": 200})
    page = with_params("validation_share: 0", "validation_share: 0.2")
    answer = page.sections[0].blocks[0]
    run, overlap = (
        next(block for block in blocks_of(page, heading) if isinstance(block, Table))
        for heading in ("What was run", "Do the splits overlap?")
    )

    assert plain(answer.text).startswith(
        "After 1,000 labelled samples, 200 of them for validation, minilm with LoRA names the right class for "
    )
    assert ("validation rows", "200 of the 1,000 samples; the validation split of the data is left aside") in run.rows
    assert ("training rows", "800, balanced over the classes") in run.rows
    assert [row[0] for row in overlap.rows] == [
        "validation, with this subset",
        "test, with the pool",
        "test, with this subset",
    ]


def test_one_epoch_is_described_by_its_value_alone():
    assert pictures(document(num_epochs=1))["loss"].description == "Validation loss: 0.412."


@pytest.mark.parametrize(("num_classes", "wide"), [(2, False), (4, False), (12, True)])
def test_a_matrix_of_many_classes_keeps_its_size(num_classes, wide):
    split = make_test_split(tuple(f"class {index}" for index in range(num_classes)))
    assert pictures(document(split=split))["confusion"].wide == wide


def blocks_of(page: Document, heading: str):
    return next(section.blocks for section in page.sections if section.heading == heading)


def plain(text: str) -> str:
    return text.replace("\N{NARROW NO-BREAK SPACE}", " ")


def test_of_texts_that_were_all_read_one_sentence_is_enough():
    whole = "None: every text was read to its end: the longest has 128 tokens of 128."
    assert blocks_of(document(), "Texts that were cut") == (Prose(whole),)

    unmeasured = document(lengths=dict.fromkeys(("train", "val", "test"), READ_WHOLE))
    assert blocks_of(unmeasured, "Texts that were cut") == (Prose("None: every text was read to its end."),)


def test_texts_that_were_cut_are_counted_and_drawn_and_the_way_out_is_named():
    lengths = {"train": [9, 9, 200, 129], "val": [10, 20], "test": [300, 12]}
    page = document(lengths={split: make_lengths(tokens) for split, tokens in lengths.items()})
    table, picture, note = blocks_of(page, "Texts that were cut")

    assert [tuple(map(plain, row)) for row in table.rows] == [
        ("training", "4", "2 (50.0 %)", "73", "200"),
        ("validation", "2", "0", "0", "20"),
        ("test", "2", "1 (50.0 %)", "172", "300"),
    ]
    assert plain(picture.description) == (
        "Lengths of the texts: 50.0 % of the training texts and 50.0 % of the test texts are longer than 128 tokens."
    )
    assert note.text.endswith("raise train.max_tokens: the model reads up to 512.")


def test_mistakes_that_are_not_to_be_listed_are_counted_all_the_same():
    (section,) = [section for section in document().sections if section.heading == "The surest mistakes"]
    assert section.blocks == (Prose("None of the 7 wrong test rows is listed."),)
