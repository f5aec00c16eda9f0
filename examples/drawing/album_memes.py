"""The memes of the album: file names, what they say and show, how they are stored."""

from __future__ import annotations

from PIL import Image

from drawing import memes_at_home, memes_at_work
from drawing.picture import Kind, Picture, Storage

MONDAY = ("MONDAY AGAIN", "I NEED ANOTHER COFFEE")


def _forwarded_monday() -> Image.Image:
    """Draw the Monday meme as a messenger passes it on."""
    return memes_at_home.forwarded(memes_at_work.monday_again(), share=0.9, quality=70)


MEMES = (
    Picture(
        "memes/IMG_2041.jpg",
        memes_at_work.monday_again,
        Kind.MEME,
        "a tired cat at a desk with a large mug of coffee, rain at the window",
        ("ginger", "red", "grey", "brown"),
        MONDAY,
    ),
    Picture(
        "memes/IMG-20260302-WA0007.jpg",
        _forwarded_monday,
        Kind.MEME,
        "a tired cat at a desk with a large mug of coffee, rain at the window",
        ("ginger", "red", "grey", "brown"),
        MONDAY,
        "near duplicate of memes/IMG_2041.jpg: compressed twice, 9/10 of its size",
        quality=58,
    ),
    Picture(
        "memes/meme (7).png",
        memes_at_home.high_five,
        Kind.MEME,
        "a tyrannosaur with short arms, a volcano and a low sun",
        ("green", "purple", "orange"),
        ("ASKED FOR A HIGH FIVE", "WAITING SINCE THE CRETACEOUS"),
        "palette PNG",
        Storage.FEW_COLOURS,
    ),
    Picture(
        "memes/dog_in_meeting.jpg",
        memes_at_work.meeting_dog,
        Kind.MEME,
        "a tired dog in a video call with a cat, a rubber duck and an octopus",
        ("brown", "green", "dark grey"),
        ("THIS MEETING", "COULD HAVE BEEN A WALK", "Finance", "Marketing", "The boss"),
        "small text in the tiles",
    ),
    Picture(
        "memes/meme (3).jpg",
        memes_at_work.home_office_snail,
        Kind.MEME,
        "a snail at a laptop on a table",
        ("purple", "brown", "beige"),
        ("WORKING FROM HOME", "SINCE 500 MILLION YEARS AGO"),
    ),
    Picture(
        "memes/received_88120431.jpg",
        memes_at_work.duck_debugging,
        Kind.MEME,
        "a rubber duck beside a screen full of code",
        ("yellow", "teal", "dark blue"),
        ("NEVER JUDGES MY CODE", "STILL FINDS THE BUG"),
    ),
    Picture(
        "memes/9f3c2b7e.jpg",
        memes_at_work.busy_octopus,
        Kind.MEME,
        "an octopus holding a cup, a laptop, a clock, a note, a phone, a pencil, pizza and a letter",
        ("purple", "turquoise"),
        ("EIGHT ARMS", "AND STILL BEHIND SCHEDULE"),
    ),
    Picture(
        "memes/FB_IMG_1699.jpg",
        memes_at_work.works_first_time,
        Kind.MEME,
        "a dog with glasses beside a screen that shows a green tick",
        ("brown", "beige", "green"),
        ("When the code works on the very", "first try and now you trust nothing"),
        "white caption bar above",
    ),
    Picture(
        "memes/IMG_7730.jpg",
        memes_at_work.not_on_friday,
        Kind.MEME,
        "a yellow sticky note on a screen with code",
        ("yellow", "black"),
        ("Do not deploy", "on Friday.", "I mean it.", "signed, you last Friday"),
        "text turned by 12 degrees",
    ),
    Picture(
        "memes/giphy.gif",
        memes_at_work.loading_motivation,
        Kind.MEME,
        "a sleepy cat over a progress bar that hardly moves",
        ("ginger", "blue"),
        ("LOADING MOTIVATION", "3 % done, try again on Thursday"),
        "animation of 8 frames",
    ),
    Picture(
        "memes/thirsty.jpg",
        memes_at_home.thirsty_plant,
        Kind.MEME,
        "a wilted houseplant on a window sill",
        ("beige", "blue", "terracotta"),
        ("I WATERED YOU ONCE", "WHAT MORE DO YOU WANT"),
    ),
    Picture(
        "memes/download.webp",
        memes_at_home.captcha_robot,
        Kind.MEME,
        "a worried robot before a box to tick",
        ("orange", "grey blue"),
        ("ONE SIMPLE QUESTION", "I am not a robot", "SUDDENLY I HAVE FEELINGS"),
        "WebP",
    ),
    Picture(
        "memes/image0.avif",
        memes_at_home.broken_vase,
        Kind.MEME,
        "two cats and a broken blue vase",
        ("grey", "ginger", "mint green"),
        ("Who broke", "the vase?", "Gravity did.", "I only helped."),
        "AVIF, speech bubbles",
        quality=68,
    ),
    Picture(
        "memes/sticker_0412.png",
        memes_at_home.pizza_sticker,
        Kind.MEME,
        "a smiling slice of pizza",
        ("yellow", "red"),
        ("PIZZA FIRST", "QUESTIONS LATER"),
        "transparent PNG",
    ),
    Picture(
        "memes/image (14).jpg",
        memes_at_home.plans_and_budget,
        Kind.MEME,
        "a rocket among stars on the left, a paper plane on the right",
        ("dark blue", "white", "beige"),
        ("MY PLANS", "MY BUDGET"),
        "two panels",
    ),
    Picture(
        "memes/unnamed.jpg",
        memes_at_home.laundry_mountain,
        Kind.MEME,
        "a heap of clothes in every colour",
        ("red", "blue", "green", "yellow", "purple"),
        ("Laundry day", "has been moved", "to another month"),
        "white text on a busy ground",
        quality=76,
    ),
    Picture(
        "memes/IMG_0007.png",
        memes_at_home.game_over,
        Kind.MEME,
        "a cup of coffee in an old video game",
        ("dark blue", "yellow", "red"),
        ("GAME OVER", "INSERT COFFEE"),
        "PNG of 16 colours, large square pixels",
    ),
    Picture(
        "memes/photo_2026-01-17_23-40-12.jpg",
        memes_at_home.late_noodles,
        Kind.MEME,
        "a tired grey cat with a cup of instant noodles at night",
        ("grey", "dark blue", "red"),
        ("加班到深夜", "只有泡面懂我"),
        "Chinese: working until late at night, only instant noodles understand me",
    ),
)
