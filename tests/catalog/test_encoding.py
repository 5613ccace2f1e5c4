"""The encoding of a table is found, and every byte of it becomes text."""

from pathlib import Path

import pytest
from catalog_helpers import write

from tagger.catalog.encoding import find_encoding, open_text, wide_encoding

WORDS = {
    "cp1252": "Größe Kleid für Mädchen grün Wäsche schöne Hemden weiß Röcke Mäntel",
    "cp1250": "Sukienka żółta krótki rękaw długość spódnica łańcuszek świąteczna dziecięca zdjęcie",
    "cp1251": "Платье летнее красное Рубашка мужская Брюки Сумка кожаная размер",
    "cp932": "ワンピース 青い シャツ メンズ パンツ バッグ 写真 商品 綿 長袖 半袖",
    "gb18030": "连衣裙 蓝色 衬衫 男士 裤子 手提包 图片 商品 棉 长袖 短袖",
    "cp949": "원피스 파란색 셔츠 남성 바지 가방 사진 상품 면 긴팔",
    "cp1253": "Φόρεμα μπλε πουκάμισο άνδρες παντελόνι τσάντα",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_unicode_is_never_guessed(tmp_path: Path, encoding: str) -> None:
    """With a mark or without, the text comes back and there is no note."""
    text = "sku;image\r\n1;größe.jpg\r\n2;茶.jpg\r\n" * 3
    file = write(tmp_path / "t.csv", text.encode(encoding))
    found = find_encoding(file)
    assert (found.note, found.others) == ("", ())
    with open_text(file, found) as opened:
        assert opened.read().removeprefix("\ufeff") == text


@pytest.mark.parametrize("encoding", WORDS)
def test_older_encodings_are_guessed_by_their_words(tmp_path: Path, encoding: str) -> None:
    """A table of some ten words of a language is read right, with a note and the other encodings that it may have."""
    text = "sku;name\n" + "".join(f"{number};{word}\n" for number, word in enumerate(WORDS[encoding].split()))
    file = write(tmp_path / "t.csv", text.encode(encoding))
    found = find_encoding(file)
    assert found.note.startswith("is not UTF-8; it is read as ")
    assert found.others
    with open_text(file, found) as opened:
        assert opened.read() == text


def test_an_encoding_is_found_wherever_the_text_begins_to_need_it(tmp_path: Path) -> None:
    """One letter after two megabytes of ASCII is enough."""
    file = write(tmp_path / "t.csv", b"sku,image\n" + b"1,a.jpg\n" * 300_000 + "Tüte,b.jpg\n".encode("cp1252"))
    with open_text(file, find_encoding(file)) as opened:
        assert opened.read().endswith("Tüte,b.jpg\n")


def test_a_wrong_byte_in_utf8_changes_no_other(tmp_path: Path) -> None:
    """Text that is UTF-8 for the most part stays it; what is not is taken as Windows-1252, undefined bytes too."""
    file = write(tmp_path / "t.csv", "Größe für alle\n".encode() + "W\xe4sche\n".encode("latin-1") + b"\x81\n")
    found = find_encoding(file)
    assert (found.name, found.note) == ("utf-8", "has bytes that are not UTF-8 (2); they are read as Windows-1252")
    with open_text(file, found) as opened:
        assert opened.read() == "Größe für alle\nWäsche\n\x81\n"


@pytest.mark.parametrize(
    ("start", "encoding"), [(b"sku,image", None), (b"", None), (b"a\0b\0c\0", "utf-16-le"), (b"a,b\0c,d,e,f,g,h", None)]
)
def test_a_zero_byte_here_and_there_makes_no_utf16(start: bytes, encoding: str | None) -> None:
    """UTF-16 has one in every second place."""
    assert wide_encoding(start) == encoding
