from __future__ import annotations

import copy

import pytest
import torch
from conftest import randomise, tiny_config
from transformers import GPT2LMHeadModel

from gpt2cls_core.training.optimizer import MuonAdamW


def model() -> GPT2LMHeadModel:
    return randomise(GPT2LMHeadModel(tiny_config(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)))


def steps(net: GPT2LMHeadModel, optimizer: torch.optim.Optimizer, count: int, *, first: int = 0) -> None:
    for step in range(first, first + count):
        ids = torch.randint(0, 250, (3, 7), generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        net(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()


def test_matrices_of_the_blocks_go_to_muon_and_all_else_to_adamw() -> None:
    net = model()
    muon, adamw = MuonAdamW(net, lr=0.1).inner
    inside = {id(p) for group in muon.param_groups for p in group["params"]}
    assert inside == {id(p) for name, p in net.named_parameters() if ".h." in name and p.ndim == 2}
    assert len(inside) == 3 * 4  # per block: attention in and out, MLP in and out
    outside = {id(p) for group in adamw.param_groups for p in group["params"]}
    assert inside | outside == {id(p) for p in net.parameters()} and not inside & outside
    assert [group["weight_decay"] for group in adamw.param_groups] == [0.01, 0.0]


def test_muon_moves_a_matrix_as_far_as_adamw_would() -> None:
    net = model()
    matrix = net.transformer.h[0].mlp.c_proj.weight  # 40 to 10
    before = matrix.detach().clone()
    steps(net, MuonAdamW(net, lr=0.1, weight_decay=0.0), 1)
    moved = (matrix.detach() - before).pow(2).mean().sqrt().item()
    assert 0.15 < moved / 0.1 < 0.25  # root mean square; AdamW's is about 0.2


def test_frozen_weights_are_left_alone() -> None:
    net = model().requires_grad_(False)
    net.transformer.ln_f.weight.requires_grad_(True)
    optimizer = MuonAdamW(net, lr=0.1)
    assert [type(o).__name__ for o in optimizer.inner] == ["AdamW"]
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 1


def test_the_learning_rate_of_both_parts_follows_a_schedule() -> None:
    net = model()
    optimizer = MuonAdamW(net, lr=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.0 if step else 1.0)
    steps(net, optimizer, 1)
    schedule.step()
    assert [group["lr"] for part in optimizer.inner for group in part.param_groups] == [0.0] * 3
    before = copy.deepcopy(net.state_dict())
    steps(net, optimizer, 1, first=1)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_a_resumed_run_ends_where_an_unbroken_one_does() -> None:
    unbroken, broken = model(), model()
    optimizer = MuonAdamW(unbroken, lr=0.02)
    steps(unbroken, optimizer, 5)

    first = MuonAdamW(broken, lr=0.02)
    steps(broken, first, 3)
    saved = copy.deepcopy((broken.state_dict(), first.state_dict()))
    resumed = randomise(model(), seed=9)
    second = MuonAdamW(resumed, lr=0.7)  # whatever it was made with gives way to what was saved
    resumed.load_state_dict(saved[0])
    second.load_state_dict(saved[1])
    inside = [group for part in second.inner for group in part.param_groups]
    assert all(a is b for a, b in zip(inside, second.param_groups, strict=True))  # a schedule still reaches both
    steps(resumed, second, 2, first=3)
    for name, value in unbroken.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0, msg=name)
    forgetful = MuonAdamW(broken, lr=0.02)  # without its state the same steps lead elsewhere
    steps(broken, forgetful, 2, first=3)
    assert not torch.equal(broken.transformer.wte.weight, unbroken.transformer.wte.weight)


def test_a_closure_is_called_once_and_its_loss_returned() -> None:
    net = model()
    optimizer = MuonAdamW(net, lr=0.02)
    assert optimizer.step(lambda: 3.5) == pytest.approx(3.5)
