"""TFDS builder of a user's own videos: one record a frame; clips are cut when reading."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from pdr_datasets.originals import compare, name_some
from pdr_datasets.recordings import FrameBuilder
from pdr_datasets.videos.broken import BrokenVideoError
from pdr_datasets.videos.config import Config
from pdr_datasets.videos.describe import describe_videos, remark
from pdr_datasets.videos.find import EXPECTED_FILES, PARTS, Video, find_videos
from pdr_datasets.videos.frames import fit_frame, frame_rate, read_frames
from pdr_datasets.videos.split import check_names, split_videos

__all__ = ["Builder", "Config"]


class Builder(FrameBuilder):
    """Stores every frame once; see README.md.

    The metadata hold `files`, a dict a usable video, in the order of their frames: its name, part,
    start (the position of its first frame), frames, size (height, width), rate and brightest value;
    `skipped`, the broken and short ones with reasons; and `contents`, see `Video.contents`, of all.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  (as TFDS declares it)
    RECORDING = "usable video"
    MANUAL_DOWNLOAD_INSTRUCTIONS = EXPECTED_FILES
    TAKES_PLACES = True

    def parts(self) -> Sequence[str]:
        """Parts without a video are left out."""
        there = {file["part"] for file in self.info.metadata["files"]}
        return [part for part in PARTS if part in there]

    def runs(self, part: str) -> Sequence[Sequence[int]]:
        """The part's videos."""
        files = self.info.metadata["files"]
        return [(f["start"], f["frames"]) for f in files if f["part"] == part]

    def records(self, part: str) -> str:
        """All frames are stored in the order of the files."""
        return "frames"

    def stride(self, part: str) -> int:
        """Clips for validation and testing share no frame."""
        return self.builder_config.stride if part == "train" else self.builder_config.length

    def remarks(self) -> dict[str, Any]:
        """What was read, which videos were not used, and where a clip begins."""
        config, found = self.builder_config, self.info.metadata
        clips = {part: len(self.starts(part)) for part in self.parts()}
        stored = f"{config.height} x {config.width} {config.channels}"
        stored += f", one of {config.every} frames" if config.every > 1 else ""
        return {
            "reading": describe_videos(found["files"], clips, config.length, stored),
            "note": remark(
                found["files"],
                [f"{name} {reason}" for name, reason in found["skipped"].items()],
                config.length,
            ),
            "clip_name": self._clip_name,
        }

    def check_place(self, place: Any) -> None:
        """Refuses a place that holds other videos than those that the build was made of."""
        before = self.info.metadata.get("contents", {})
        if listed := compare(before, _contents(find_videos(place))):
            raise ValueError(
                f"manual_dir={str(place)!r}: {self.data_dir} was made of other videos: {listed}. "
                "Remove that folder to build it anew, or choose another data_dir."
            )

    def _clip_name(self, clip: int) -> str:
        """As "moshe_run.avi, frame 12", counted in the file from 0."""
        files = self.info.metadata["files"]
        file = max((f for f in files if f["start"] <= clip), key=lambda f: f["start"])
        return f"{file['name']}, frame {(clip - file['start']) * self.builder_config.every}"

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        shape = (config.height, config.width, 1 if config.channels == "grey" else 3)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {"frames": tfds.features.Tensor(shape=shape, dtype=np.uint8, encoding="bytes")}
            ),
            disable_shuffling=True,  # the frames of a video are neighbours on disk
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
        del dl_manager
        videos = find_videos(self.place)
        check_names(videos, self.builder_config.split)
        self.info.metadata.update(files=[], skipped={}, contents=_contents(videos))
        return {"frames": self._generate_examples(videos)}

    def _generate_examples(self, videos: Sequence[Video]) -> Iterator[tuple[int, dict[str, Any]]]:
        """All frames; what is drawn, and what cannot be used, is known after the last one."""
        config, found = self.builder_config, self.info.metadata
        index = 0
        for done, video in enumerate(videos, start=1):
            start, size, brightest = index, (0, 0), 0
            try:
                for frame in read_frames(video.path, config.every, config.white):
                    stored = fit_frame(frame, config.height, config.width, config.channels)
                    brightest = max(brightest, int(stored.max()))
                    size = frame.shape[:2]
                    yield index, {"frames": stored}
                    index += 1
                if not (frames := index - start):
                    raise BrokenVideoError("holds no frames")
                if frames < config.length:
                    raise BrokenVideoError(
                        f"has {frames} frames, fewer than a clip of {config.length}"
                    )
            except BrokenVideoError as error:  # its frames so far stay in the file, unused
                found["skipped"][video.name] = str(error)
            else:
                found["files"].append(
                    {
                        "name": video.name,
                        "start": start,
                        "frames": frames,
                        "size": size,
                        "rate": frame_rate(video.path) / config.every,
                        "brightest": brightest,
                    }
                )
            self.report(done, len(videos))
        if found["skipped"] and not (self.skip_broken and found["files"]):
            raise ValueError(_refusal(found["skipped"], len(videos)))
        parts = split_videos(
            [video for video in videos if video.name not in found["skipped"]],
            config.split,
            test_fraction=config.test_fraction,
            val_fraction=config.val_fraction,
            seed=config.seed,
        )
        where = {video.name: part for part, chosen in parts.items() for video in chosen}
        for file in found["files"]:
            file["part"] = where[file["name"]]


def _contents(videos: Sequence[Video]) -> dict[str, list[Any]]:
    return {video.name: [video.part, *video.contents()] for video in videos}


def _refusal(skipped: Mapping[str, str], count: int) -> str:
    named = name_some(f"{name} {reason}" for name, reason in skipped.items())
    if len(skipped) == count:
        return f"manual_dir: no video can be used: {named}. Mend them, or shorten the clips."
    return (
        f"skip_broken=False: these videos cannot be used: {named}. Mend or remove them; or set "
        "skip_broken, which leaves them out and names them beside all results."
    )
