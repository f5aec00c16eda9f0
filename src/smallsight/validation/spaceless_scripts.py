"""Which characters belong to scripts that write words without spaces between them."""

__all__ = ["SPACELESS"]

# Inside brackets of a regular expression: Thai, Lao, Tibetan, Burmese and Khmer; ideographs and kana with
# their punctuation, compatibility and full-width forms. Korean has spaces.
SPACELESS = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u31a0-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff00-\uff9f\U00020000-\U0003ffff"
)
