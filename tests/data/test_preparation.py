"""What to do about a set that is not there."""

import pathlib
import shlex

import pytest

from layernas.data.tfds_images import how_to_prepare


@pytest.fixture(name='steps')
def _steps(tmp_path):
  import tensorflow_datasets as tfds

  def steps(name, directory=tmp_path):
    return how_to_prepare(tfds.builder(name, data_dir=directory), name)

  return steps


def command(name, directory):
  return (
      "python -c 'import tensorflow_datasets as tfds;"
      f' tfds.builder("{name}", data_dir="{directory}",'
      ' file_format="tfrecord").download_and_prepare()\''
  )


def test_a_set_that_tfds_downloads(steps, tmp_path):
  assert steps('cifar10') == (
      'Its files to download are 0.17 GB. This command prepares it:'
      f' {command("cifar10", tmp_path)}'
  )


def test_imagenet(steps, tmp_path):
  assert steps('imagenet2012') == (
      'It takes about 155 GB, and as much again while it is made. Register at'
      ' https://image-net.org/download-images, put ILSVRC2012_img_train.tar'
      ' (148 GB) and ILSVRC2012_img_val.tar (6.7 GB) into'
      f' {tmp_path}/downloads/manual, and run:'
      f' {command("imagenet2012", tmp_path)}'
  )


def test_another_set_that_is_fetched_by_hand(steps, tmp_path):
  found = steps('resisc45')
  assert 'https://' in found
  assert found.endswith(
      f' The manual_dir is {tmp_path}/downloads/manual. Then run:'
      f' {command("resisc45", tmp_path)}'
  )


def test_the_command_is_one_for_the_shell(steps, tmp_path):
  directory = pathlib.Path(tmp_path, "my friend's data")
  [python, option, program] = shlex.split(
      steps('cifar10', directory).partition('prepares it: ')[2]
  )
  assert (python, option) == ('python', '-c')
  assert f'data_dir="{directory}"' in program
  compile(program, 'command', 'exec')
