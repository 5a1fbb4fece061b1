"""TFDS builder of a user's own videos: one record a frame; clips are cut when reading."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from pdr_datasets.builder import VideoBuilder
from pdr_datasets.dataset import Source
from pdr_datasets.originals import compare, name_some
from pdr_datasets.records import Records
from pdr_datasets.series import Windows
from pdr_datasets.videos.broken import BrokenVideoError
from pdr_datasets.videos.config import Config
from pdr_datasets.videos.describe import describe_videos, remark
from pdr_datasets.videos.find import EXPECTED_FILES, Video, find_videos
from pdr_datasets.videos.frames import fit_frame, frame_rate, read_frames
from pdr_datasets.videos.split import split_videos

__all__ = ["Builder", "Config"]


class Builder(VideoBuilder):
    """Stores every frame once; see README.md.

    The metadata hold `files`, a dict a stored video, in the order of their frames: its name, part,
    start (the position of its first frame), frames, size (height, width) and rate; `skipped`, the
    broken ones with reasons; `contents`, see `Video.contents`, of all; and the brightest value.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  (as TFDS declares it)
    BUILDER_CONFIGS: ClassVar[list[Config]] = []  # lengths and strides belong to no name
    MANUAL_DOWNLOAD_INSTRUCTIONS = EXPECTED_FILES
    TAKES_PLACES = True

    def sources(self) -> Mapping[str, Source]:
        """Clips of each part; none runs from one video into the next."""
        frames = Records(self, "frames")
        length = self.builder_config.length
        return {
            part: Windows(frames, starts, range(length)) for part, starts in self._starts().items()
        }

    def overlap(self) -> int:
        """Clips for training begin every `stride` frames."""
        config = self.builder_config
        return (config.length - 1) // config.stride

    def remarks(self) -> dict[str, str]:
        """What was read, and which videos were not used."""
        config, found = self.builder_config, self.info.metadata
        clips = {part: len(starts) for part, starts in self._starts().items()}
        stored = f"{config.height} x {config.width} {config.channels}"
        stored += f", one of {config.every} frames" if config.every > 1 else ""
        return {
            "reading": describe_videos(found["files"], clips, config.length, stored),
            "note": remark(
                found["files"],
                [f"{name} {reason}" for name, reason in found["skipped"].items()],
                found["brightest"],
                config.length,
            ),
        }

    def check_place(self, place: Any) -> None:
        """Refuses a place that holds other videos than those that the build was made of."""
        before = self.info.metadata.get("contents", {})
        if listed := compare(before, _contents(find_videos(place))):
            raise ValueError(
                f"manual_dir={str(place)!r}: {self.data_dir} was made of other videos: {listed}. "
                "Remove that folder to build it anew, or choose another data_dir."
            )

    def _starts(self, parts: Iterable[str] = ()) -> dict[str, np.ndarray]:
        """Positions at which the clips of each part begin; `parts` are to have some."""
        config = self.builder_config
        starts: dict[str, list[int]] = {part: [] for part in parts}
        for file in self.info.metadata["files"]:
            stride = config.stride if file["part"] == "train" else config.length
            stop = file["start"] + file["frames"] - config.length + 1
            starts.setdefault(file["part"], []).extend(range(file["start"], stop, stride))
        for part, found in starts.items():
            if not found:
                raise ValueError(
                    f"in_length={config.in_length}, out_length={config.out_length}: no usable "
                    f"video of the {part} part has {config.length} frames. Shorten the clips, or "
                    "split otherwise."
                )
        return {part: np.asarray(found, np.int64) for part, found in starts.items()}

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
        config = self.builder_config
        videos = find_videos(self.place)
        parts = split_videos(
            videos,
            config.split,
            test_fraction=config.test_fraction,
            val_fraction=config.val_fraction,
            seed=config.seed,
        )
        broken = {video.name: reason for video in videos if (reason := self._unreadable(video))}
        if broken and not self.skip_broken:
            raise ValueError(_refusal(f"{name} {reason}" for name, reason in broken.items()))
        self.info.metadata.update(files=[], skipped=broken, contents=_contents(videos), brightest=0)
        return {"frames": self._generate_examples(parts)}

    @staticmethod
    def _unreadable(video: Video) -> str:
        """Why a video's first frame cannot be read: names most broken ones before any is stored."""
        try:
            return "" if next(read_frames(video.path), None) is not None else "holds no frames"
        except BrokenVideoError as error:
            return str(error)

    def _generate_examples(
        self, parts: Mapping[str, Sequence[Video]]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        config, found = self.builder_config, self.info.metadata
        readable = [
            (part, video)
            for part, videos in parts.items()
            for video in videos
            if video.name not in found["skipped"]
        ]
        index = 0
        for done, (part, video) in enumerate(readable, start=1):
            start, size = index, (0, 0)
            try:
                for frame in read_frames(video.path, config.every, config.white):
                    stored = fit_frame(frame, config.height, config.width, config.channels)
                    found["brightest"] = max(found["brightest"], int(stored.max()))
                    size = frame.shape[:2]
                    yield index, {"frames": stored}
                    index += 1
            except BrokenVideoError as error:  # its frames so far stay in the file, unused
                found["skipped"][video.name] = str(error)
                problem = str(error)
            else:
                frames = index - start
                found["files"].append(
                    {
                        "name": video.name,
                        "part": part,
                        "start": start,
                        "frames": frames,
                        "size": size,
                        "rate": frame_rate(video.path) / config.every,
                    }
                )
                short = f"has {frames} frames, fewer than a clip of {config.length}"
                problem = short if frames < config.length else ""
            if problem and not self.skip_broken:
                raise ValueError(_refusal([f"{video.name} {problem}"]))
            self.report(done, len(readable))
        self._starts(parts)  # refuses a part without a clip


def _contents(videos: Sequence[Video]) -> dict[str, list[Any]]:
    return {video.name: [video.part, *video.contents()] for video in videos}


def _refusal(problems: Iterable[str]) -> str:
    return (
        f"skip_broken=False: these videos cannot be used: {name_some(problems)}. Mend or remove "
        "them; or set skip_broken, which leaves them out and names them beside all results."
    )
