"""TFDS builder of Moving Fashion-MNIST: Moving MNIST's, with other images and test clips."""

import dataclasses
from typing import ClassVar

import tensorflow_datasets as tfds

from pdr_datasets.moving_mnist import moving_mnist_dataset_builder as moving_mnist
from pdr_datasets.moving_mnist.digits import Files


@dataclasses.dataclass(eq=False, kw_only=True)
class Config(moving_mnist.Config):
    """One variant, named by its options, which are those of Moving MNIST."""

    DATA: ClassVar = "moving_fmnist"


class Builder(moving_mnist.Builder):
    """See Moving MNIST's builder, and README.md."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  (as TFDS declares it)
    BUILDER_CONFIGS = [Config()]  # noqa: RUF012
    FILES = Files(
        images="Fashion-MNIST's training images, https://github.com/zalandoresearch/fashion-mnist",
        test="fmnist_test_seq.npy",
        test_source="https://github.com/chengtan9907/OpenSTL (release v0.1.0)",
        md5={"train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d"},
    )
    MANUAL_DOWNLOAD_INSTRUCTIONS = FILES.expected
