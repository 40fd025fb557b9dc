"""Draw and tell one experiment.

Reads   metrics/, plots/history.csv, data/prepared/, data/predictions/
Writes  plots/loss.pdf, plots/acc.pdf, plots/confusion.png, plots/report.html; and plots/vega.js, the same for every
        experiment, with which `dvc plots` draws without a network
"""

from stages.foundation import paths
from stages.foundation.files import write_text
from stages.foundation.params import read_params
from stages.foundation.stage import run_stage
from stages.reporting.document import to_html
from stages.reporting.experiment.figures import draw_accuracy, draw_confusion, draw_lengths, draw_loss
from stages.reporting.experiment.outputs import read_outputs
from stages.reporting.experiment.page import experiment_document
from stages.reporting.params import ReportView
from stages.reporting.plots_page import write_plot_scripts
from stages.reporting.style import save_figure
from stages.scoring.classification import confusion_counts
from stages.scoring.mistakes import surest_mistakes


def main() -> None:
    """Turn the numbers of this experiment into figures and a page."""
    params = read_params("report", ReportView)
    outputs = read_outputs()
    test, best_epoch = outputs.test, outputs.scores["best_epoch"]
    confusion = confusion_counts(outputs.predicted, test.labels, num_classes=test.num_classes)
    mistakes = surest_mistakes(
        outputs.logits[None],
        test.labels,
        row_ids=test.row_ids,
        label_names=test.label_names,
        sentences=dict(zip(test.row_ids.tolist(), test.quoted, strict=True)),
        limit=params.report.worst_errors,
    )
    figures = {
        "loss": draw_loss(outputs.history, best_epoch),
        "accuracy": draw_accuracy(outputs.history, best_epoch),
        "confusion": draw_confusion(confusion, test.label_names),
    }
    if any(told.rows_cut for told in outputs.lengths.values()):
        figures["lengths"] = draw_lengths(outputs.lengths)

    save_figure(paths.LOSS_FIGURE, figures["loss"])
    save_figure(paths.ACCURACY_FIGURE, figures["accuracy"])
    save_figure(paths.CONFUSION_FIGURE, figures["confusion"])
    document = experiment_document(params, outputs, confusion=confusion, mistakes=mistakes)
    write_text(paths.REPORT_PAGE, to_html(document, figures))
    write_plot_scripts()


if __name__ == "__main__":
    run_stage("report", main)
