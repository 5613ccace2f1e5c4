"""Settings of decoding say when a failure may be another one."""

from tagger.photos.settings import DEFAULT_DECODING, DecodeSettings


def test_limits_differ_by_what_can_be_read() -> None:
    """Another number of pixels is another limit; that cut files are allowed is told apart."""
    assert DecodeSettings(max_pixels=1).limits != DecodeSettings(max_pixels=2).limits != DEFAULT_DECODING.limits
    assert DecodeSettings(allow_truncated=True).limits == DEFAULT_DECODING.limits
