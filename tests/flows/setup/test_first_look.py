"""Before anything runs, init and doctor tell what ingest would find."""

from pathlib import Path

import cv2

from configs.pipeline import Config
from flows.setup.first_look import MOST_PICTURES, figures_in_words, look_into
from flows.setup.init import config_text, look_at
from flows.setup.needs import check_source
from tasks.ingest.sources import list_source
from tests.support.pipelines import load, write_pipeline
from tests.support.stages import source_of
from tests.tasks.ingest.images.test_joins import PANORAMA, view


def source(folder: Path) -> Config:
    path = write_pipeline(folder, 1)
    (folder / "images" / "p00.png").unlink()
    cv2.imwrite(str(folder / "images" / "good.png"), PANORAMA)
    cv2.imwrite(str(folder / "images" / "photo.png"), view())
    return load(path)


def test_figures_and_doubts_are_told_by_init_and_doctor(tmp_path: Path) -> None:
    config = source(tmp_path)
    survey = look_at(str(tmp_path / "images"))
    assert survey.figures.startswith("seam ")
    assert survey.doubtful[0].startswith("photo: 2:1, but not equirectangular")
    text = config_text(survey, "x", "y")
    assert f"# Of those looked into: {survey.figures}" in text
    assert "1 of them would be quarantined" in text
    check = {one.name: one for one in check_source(config)}["ingest.source.pictures"]
    assert check.state == "warning"
    assert check.seen.startswith("2 looked into, 1 would be quarantined; seam ")
    assert "photo: 2:1" in check.advice


def test_only_some_files_are_read_and_what_is_gone_is_left_out(tmp_path: Path) -> None:
    config = source(tmp_path)
    settings = source_of(config).settings
    entries = [*list_source(settings.source.url)] * 20
    items = look_into(entries, settings)
    assert len(items) <= MOST_PICTURES
    assert "poles" in figures_in_words(items)
    assert figures_in_words([]) == ""
