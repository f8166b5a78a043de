from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hail_batch_jupyter.batch.tokens import FILE, JOB, Token, split_tokens, token_text

words = st.text().filter(lambda text: "__" not in text and not text.endswith("_") and not text.startswith("_"))
numbers = st.integers(0, 10**9)
tokens = st.builds(Token, st.sampled_from([FILE, JOB]), numbers, numbers)


@given(st.lists(st.tuples(words, tokens)), words)
def test_tokens_are_found_among_any_text(pairs: list[tuple[str, Token]], last: str) -> None:
    text = "".join(word + token_text(*token) for word, token in pairs) + last

    assert [piece for pair in pairs for piece in pair if piece] + ([last] if last else []) == split_tokens(text)


def test_text_that_only_resembles_a_token_stays() -> None:
    text = "__RESOURCE_FILE__ __JOB__1 __main__ __RESOURCE_FILE__1_2_"

    assert [text] == split_tokens(text)
