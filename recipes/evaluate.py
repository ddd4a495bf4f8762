"""Compare policies on held-out prompts, by the reward model and by independent judges.

accelerate launch recipes/evaluate.py --config recipes/configs/film_reviews/evaluate.yaml [--key value]

Leaves report.html to read, report.json with every figure, and the raw rows that they were computed from.
"""

import rlhf.trainers.quiet  # noqa: F401  # isort: skip
import time
from collections.abc import Sequence
from pathlib import Path

from accelerate.state import PartialState

from rlhf.config import parse
from rlhf.data import label_ids
from rlhf.errors import exit_on_error
from rlhf.evaluation import report
from rlhf.evaluation.measure import EvaluationData, check_judges, measure
from rlhf.evaluation.options import EvaluationOptions
from rlhf.evaluation.policies import check_places
from rlhf.models.load import ModelOptions
from rlhf.runs import Run


@exit_on_error()
def main(argv: Sequence[str] | None = None) -> None:
    started = time.monotonic()
    options, model_options = parse(EvaluationOptions, ModelOptions, argv=argv, description=__doc__ or "")
    if not PartialState().is_main_process:
        return  # one process measures; the others of a launch have nothing to add

    # 1. Check the data and the folders before a model is loaded.
    base = model_options.locate().base
    check_places(base, options.policies)
    check_judges(options)
    data = EvaluationData.load(options)
    run = Run.create(
        options.output_dir,
        "evaluate",
        (options, model_options),
        seed=options.seed,
        data_files=options.data_files,
        parents=[Path(folder) for folder in report.model_folders(options).values()],
        label_ids=label_ids(data.comparisons),
        base_model=base,
        overwrite=options.overwrite_output_dir,
    )

    # 2. Let the policies answer, and everything be scored.
    found = measure(options, model_options, data)

    # 3. Compute the figures and write the report.
    result = report.build(options, found, time.monotonic() - started)
    page, figures = report.write(result, found, run.dir, Path(options.report_dir or options.output_dir))
    run.finish(report.summary(result), card=result["verdict"]["headline"])
    print(f"\n{report.in_words(result)}\n\nTo read: {page}\nFigures: {figures}")


if __name__ == "__main__":
    main()
