import pytest
import torch
from transformers import TrainingArguments

from distill.devices import NotAlone, agreed, all_are_here, check_alone, is_first, one_device, own, summed


def test_a_batch_is_as_large_as_asked_whatever_is_visible(tmp_path):
    arguments = TrainingArguments(str(tmp_path), per_device_train_batch_size=8)
    arguments._n_gpu = 4
    assert arguments.train_batch_size == 32
    assert one_device(arguments).train_batch_size == 8
    arguments._n_gpu = 0
    assert one_device(arguments).n_gpu == 0


@pytest.mark.parametrize(("name", "value"), [("WORLD_SIZE", "2"), ("ACCELERATE_USE_FSDP", "true")])
def test_one_of_several_processes_is_told_to_start_alone(monkeypatch, name, value):
    check_alone()
    monkeypatch.setenv(name, value)
    with pytest.raises(NotAlone, match="without torchrun or accelerate launch"):
        check_alone()


def test_a_launcher_of_one_process_is_fine(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "false")
    check_alone()


def test_alone_this_process_is_the_first_and_does_all_of_it():
    assert is_first() and agreed(True) and not agreed(False)
    assert own([1, 2, 3]) == [1, 2, 3]
    assert summed([1.5, 2.0], device=torch.device("cpu")) == [1.5, 2.0]
    all_are_here()
