"""The reference attention against a loop over rows."""

import torch

from videoar.pretrain.model.attention.reference import masked_attention


def test_equals_softmax_over_the_seen_keys() -> None:
    """It defines correctness for every other backend."""
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 12, 2, 8)
    mask = torch.rand(12, 12) < 0.5
    mask[:, 0] = True
    out = masked_attention(mask)(0, q, k, v)
    for row in range(12):
        for head in range(2):
            seen = mask[row]
            weights = (k[seen, head] @ q[row, head] / 8**0.5).softmax(dim=0)
            torch.testing.assert_close(out[row, head], weights @ v[seen, head], rtol=1e-4, atol=1e-5)


def test_padding_is_zero_forward_and_backward() -> None:
    """A padding row with any content, even NaN, adds nothing and gets no gradient."""
    torch.manual_seed(0)
    mask = torch.zeros(10, 10, dtype=torch.bool)
    mask[:6, :6] = torch.ones(6, 6).tril().bool()
    parts = [torch.randn(10, 2, 8) for _ in range(3)]
    for part in parts:
        part[6:] = torch.nan
        part.requires_grad_()
    out = masked_attention(mask)(0, *parts)
    assert (out[6:] == 0).all()
    (out * torch.randn_like(out)).sum().backward()
    for part in parts:
        assert (part.grad[6:] == 0).all()
        assert part.grad.isfinite().all()
    clean = masked_attention(mask[:6, :6])(0, *(part[:6] for part in parts))
    torch.testing.assert_close(out[:6], clean)
