"""Every trap against arithmetic on paper, the identities that the causal mask gives, and Hugging Face's own classes."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable

import pytest
import torch
from conftest import END_OF_TEXT, TEXT, save_tiny
from loops import hooks
from torch import Tensor, nn

from gpt2cls_core import (
    Classifier,
    OptionError,
    TextError,
    Trace,
    Trap,
    batch_pooling,
    class_lens,
    context_overrun,
    embeddings_as_input,
    final_punctuation,
    left_padding,
    load_classifier,
    predict,
    right_padding,
    trace,
    typed_pad,
)
from gpt2cls_core.feeding import counted, feed, pad_id
from gpt2cls_core.input_traps import FINAL
from gpt2cls_core.soft_prompt import PromptedEmbedding
from gpt2cls_core.trap_result import PAD
from gpt2cls_core.traps import NEUTRAL

# Two routes through the same float32 model differ in the order of summing: 1e-5 on logits of size 1 to 10.
ROUNDING = {"atol": 1e-5, "rtol": 1e-5}
MISSING = ("positions", "mask", "both")
MAKERS: dict[str, Callable[..., Trap]] = {
    "right": right_padding,
    **{f"left without {m}": lambda *a, m=m, **o: left_padding(*a, missing=m, **o) for m in MISSING},
    "batch": batch_pooling,
    "typed": typed_pad,
    "embeddings": embeddings_as_input,
    "punctuation": final_punctuation,
    "end cut": context_overrun,
    "start cut": lambda *a, **o: context_overrun(*a, keep="tail", **o),
}
PADDED = ["right", *(f"left without {m}" for m in MISSING), "batch", "embeddings"]
EVERY_TRAP = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
ALL_PADDED = pytest.mark.parametrize("make", [MAKERS[name] for name in PADDED], ids=PADDED)


def altered(clf: Classifier, **config: object) -> Classifier:
    """A copy whose weights and configuration a test may change."""
    model = copy.deepcopy(clf.model)
    for name, value in config.items():
        setattr(model.config, name, value)
    return dataclasses.replace(clf, model=model)


@pytest.fixture(scope="module")
def sign_reader(clf2: Classifier) -> Classifier:
    """No attention and no MLP; every token's vector is v = (1, −1, 1, −1, …), a pad's is −v, and from position 4 on all are turned
    around. The head reads v/10 for class 1, so the margin is +1 at v and −1 at −v."""
    plain = altered(clf2)
    v = torch.tensor([1.0, -1.0] * 5)
    with torch.no_grad():
        for block in plain.body.h:
            for layer in (block.attn.c_proj, block.mlp.c_proj):
                layer.weight.zero_()
                layer.bias.zero_()
        plain.body.wte.weight.copy_(v.expand_as(plain.body.wte.weight))
        plain.body.wte.weight[0] = -v
        plain.body.wpe.weight.zero_()
        plain.body.ln_f.weight.fill_(1)
        plain.body.ln_f.bias.zero_()
        plain.model.score.weight.zero_()
        plain.model.score.weight[1] = v / 10
    return plain


@pytest.fixture(scope="module")
def soft(clf2: Classifier) -> Classifier:
    """With a soft prompt of two virtual tokens."""
    prompted = altered(clf2)
    prompt = nn.Parameter(torch.randn(2, 10, generator=torch.Generator().manual_seed(5)), requires_grad=False)
    prompted.body.wte = PromptedEmbedding(prompted.body.wte, prompt)
    return prompted


# --- worked out by hand ---


def test_a_pad_behind_the_text_is_read_as_what_it_is(sign_reader: Classifier) -> None:
    trap = right_padding(sign_reader, trace(sign_reader, "good film"), n_pad=2)
    assert trap.tokens == ("good", " film", PAD, PAD)
    assert trap.kinds == ("text", "text", "pad", "pad")
    assert (trap.read, trap.should_read) == (3, 1)
    # 1e-4: LayerNorm adds 1e-5 to a variance of 1
    assert [trap.margin_right, trap.margin_wrong, trap.margin_remedied] == pytest.approx([1, -1, 1], abs=1e-4)
    assert trap.change == pytest.approx(-2, abs=1e-4)
    torch.testing.assert_close(trap.margins, torch.tensor([[1.0, 1, -1, -1]]).expand(4, 4), atol=1e-4, rtol=0)
    assert (trap.label_right, trap.label_wrong, trap.flips) == ("positive", "negative", True)


def test_without_position_ids_the_text_stands_where_the_pads_moved_it(sign_reader: Classifier) -> None:
    moved = altered(sign_reader)
    with torch.no_grad():
        moved.body.wpe.weight[4:] = -2 * torch.tensor([1.0, -1.0] * 5)  # v becomes −v from position 4 on
    trap = left_padding(moved, trace(moved, "good film"), n_pad=3)
    assert trap.tokens == (PAD, PAD, PAD, "good", " film")
    assert (trap.read, trap.should_read) == (4, 4)
    assert [trap.margin_right, trap.margin_wrong, trap.margin_remedied] == pytest.approx([1, -1, 1], abs=1e-4)
    unmasked = left_padding(moved, trace(moved, "good film"), n_pad=3, missing="mask")
    assert unmasked.margin_wrong == pytest.approx(1, abs=1e-4)  # no attention here, so pads can't be read


def test_a_typed_pad_is_passed_over_by_the_models_own_forward(sign_reader: Classifier) -> None:
    trap = typed_pad(sign_reader, trace(sign_reader, "good film"))
    assert trap.tokens == ("good", " film", END_OF_TEXT)
    assert (trap.read, trap.should_read) == (1, 2)
    assert [trap.margin_right, trap.margin_wrong, trap.margin_remedied] == pytest.approx([-1, 1, -1], abs=1e-4)


def test_what_is_cut_is_counted(clf2: Classifier) -> None:
    head = context_overrun(clf2, trace(clf2, TEXT), n_cut=3)  # 12 positions, 7 tokens: 8 of filler, 4 left of the text
    assert head.tokens[:8] == tuple((NEUTRAL + "\n")[-8:])
    assert head.tokens[8:] == ("good", " film", ",", " but")
    assert head.kinds == ("filler",) * 8 + ("text",) * 4
    assert (head.read, head.should_read) == (11, None)
    assert head.fed == "12 of 15 tokens: 8 neutral ones, then the text’s 7 without the last 3"
    tail = context_overrun(clf2, trace(clf2, TEXT), keep="tail", n_cut=3)
    assert tail.tokens == (" but", " not", " for", " me", *NEUTRAL[-8:])
    assert (tail.read, tail.should_read) == (11, 11)


@pytest.mark.parametrize(
    ("text", "fed", "name"),
    [
        ("good film.", ("good", " film"), "final punctuation dropped"),
        ("good film?!  ", ("good", " film"), "final punctuation dropped"),
        ("good 好。", ("good", " ", "好", "⋯", "⋯"), "final punctuation dropped"),
        ("good film", ("good", " film", "."), "full stop added"),
        ("good film ", ("good", " film", "."), "full stop added"),
        ("...", (".", ".", ".", "."), "full stop added"),
    ],
)
def test_final_punctuation_is_dropped_or_added(clf2: Classifier, text: str, fed: tuple, name: str) -> None:
    trap = final_punctuation(clf2, trace(clf2, text))
    assert (trap.tokens, trap.name) == (fed, name)
    assert trap.read == len(fed) - 1


def test_counts_are_written_as_people_write_them() -> None:
    assert [counted(n, "pad") for n in (0, 1, 2)] == ["0 pads", "1 pad", "2 pads"]


# --- identities ---


@EVERY_TRAP
def test_the_remedy_gives_the_honest_reading(clf: Classifier, clf2: Classifier, make: Callable[..., Trap]) -> None:
    for model in (clf, clf2):
        trap = make(model, trace(model, TEXT))
        torch.testing.assert_close(trap.logits_remedied, trap.logits_right, **ROUNDING)
        assert trap.margin_remedied == pytest.approx(trap.margin_right, abs=2e-5)  # a difference of two such logits


@EVERY_TRAP
def test_the_mistake_is_real(clf: Classifier, make: Callable[..., Trap]) -> None:
    trap = make(clf, trace(clf, TEXT))
    assert (trap.logits_wrong - trap.logits_right).abs().max() > 0.1


@EVERY_TRAP
def test_the_cell_that_is_read_holds_the_wrong_margin(clf: Classifier, make: Callable[..., Trap]) -> None:
    trap = make(clf, trace(clf, TEXT))
    assert float(trap.margins[-1, trap.read]) == pytest.approx(trap.margin_wrong, abs=2e-5)  # float32, as above
    assert trap.margins.shape == (clf.n_layer + 1, len(trap.tokens))
    assert len(trap.kinds) == len(trap.tokens)


@ALL_PADDED
def test_padding_leaves_the_honest_reading_what_it_is_alone(clf: Classifier, make: Callable[..., Trap]) -> None:
    trap = make(clf, trace(clf, TEXT))
    assert torch.equal(trap.logits_right, trace(clf, TEXT).logits)
    assert [token == PAD for token in trap.tokens] == [kind == "pad" for kind in trap.kinds]
    assert (
        tuple(t for t, kind in zip(trap.tokens, trap.kinds, strict=True) if kind == "text") == trace(clf, TEXT).tokens
    )


@pytest.mark.parametrize("make", [right_padding, batch_pooling, typed_pad, embeddings_as_input])
def test_what_stands_behind_the_text_changes_none_of_its_cells(clf: Classifier, tr: Trace, make: Callable) -> None:
    trap = make(clf, tr)
    torch.testing.assert_close(trap.margins[:, :7], class_lens(clf, tr).margins, **ROUNDING)


def test_where_it_is_in_the_run_the_cell_that_should_be_read_holds_the_right_margin(clf: Classifier, tr: Trace) -> None:
    for make in (right_padding, batch_pooling, typed_pad, embeddings_as_input, final_punctuation):
        trap = make(clf, tr)
        assert float(trap.margins[-1, trap.should_read]) == pytest.approx(trap.margin_right, abs=2e-5)  # float32


def test_three_ways_to_read_a_pad_read_the_same_one(clf: Classifier, tr: Trace) -> None:
    batch = batch_pooling(clf, tr, "x" * 11)
    for trap in (right_padding(clf, tr, n_pad=4), embeddings_as_input(clf, tr, n_pad=4)):
        torch.testing.assert_close(trap.logits_wrong, batch.logits_wrong, **ROUNDING)


def test_a_mistaken_verdict_depends_on_the_number_of_pads_and_the_remedied_one_does_not(
    clf: Classifier, tr: Trace
) -> None:
    traps = [right_padding(clf, tr, n_pad=n) for n in (1, 2, 5)]
    assert len({round(trap.margin_wrong, 3) for trap in traps}) == 3
    for trap in traps:
        torch.testing.assert_close(trap.logits_remedied, tr.logits, **ROUNDING)


def test_a_typed_pad_gives_the_verdict_without_it(clf: Classifier, tr: Trace) -> None:
    torch.testing.assert_close(typed_pad(clf, tr).logits_wrong, tr.logits, **ROUNDING)


def test_without_its_full_stop_a_text_gets_the_running_verdict_one_token_earlier(clf: Classifier) -> None:
    stopped = trace(clf, "good film.")
    trap = final_punctuation(clf, stopped)
    running = class_lens(clf, stopped)
    assert trap.margin_wrong == pytest.approx(float(running.margins[-1, -2]), abs=2e-5)  # float32
    assert trap.should_read is None


def test_a_text_without_a_character_too_many_can_be_cut_to_nothing(clf: Classifier, tr: Trace) -> None:
    for keep in ("head", "tail"):
        trap = context_overrun(clf, tr, keep=keep, n_cut=7)
        assert trap.kinds == ("filler",) * 12


def test_cutting_the_start_keeps_the_same_last_tokens_as_cutting_the_middle(clf: Classifier, tr: Trace) -> None:
    trap = context_overrun(clf, tr, keep="tail", n_cut=2)
    whole = torch.cat([tr.input_ids, clf.encode(NEUTRAL[-5:]).input_ids])  # 7 tokens and 5 of filler make 12
    torch.testing.assert_close(trap.logits_right, feed(clf, whole).logits[-1], **ROUNDING)


@EVERY_TRAP
def test_target_turns_the_margins(clf2: Classifier, make: Callable[..., Trap]) -> None:
    read = trace(clf2, TEXT)
    one, zero = make(clf2, read, target="positive"), make(clf2, read, target=0)
    assert (one.target, one.other, zero.target, zero.other) == (1, 0, 0, 1)
    assert [zero.margin_right, zero.margin_wrong] == pytest.approx([-one.margin_right, -one.margin_wrong])
    assert torch.equal(zero.margins, -one.margins)
    assert zero.flips == one.flips


@EVERY_TRAP
def test_nothing_stays_behind_in_the_model(clf2: Classifier, make: Callable[..., Trap]) -> None:
    before = {name: str(value) for name, value in vars(clf2.model.config).items()}
    hooked = hooks(clf2)
    make(clf2, trace(clf2, TEXT))
    assert {name: str(value) for name, value in vars(clf2.model.config).items()} == before
    assert hooks(clf2) == hooked


def test_hooks_are_gone_after_an_error(clf2: Classifier) -> None:
    before = hooks(clf2)
    with pytest.raises(IndexError):
        feed(clf2, torch.ones(13, dtype=torch.int64))  # there are 12 positions
    assert hooks(clf2) == before


# --- other models ---


@EVERY_TRAP
def test_a_model_without_a_pad_pads_with_the_end_of_text(clf2: Classifier, make: Callable[..., Trap]) -> None:
    without = altered(clf2, pad_token_id=None)
    tokenizer = copy.deepcopy(clf2.tokenizer)
    tokenizer.pad_token = None
    without = dataclasses.replace(without, tokenizer=tokenizer)
    trap, known = make(without, trace(without, TEXT)), make(clf2, trace(clf2, TEXT))
    torch.testing.assert_close(trap.logits_wrong, known.logits_wrong, **ROUNDING)
    torch.testing.assert_close(trap.logits_remedied, trap.logits_right, **ROUNDING)
    assert without.model.config.pad_token_id is None


def test_a_pad_of_its_own_is_what_is_typed_then(clf2: Classifier) -> None:
    other = altered(clf2, pad_token_id=clf2.tokenizer.convert_tokens_to_ids("!"))
    trap = typed_pad(other, trace(other, "good film"))
    assert trap.tokens[-1] == "!"
    assert (trap.read, trap.should_read) == (1, 2)
    nothing_else = typed_pad(other, trace(other, "!"))  # all ids are the pad's: the model takes the first
    assert (nothing_else.read, nothing_else.should_read) == (0, 1)
    assert nothing_else.margin_wrong == pytest.approx(float(nothing_else.margins[-1, 0]), abs=2e-5)  # float32


@EVERY_TRAP
def test_a_soft_prompt_stays_in_front(soft: Classifier, make: Callable[..., Trap]) -> None:
    read = trace(soft, "good film, but")
    trap = make(soft, read)
    torch.testing.assert_close(trap.logits_remedied, trap.logits_right, **ROUNDING)
    text = [token for token, kind in zip(trap.tokens, trap.kinds, strict=True) if kind == "text"]
    assert text[:2] == ["⟦1⟧", "⟦2⟧"]
    assert len(trap.tokens) <= soft.context
    assert trap.read == len(trap.tokens) - 1 or trap.tokens[-1] == END_OF_TEXT


def test_a_text_of_one_token_falls_into_every_trap(clf: Classifier) -> None:
    one = trace(clf, "good")
    for name, make in MAKERS.items():
        options = {"n_cut": 1} if "cut" in name else {}
        trap = make(clf, one, **options)
        torch.testing.assert_close(trap.logits_remedied, trap.logits_right, **ROUNDING)


# --- parity with what people write ---


def as_written(clf: Classifier, code: str, ids: Tensor, mask: Tensor | None = None, **more: object) -> Tensor:
    """What a line of code gives for the first text of a batch, run as it stands over Hugging Face's own objects."""
    hidden = None if mask is None else clf.model.transformer(ids, attention_mask=mask).last_hidden_state
    names = {"model": clf.model, "torch": torch, "ids": ids, "mask": mask, "hidden": hidden, **more}
    with torch.no_grad():
        return eval(code, names)[0]


def fed_ids(clf: Classifier, trap: Trap, own: Tensor) -> tuple[Tensor, Tensor]:
    """The padded ids and the mask [1 pos] as the trap's kinds tell them."""
    mask = torch.tensor([[int(kind == "text") for kind in trap.kinds]])
    ids = torch.full_like(mask, pad_id(clf))
    ids[mask.bool()] = own
    return ids, mask


@ALL_PADDED
def test_mistake_and_remedy_give_these_logits_as_they_are_written(clf: Classifier, make: Callable[..., Trap]) -> None:
    read = trace(clf, TEXT)
    trap = make(clf, read)
    ids, mask = fed_ids(clf, trap, read.input_ids)
    more = {"positions": (mask.cumsum(1) - 1).clamp(min=0), "embeddings": clf.body.wte(ids)}
    torch.testing.assert_close(as_written(clf, trap.mistake, ids, mask, **more), trap.logits_wrong, **ROUNDING)
    torch.testing.assert_close(as_written(clf, trap.remedy, ids, mask, **more), trap.logits_remedied, **ROUNDING)


def test_the_typed_pads_lines_give_these_logits_as_they_are_written(clf: Classifier, tr: Trace) -> None:
    trap = typed_pad(clf, tr)
    ids = torch.cat([tr.input_ids, torch.tensor([0])])[None]
    assert clf.tokenizer(TEXT + END_OF_TEXT).input_ids == ids[0].tolist(), "so a person gets there by typing"
    mask = torch.ones_like(ids)
    torch.testing.assert_close(as_written(clf, trap.mistake, ids, mask), trap.logits_wrong, **ROUNDING)
    remedied = as_written(clf, trap.remedy, ids, mask, last_token_index=torch.tensor([7]))
    torch.testing.assert_close(remedied, trap.logits_remedied, **ROUNDING)


@pytest.mark.parametrize("keep", ["head", "tail"])
def test_the_cuts_lines_give_these_logits_as_they_are_written(clf: Classifier, tr: Trace, keep: str) -> None:
    trap = context_overrun(clf, tr, keep=keep, n_cut=3)
    filler = "".join((NEUTRAL + "\n")[-8:]) if keep == "head" else NEUTRAL[-8:]
    long = filler + TEXT if keep == "head" else TEXT + filler
    ids = torch.tensor([clf.tokenizer(long, verbose=False).input_ids])
    assert ids.shape[1] == 15
    for code, logits in ((trap.mistake, trap.logits_wrong), (trap.remedy, trap.logits_right)):
        torch.testing.assert_close(as_written(clf, code, ids), logits, **ROUNDING)


@pytest.mark.parametrize("text", [TEXT, "good film?!", "good film. "])
def test_the_punctuations_lines_give_these_logits_as_they_are_written(clf: Classifier, text: str) -> None:
    trap = final_punctuation(clf, trace(clf, text))
    for code, logits in ((trap.mistake, trap.logits_wrong), (trap.remedy, trap.logits_right)):
        written = eval(code, {"predict": predict, "clf": clf, "text": text})
        torch.testing.assert_close(written.logits, logits, **ROUNDING)


def test_a_run_keeps_what_transformers_itself_returns(clf: Classifier) -> None:
    ids = torch.tensor([[5, 6, 7, 0], [8, 9, 10, 11]])
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    run = feed(clf, ids, mask=mask)
    with torch.no_grad():
        output = clf.model(ids, attention_mask=mask, output_hidden_states=True)
    torch.testing.assert_close(run.pooled, output.logits[0], **ROUNDING)
    torch.testing.assert_close(run.pooled, run.logits[2], **ROUNDING)
    torch.testing.assert_close(run.resid[:-1], torch.stack(output.hidden_states[:-1])[:, 0], **ROUNDING)


# --- failure ---


@ALL_PADDED
def test_without_room_for_a_pad_the_message_says_how_much_there_is(clf: Classifier, make: Callable[..., Trap]) -> None:
    full = trace(clf, "x" * 12)
    with pytest.raises(
        OptionError, match=r"There is no room for \d more: the text has 12 tokens and .* reads 12 at once"
    ):
        make(clf, full)


def test_too_many_pads_are_refused_with_the_number_that_fits(clf: Classifier, tr: Trace) -> None:
    for make in (right_padding, left_padding, embeddings_as_input):
        assert make(clf, tr, n_pad=5).kinds.count("pad") == 5
        with pytest.raises(
            OptionError, match=r"no room for 6 more: the text has 7 tokens .* Take at most 5, or a shorter"
        ):
            make(clf, tr, n_pad=6)


def test_a_full_context_has_no_room_for_a_typed_pad(clf: Classifier) -> None:
    with pytest.raises(OptionError, match=r"no room for 1 more.* Take a shorter text"):
        typed_pad(clf, trace(clf, "x" * 12))


@pytest.mark.parametrize("n_pad", [0, -1, 1.5, "4", None])
def test_a_number_of_pads_is_a_whole_one_from_1_up(clf: Classifier, tr: Trace, n_pad: object) -> None:
    for make in (right_padding, left_padding, embeddings_as_input):
        with pytest.raises(OptionError, match=f"n_pad must be a whole number from 1 up, not {n_pad!r}"):
            make(clf, tr, n_pad=n_pad)


@pytest.mark.parametrize("n_cut", [0, 2.0])
def test_a_number_of_tokens_to_cut_is_a_whole_one_from_1_up(clf: Classifier, tr: Trace, n_cut: object) -> None:
    with pytest.raises(OptionError, match=f"n_cut must be a whole number from 1 up, not {n_cut!r}"):
        context_overrun(clf, tr, n_cut=n_cut)


def test_no_more_can_be_cut_than_there_is(clf: Classifier) -> None:
    with pytest.raises(OptionError, match=r"n_cut can't be 2: the text has 1 token\."):
        context_overrun(clf, trace(clf, "good"), n_cut=2)


def test_a_text_that_is_itself_too_long_has_no_reading_to_compare_with(clf: Classifier) -> None:
    with pytest.raises(OptionError, match=r"The text alone is longer than the 12 tokens that .* reads at once"):
        context_overrun(clf, trace(clf, "x" * 13))
    assert final_punctuation(clf, trace(clf, "x" * 13)).read == 11, "but it can get a full stop"


def test_unknown_choices_are_refused_with_those_there_are(clf: Classifier, tr: Trace) -> None:
    with pytest.raises(OptionError, match='missing must be "positions", "mask" or "both", not \'all\''):
        left_padding(clf, tr, missing="all")
    with pytest.raises(OptionError, match='keep must be "head" or "tail", not \'middle\''):
        context_overrun(clf, tr, keep="middle")


def test_the_other_text_of_a_batch_must_be_the_longer_one(clf: Classifier, tr: Trace) -> None:
    with pytest.raises(OptionError, match="take one of more than 7 tokens beside this one"):
        batch_pooling(clf, tr, "short")
    with pytest.raises(TextError, match="no text to read"):
        batch_pooling(clf, tr, " ")


def test_the_batch_finds_a_longer_text_for_any(tmp_path) -> None:
    wide = load_classifier(save_tiny(tmp_path / "wide", 2, context=400))
    once, twice = (len(wide.encode(" ".join([NEUTRAL] * times))) for times in (1, 2))
    for n, longer in ((1, once), (once - 1, once), (once, twice)):
        trap = batch_pooling(wide, trace(wide, "x" * n))
        n_pad = longer - n
        assert trap.kinds == ("text",) * n + ("pad",) * n_pad
        assert (
            trap.fed
            == f"the text’s {counted(n, 'token')} and {counted(n_pad, 'pad')}, beside a text of {longer} tokens"
        )


@EVERY_TRAP
def test_a_class_that_does_not_exist_is_refused(clf: Classifier, tr: Trace, make: Callable[..., Trap]) -> None:
    with pytest.raises(OptionError, match="There is no class 5; the classes are 0 to 4"):
        make(clf, tr, target=5)


def test_without_any_pad_token_nothing_can_be_padded(clf2: Classifier) -> None:
    tokenizer = copy.deepcopy(clf2.tokenizer)
    tokenizer.pad_token = tokenizer.eos_token = None
    bare = dataclasses.replace(altered(clf2, pad_token_id=None, eos_token_id=50256), tokenizer=tokenizer)
    with pytest.raises(
        OptionError, match=r"has neither a pad token nor an end-of-text token.* set model\.config\.pad_token_id"
    ):
        right_padding(bare, trace(bare, TEXT))


def test_what_counts_as_final_is_no_letter() -> None:
    assert not any(character.isalnum() or character.isspace() for character in FINAL)
