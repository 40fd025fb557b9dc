"""Draw and tell one experiment.

Reads   metrics/, plots/history.csv, data/prepared/, data/predictions/
Writes  plots/loss.pdf, plots/acc.pdf, plots/confusion.png, plots/report.html; and plots/vega.js, the same for every
        experiment, with which `dvc plots` draws without a network
"""

from stages.foundation import paths
from stages.foundation.files import write_text
from stages.foundation.params import read_params
from stages.foundation.stage import run_stage
from stages.reporting.confusion import draw_confusion
from stages.reporting.curves import draw_accuracy, draw_loss
from stages.reporting.params import ReportView
from stages.reporting.plots_page import write_plot_scripts
from stages.reporting.report_page import report_page
from stages.reporting.results import read_results
from stages.reporting.style import save_figure
from stages.reporting.worst_errors import worst_errors
from stages.scoring.classification import confusion_counts


def main() -> None:
    """Turn the numbers of this experiment into figures and a page."""
    params = read_params("report", ReportView)
    results = read_results()
    test, best_epoch = results.test, results.scores["best_epoch"]
    confusion = confusion_counts(results.predicted, test.labels, num_classes=test.num_classes)
    mistakes = worst_errors(test, results.logits, limit=params.report.worst_errors)
    figures = {
        "loss": draw_loss(results.history, best_epoch),
        "accuracy": draw_accuracy(results.history, best_epoch),
        "confusion": draw_confusion(confusion, test.label_names),
    }

    save_figure(paths.LOSS_FIGURE, figures["loss"])
    save_figure(paths.ACCURACY_FIGURE, figures["accuracy"])
    save_figure(paths.CONFUSION_FIGURE, figures["confusion"])
    page = report_page(params, results, confusion=confusion, mistakes=mistakes, figures=figures)
    write_text(paths.REPORT_PAGE, page)
    write_plot_scripts()


if __name__ == "__main__":
    run_stage("report", main)
