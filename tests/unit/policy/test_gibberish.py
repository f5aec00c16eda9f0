"""The detector of gibberish, on answers that models really gave.

``real_answers.json`` holds all answers of Smallsight-tiny about the example pictures, and what copies of it
wrote whose weights were broken on purpose: descriptions of four words or 30 characters at least, which
``benchmarks/gibberish_detection.py --write`` collects. Of the least broken copy, only the senseless ones are
kept, chosen by hand.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from benchmarks.broken_weights import DAMAGES, write_broken

import smallsight
from smallsight.policy.gibberish import gibberish_reasons
from smallsight.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "src" / "smallsight" / "shipped" / "Smallsight-tiny"
ANSWERS = json.loads((Path(__file__).parent / "real_answers.json").read_text(encoding="utf-8"))
BROKEN = ANSWERS["broken"]


def test_no_answer_of_a_sound_model_is_gibberish():
    flagged = [(one, reasons) for one in ANSWERS["good"] if (reasons := gibberish_reasons(**one))]
    assert flagged == []
    assert len(ANSWERS["good"]) >= 170


def test_most_answers_of_broken_models_are_gibberish():
    answers = [one for answers in BROKEN.values() for one in answers]
    found = sum(bool(gibberish_reasons(**one)) for one in answers)
    assert len(answers) > 180
    assert found / len(answers) > 0.65


@pytest.mark.parametrize("damage", BROKEN)
def test_every_kind_of_damage_shows_in_more_answers_than_a_verdict_allows(damage):
    found = [bool(gibberish_reasons(**one)) for one in BROKEN[damage]]
    assert sum(found) >= 2
    assert sum(found) / len(found) > 0.1


def test_a_model_broken_now_writes_gibberish(tmp_path):
    pictures = sorted((ROOT / "examples" / "pictures" / "memes").glob("*.jpg"))[:6]
    broken = write_broken(SHIPPED, tmp_path / "broken", DAMAGES["5 % of all signs flipped"])
    with smallsight.load(broken, precision="fp32", settings=Settings(home=tmp_path / "home")) as model:
        answers = list(model.describe_many(pictures, max_tokens=40))
    found = [gibberish_reasons(one.text, finish_reason=one.finish_reason) for one in answers]
    assert sum(map(bool, found)) >= 2, [one.text for one in answers]


FINE = [
    "",
    "Yes",
    "a red circle",
    "42",
    "A cat.",
    "The letter A.",
    "Vitamin A and vitamin C.",
    "no no no no NO",
    "lol no no no no way bro",
    "The answer is A",
    "lol bruh moment fr fr no cap",
    "hahahahahahahahahahahahaha",
    "Whaaat?! Nooooo, sooo cute <3 <3",
    "A laptop shows https://example.org/a/b?c=d&e=f and the mail address jo.doe@example.org.",
    "Invoice 2026-11-28, No. 00012345, total 1.234,56 €, VAT 19 %, IBAN DE02 1203 0000 0000 2020 51",
    "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
    "a red car, a blue car, a green car, a white car, a black car, a grey car, a pink car, a brown car",
    "1. bread\n2. butter\n3. milk\n4. eggs\n5. flour\n6. sugar\n7. salt\n8. oil",
    "An iPhone and a MacBook beside a PlayStation, with YouTube and JavaScript on a McDonald's sign.",
    "Ein roter Kreis auf weißem Grund, daneben der Hund, der die Katze und das Haus ansieht.",
    "Un gato negro duerme a la sombra de un árbol, y a su lado hay una bicicleta roja.",
    "Un chat noir dort à côté d'une tasse de café ; l'assiette est vide, et la fenêtre est ouverte.",
    "Kırmızı bir araba yağmurda duruyor, şemsiyeli bir adam yanından geçiyor.",
    "Красная машина стоит под дождём рядом с человеком с зонтом.",
    "猫がソファの上で寝ています。テーブルの上にはコーヒーがあります。",
    "一只黑猫坐在红色的沙发上，旁边有两只狗。T恤上写着 HELLO。",
    "قطة سوداء تجلس على أريكة حمراء بجانب كلبين نائمين.",
    "แมวดำนั่งอยู่บนโซฟาสีแดงข้างสุนัขสองตัว",
    "👨‍👩‍👧‍👦 family emoji 🎉🎉🎉 and a cake",
    'A meme of a dog. The text says "WOW WOW WOW WOW WOW WOW such gibbrsh xzqk wq".',
    "--------------------------------------------------",
    "A clock shows 10:45, the date is 3/4/2026, and a sign says 5 < 7.",
    'A 27" monitor, a 5" phone and a 12" ruler.',
]


@pytest.mark.parametrize("text", FINE)
def test_what_people_would_call_an_answer_is_none(text):
    assert gibberish_reasons(text) == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A cat on a sofa� and a dog", "characters that are no text"),
        ("A cat\x00 on a sofa", "characters that are no text"),
        ("!" * 64, "the same words in a loop"),
        ("A cat on " + "the sofa on " * 6, "the same words in a loop"),
        ("The image shows " + "asdfgh" * 8, "the same words in a loop"),
        ("A big big big big red cat cat on a mat", "words that are repeated at once"),
        ("cat mat " * 3 + "mat cat hat " * 5 + "cat hat mat", "few different words"),
        ("abababba abab bababab abba baba abababab abab baba ab", "few or too many different characters"),
        ("twoT catI dogg#a on the sofa", "misshapen words"),
        ("cat кошка γάτα on sofa дом σπίτι", "words in several scripts"),
        ("A the cat of an and with the.", "words that do not go together"),
        ("cat , . on .. , sofa ,, . dog , . the", "signs out of place"),
    ],
)
def test_a_reason_names_what_is_wrong(text, reason):
    assert reason in gibberish_reasons(text)


def test_a_loop_at_the_limit_of_tokens_is_named():
    text = "A shop with many signs, a sign with text, a sign with text, a sign with text, a sign with"
    assert gibberish_reasons(text) == ()
    assert gibberish_reasons(text, finish_reason="length") == ("cut off in a loop",)
    assert gibberish_reasons(text, max_tokens_reached=True) == ("cut off in a loop",)


def test_a_character_that_was_cut_off_is_no_gibberish():
    assert gibberish_reasons("A cake with 🎂 and \ufffd", finish_reason="length") == ()
    assert gibberish_reasons("A cake with 🎂 and \ufffd", finish_reason="stop") != ()


def test_what_a_picture_says_may_look_like_anything():
    read = "XQZW vvvkj KLMNOPq aA bB 000 :: ,, xX"
    assert gibberish_reasons(read, reads_text=True) == ()
    assert gibberish_reasons("na " * 40, reads_text=True) == ("the same words in a loop",)


def test_words_are_looked_up_in_english_answers_only():
    known = set("there is a cat on the sofa and dog with red".split())
    salad = "There is a flurb on the snorp and the glimp with a wembly drox."
    assert gibberish_reasons(salad, is_word=known.__contains__) == ("words that do not exist",)
    assert gibberish_reasons(salad) == ()
    assert gibberish_reasons("There is a cat on the sofa and a dog.", is_word=known.__contains__) == ()
    dutch = "Er zit een zwarte kat op de rode bank, en de hond is met een bal aan het spelen."
    assert gibberish_reasons(dutch, is_word=known.__contains__) == ()


def test_any_text_is_judged_quickly_and_the_same_every_time():
    source = random.Random(5)
    for _ in range(300):
        text = "".join(source.choices('ab "\n.,é猫\ufffd0T#', k=source.randrange(200)))
        assert gibberish_reasons(text) == gibberish_reasons(text)
    assert gibberish_reasons("the cat sat on a mat. " * 4000)
