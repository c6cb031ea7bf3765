"""What projectors and routers are trained to: contrast between modalities, and decoupling of the text router."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor

from omnibind_core.binding.forms import info_nce
from omnibind_core.errors import PresetError
from omnibind_core.types import Modality

__all__ = ["bare_noun", "cross_modal", "decoupling", "domain_shares", "domain_targets", "same_items"]

_TEMPLATE = re.compile(
    r"^(?:(?:a|the)\s+)?(?:(?:close-up |blurry |3d )?(?:photo(?:graph)?|picture|image|drawing|rendering|model|shape"
    r"|point cloud|sound|recording|noise)\s+of|you can hear|this is)\s+",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"^(?:an?|the|some)\s+", re.IGNORECASE)


def same_items(left: Mapping[Modality, Tensor], right: Mapping[Modality, Tensor]) -> Tensor:
    """Which tuples share an item: these are no foes of one another, whatever else they hold.

    Parameters
    ----------
    left, right : mapping of Modality to Tensor, shape (n,) and (m,), int64
        Rows in the modalities' pools; negative ones are missing and equal nothing.

    Returns
    -------
    Tensor, shape (n, m), bool
    """
    shared = [(left[m][:, None] == right[m][None, :]) & (left[m][:, None] >= 0) for m in left if m in right]
    return torch.stack(shared).any(0)


def cross_modal(
    vectors: Mapping[Modality, Tensor], scale: Tensor | float, items: Mapping[Modality, Tensor] | None = None
) -> Tensor:
    """Cross-modal overall alignment (arXiv 2407.11895, section 3.3): InfoNCE over all pairs of modalities.

    Parameters
    ----------
    vectors : mapping of Modality to Tensor, shape (n, D)
        Unit rows; row i of each belongs to tuple i.
    scale : Tensor or float
        See :class:`Temperature`.
    items : mapping of Modality to Tensor, shape (n,), int64, optional
        Which item of its pool each row is, -1 where the tuple lacks that modality. Two tuples with the same item in
        either modality of a pair are positives there. None: all different.

    Returns
    -------
    Tensor
        Scalar: the mean over the pairs of modalities (six for four of them).

    Raises
    ------
    PresetError
        Fewer than two modalities.
    """
    pairs = list(combinations(vectors, 2))
    if not pairs:
        raise PresetError(f"modalities {list(vectors)}", "at least two", "train on pools of two modalities or more")
    losses = []
    for left, right in pairs:
        a, b, positives = vectors[left], vectors[right], None
        if items is not None:
            both = (items[left] >= 0) & (items[right] >= 0)
            a, b = a[both], b[both]
            rows = {m: items[m][both] for m in (left, right)}
            positives = same_items(rows, rows)
        losses.append(info_nce(a, b, scale, positives))
    return torch.stack(losses).mean()


def domain_shares(
    members: Sequence[str], domains: Mapping[Modality, Sequence[str]], order: Sequence[Modality]
) -> Tensor:
    """Share of each member's weight that goes to each domain.

    Parameters
    ----------
    members : sequence of str
        Columns of the text router.
    domains : mapping of Modality to sequence of str
        Members whose text encoders speak the language of that modality's captions. One member may be in several
        (an all-round space) and is then split evenly.
    order : sequence of Modality
        The columns.

    Returns
    -------
    Tensor, shape (members, domains), float32
        Rows sum to 1.

    Raises
    ------
    PresetError
        A member without a domain, or a domain without a member.
    """
    belongs = torch.tensor([[float(name in domains[domain]) for domain in order] for name in members])
    lacking = [name for name, row in zip(members, belongs, strict=True) if not row.any()]
    lacking += [domain for domain, column in zip(order, belongs.T, strict=True) if not column.any()]
    if lacking:
        raise PresetError(f"no domain or member for {lacking}", "one at least for each", "correct the domains")
    return belongs / belongs.sum(1, keepdim=True)


def decoupling(weights: Tensor, shares: Tensor, targets: Tensor) -> Tensor:
    """Language representation decoupling: OUR OWN formula; the published text (arXiv 2407.11895, 3.3) gives none.

    A caption shall be given to the text encoders of the domain it comes from. With w_k the text router's weights,
    M_kd the share of member k that belongs to domain d (rows sum to 1) and y the caption's multi-hot domains::

        p_d = sum_k w_k M_kd                     how much of the weight the domain gets; sums to 1 over d
        L   = KL(y / |y| || p) = sum_d (y_d / |y|) * (log(y_d / |y|) - log p_d)

    - A caption of one domain has y one-hot, and L = -log p_d: all weight to that domain's members.
    - A bare noun ("dog") is said in several domains; its y is multi-hot and L asks for an even split between them,
      neither for one of them nor for the rest. Without this the router learns sentence templates.
    - Within a domain nothing is asked: which of its members serves best is left to the cross-modal loss.

    Parameters
    ----------
    weights : Tensor, shape (n, members), float
        Rows sum to 1.
    shares : Tensor, shape (members, domains), float
        From :func:`domain_shares`.
    targets : Tensor, shape (n, domains), bool
        From :func:`domain_targets`; rows without any are left out.

    Returns
    -------
    Tensor
        Scalar of at least 0, in nats; 0 where no row has a domain.
    """
    number = targets.sum(1, keepdim=True)
    wanted = targets / number.clamp(min=1)
    got = weights.float() @ shares
    distance = torch.special.xlogy(wanted, wanted) - torch.special.xlogy(wanted, got.clamp(min=1e-12))
    loss: Tensor = distance.sum() / (number > 0).sum().clamp(min=1)
    return loss


def domain_targets(sentences: Mapping[Modality, Sequence[str]], order: Sequence[Modality]) -> dict[str, Tensor]:
    """Which domains each sentence belongs to.

    A sentence belongs to the domains whose captions hold it, and a bare noun (what :func:`bare_noun` leaves of a
    caption, where the caption was nothing more) to all domains in which something is called so, with or without a
    template: "a photo of a dog" makes "dog" a thing of pictures, "the sound of a dog" one of sounds.

    Parameters
    ----------
    sentences : mapping of Modality to sequence of str
        Captions by the domain they come from.
    order : sequence of Modality
        The columns.

    Returns
    -------
    dict of str to Tensor, shape (domains,), bool
        By sentence, each once, and one for each of their bare nouns.
    """
    called: dict[str, set[Modality]] = {}
    for domain, captions in sentences.items():
        for caption in captions:
            called.setdefault(caption, set()).add(domain)
            called.setdefault(bare_noun(caption), set()).add(domain)
    for sentence, found in called.items():
        if bare_noun(sentence) == sentence:
            continue
        if not _TEMPLATE.match(sentence):  # "a dog", "Dog": no more than the noun itself
            found |= called[bare_noun(sentence)]
    return {sentence: torch.tensor([domain in found for domain in order]) for sentence, found in called.items()}


def bare_noun(sentence: str) -> str:
    """Leave out a caption's template and article: "a photo of a Dog." -> "dog"; other sentences only lose these.

    Examples
    --------
    >>> bare_noun("The sound of rain"), bare_noun("a dog runs.")
    ('rain', 'dog runs')
    """
    plain = _TEMPLATE.sub("", sentence.strip().rstrip(".!"))
    return _ARTICLE.sub("", plain).lower()
