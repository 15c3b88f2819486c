"""The prompt tokenizer: WordPiece over a list of words, of the captions' grammar if not told otherwise, lower-cased; unknown words become [UNK].

Prompts are always padded to LENGTH and the text encoder sees the padding, as diffusers' StableDiffusionPipeline does it.
"""

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from .captions import vocabulary

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
LENGTH = 32


def build(vocabulary: list[str] = vocabulary(), length: int = LENGTH) -> PreTrainedTokenizerFast:
    words = {word: number for number, word in enumerate([*SPECIAL, *vocabulary])}
    core = Tokenizer(models.WordPiece(words, unk_token="[UNK]", continuing_subword_prefix="##", max_input_chars_per_word=100))
    core.normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.decoder = decoders.WordPiece(prefix="##")
    core.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", words["[CLS]"]), ("[SEP]", words["[SEP]"])],
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=length, padding_side="right", pad_token="[PAD]",
                                   unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]")


def encode(tokenizer: PreTrainedTokenizerFast, prompts: list[str]):
    """Token numbers, int64 [B, length of the tokenizer]."""
    return tokenizer(prompts, padding="max_length", truncation=True, return_tensors="pt").input_ids
