"""Make the report from the outputs and ``stages/<chapter>/report.yaml``: an index page and one page per chapter.

Every page contains its figures. It opens from disk, without a server or a network.
"""

from pathlib import Path

from skylight import params
from skylight.errors import script
from skylight.outputs import writing
from skylight.report.chapter import read_chapter
from skylight.report.pages import STAGE, chapter_of, read_times, render
from skylight.report.pipeline import made_by, read_stages

OUT = Path("out/report")
TIMES = Path("bench/stages.csv")


@script
def main() -> None:
    settings = params.load_all().model_dump()
    params_text = Path("params.yaml").read_text(encoding="utf-8")
    times = read_times(TIMES)
    stages = read_stages()
    # A chapter is in the report when the stage depends on some of its outputs.
    shown = [made_by(stages, dep) for stage in stages if stage.name == STAGE for dep in stage.deps]
    names = dict.fromkeys(stage.chapter for stage in stages if stage in shown)
    words = {name: read_chapter(f"stages/{name}/report.yaml").with_settings(settings) for name in names}
    chapters = [chapter_of(name, words[name], stages, settings, params_text, times) for name in names]
    with writing(OUT) as folder:
        folder.mkdir()
        for name, page in render(chapters).items():
            (folder / name).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
